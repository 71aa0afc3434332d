// Which ready thread runs next. All operations take constant time: one bit per lane, one bit per warp.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

namespace fcdd::cuda::emulation {

// A small generator (splitmix64): the orders of a seed are the same on every machine.
struct Random {
  uint64_t state = 0;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }
};

enum class Order { ascending, descending, uniform, priorities };

constexpr Order order_of(uint64_t seed) {
  if (seed < 2) return seed == 0 ? Order::ascending : Order::descending;
  return seed % 2 == 0 ? Order::uniform : Order::priorities;
}

class ReadyThreads {
 public:
  void start(Order order, Random random, unsigned threads);
  bool empty() const { return ranks_ == 0; }
  void add(unsigned thread) { add_lanes(thread / 32, uint32_t{1} << thread % 32); }
  void add_lanes(unsigned warp, uint32_t lanes) {
    lanes_[warp] |= lanes;
    ranks_ |= uint32_t{1} << rank_[warp];
  }
  unsigned take();  // not empty

 private:
  void draw_priorities();

  Order order_ = Order::ascending;
  Random random_;
  unsigned warps_ = 0;
  uint32_t ranks_ = 0;                // bit r: the warp of rank r has ready lanes; the lowest rank goes first
  std::array<uint32_t, 32> lanes_{};  // ready lanes of each warp
  std::array<uint8_t, 32> rank_{}, warp_of_rank_{};
};

// A bit of the mask, from a random place upwards.
inline unsigned some_bit(uint32_t mask, uint32_t random) {
  const unsigned from = random & 31;
  return (static_cast<unsigned>(std::countr_zero(std::rotr(mask, static_cast<int>(from)))) + from) & 31;
}

inline unsigned ReadyThreads::take() {
  unsigned rank = static_cast<unsigned>(std::countr_zero(ranks_));
  unsigned lane = 0;
  switch (order_) {
    case Order::ascending:
      lane = static_cast<unsigned>(std::countr_zero(lanes_[warp_of_rank_[rank]]));
      break;
    case Order::descending:  // ranks are reversed
      lane = 31 - static_cast<unsigned>(std::countl_zero(lanes_[warp_of_rank_[rank]]));
      break;
    case Order::uniform: {
      const uint64_t random = random_.next();
      rank = some_bit(ranks_, static_cast<uint32_t>(random));
      lane = some_bit(lanes_[warp_of_rank_[rank]], static_cast<uint32_t>(random >> 32));
      break;
    }
    case Order::priorities: {
      const uint64_t random = random_.next();
      if ((random >> 40) % 64 == 0) {
        draw_priorities();
        rank = static_cast<unsigned>(std::countr_zero(ranks_));
      }
      lane = some_bit(lanes_[warp_of_rank_[rank]], static_cast<uint32_t>(random));
      break;
    }
  }
  const unsigned warp = warp_of_rank_[rank];
  lanes_[warp] &= ~(uint32_t{1} << lane);
  if (lanes_[warp] == 0) ranks_ &= ~(uint32_t{1} << rank);
  return warp * 32 + lane;
}

inline void ReadyThreads::start(Order order, Random random, unsigned threads) {
  order_ = order, random_ = random;
  warps_ = (threads + 31) / 32, ranks_ = 0;
  for (unsigned w = 0; w < warps_; w++) {
    const unsigned rank = order == Order::descending ? warps_ - 1 - w : w;
    rank_[w] = static_cast<uint8_t>(rank), warp_of_rank_[rank] = static_cast<uint8_t>(w);
    lanes_[w] = 0;
    const unsigned count = threads - 32 * w;
    add_lanes(w, count >= 32 ? ~uint32_t{0} : (uint32_t{1} << count) - 1);
  }
  if (order == Order::priorities) draw_priorities();
}

inline void ReadyThreads::draw_priorities() {
  for (unsigned r = warps_; r > 1; r--) std::swap(warp_of_rank_[r - 1], warp_of_rank_[random_.below(r)]);
  ranks_ = 0;
  for (unsigned r = 0; r < warps_; r++) {
    const unsigned warp = warp_of_rank_[r];
    rank_[warp] = static_cast<uint8_t>(r);
    if (lanes_[warp] != 0) ranks_ |= uint32_t{1} << r;
  }
}

}  // namespace fcdd::cuda::emulation
