// Fisher-Yates with Philox draws: every permutation equally likely (to within the generator's 2^-32).
#include "engine/shuffle.h"

#include <cstddef>
#include <numeric>
#include <utility>

#include "fcdd/rng.h"

namespace fcdd {

std::vector<int32_t> shuffled(uint64_t seed, uint32_t epoch, int64_t count) {
  std::vector<int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Draws draws(seed, Purpose::Shuffle, 0, epoch);
  for (int64_t i = count - 1; i > 0; i--) {
    std::swap(order[i], order[draws.next_below(static_cast<uint32_t>(i) + 1)]);
  }
  return order;
}

}  // namespace fcdd
