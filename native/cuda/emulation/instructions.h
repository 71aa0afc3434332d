// The wrappers of instructions.h for g++, with the same names and meaning. The default argument `site` is the
// call's place: lanes of a warp must come from the same one.
#pragma once

#include <bit>
#include <cstring>

#include "cuda/emulation/fibers.h"

namespace fcdd::cuda {

namespace emulation {
using Site = std::source_location;

template <class T>
struct Shuffle {
  T value;
  unsigned other;
  mutable T result;
};

// `Source` says whose value lane gets: lane + delta, or lane ^ mask.
template <class T, class Source>
T shuffle(const char* what, T value, unsigned other, Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  const Shuffle<T> mine = {value, other, value};
  rendezvous(
      what, &mine,
      [](const void* const(&operands)[32]) {
        for (unsigned lane = 0; lane < 32; lane++) {
          const auto* self = static_cast<const Shuffle<T>*>(operands[lane]);
          const unsigned from = Source::of(lane, self->other);
          if (from < 32) self->result = static_cast<const Shuffle<T>*>(operands[from])->value;
        }
      },
      site);
  return mine.result;
}

struct FromBelow {
  static unsigned of(unsigned lane, unsigned delta) { return lane + delta; }
};
struct FromXor {
  static unsigned of(unsigned lane, unsigned mask) { return lane ^ mask; }
};

// One lane's operands of MT x NT products.
template <int MT, int NT>
struct Product {
  float (*acc)[NT][4];
  const uint32_t (*a)[4];
  const uint32_t (*b)[2];
};

inline float from_tf32(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffffe000u);  // the hardware does not look at the rest
}
inline float low_bf16(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
inline float high_bf16(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffff0000u);
}

// Matrices of a whole warp: C (16 MT x 8 NT) += A (16 MT x K) B (K x 8 NT), k ascending, float32
// accumulation.
template <int MT, int NT, int K>
struct WarpTile {
  float a[16 * MT][K];
  float b[K][8 * NT];

  void load(const Product<MT, NT>& p, int lane) {
    const int g = lane / 4, t = lane % 4;
    for (int m = 0; m < MT; m++) {
      for (int q = 0; q < 4; q++) {
        float* row = a[16 * m + g + 8 * (q & 1)];
        if constexpr (K == 8) {
          row[t + 4 * (q >> 1)] = from_tf32(p.a[m][q]);
        } else {
          row[2 * t + 8 * (q >> 1)] = low_bf16(p.a[m][q]);
          row[2 * t + 8 * (q >> 1) + 1] = high_bf16(p.a[m][q]);
        }
      }
    }
    for (int n = 0; n < NT; n++) {
      for (int q = 0; q < 2; q++) {
        if constexpr (K == 8) {
          b[t + 4 * q][8 * n + g] = from_tf32(p.b[n][q]);
        } else {
          b[2 * t + 8 * q][8 * n + g] = low_bf16(p.b[n][q]);
          b[2 * t + 8 * q + 1][8 * n + g] = high_bf16(p.b[n][q]);
        }
      }
    }
  }

  // Products of two tf32 or bf16 values are exact in float32, so this equals a fused multiply-add.
  void multiply(const Product<MT, NT>* const (&lanes)[32]) const {
    for (int m = 0; m < 2 * MT; m++) {
      for (int g = 0; g < 8; g++) {
        const int row = 8 * m + g;
        float c[8 * NT];
        for (int n = 0; n < NT; n++) {
          for (int j = 0; j < 8; j++) c[8 * n + j] = lanes[4 * g + j / 2]->acc[m / 2][n][2 * (m % 2) + j % 2];
        }
        for (int k = 0; k < K; k++) {
          const float factor = a[row][k];
          for (int n = 0; n < 8 * NT; n++) c[n] += factor * b[k][n];
        }
        for (int n = 0; n < NT; n++) {
          for (int j = 0; j < 8; j++) lanes[4 * g + j / 2]->acc[m / 2][n][2 * (m % 2) + j % 2] = c[8 * n + j];
        }
      }
    }
  }
};

template <int MT, int NT, int K>
void warp_product(const void* const (&operands)[32]) {
  WarpTile<MT, NT, K> tile;
  const Product<MT, NT>* lanes[32];
  for (int lane = 0; lane < 32; lane++) {
    lanes[lane] = static_cast<const Product<MT, NT>*>(operands[lane]);
    tile.load(*lanes[lane], lane);
  }
  tile.multiply(lanes);
}

inline uint32_t bf16_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

}  // namespace emulation

inline void sync_block(emulation::Site site = emulation::Site::current()) {
  emulation::barrier(site);
}
inline void sync_warp(emulation::Site site = emulation::Site::current()) {
  emulation::rendezvous(
      "sync_warp", nullptr, [](const void* const(&)[32]) {}, site);
}

template <class T>
T shuffle_down(T value, unsigned delta, emulation::Site site = emulation::Site::current()) {
  return emulation::shuffle<T, emulation::FromBelow>("shuffle_down", value, delta, site);
}
template <class T>
T shuffle_xor(T value, unsigned mask, emulation::Site site = emulation::Site::current()) {
  return emulation::shuffle<T, emulation::FromXor>("shuffle_xor", value, mask, site);
}

inline void copy_async_16(void* shared, const void* global, bool valid,
                          emulation::Site site = emulation::Site::current()) {
  emulation::issue_copy(shared, global, 16, valid, site);
}
inline void copy_async_4(void* shared, const void* global, bool valid,
                         emulation::Site site = emulation::Site::current()) {
  emulation::issue_copy(shared, global, 4, valid, site);
}
inline void copy_async_commit() {
  emulation::close_copy_group();
}
template <int N>
void copy_async_wait() {
  emulation::wait_for_copies(N);
}

inline uint32_t to_tf32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return 0x7fffffff;
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

inline uint32_t pack_bf16(float low, float high) {
  return emulation::bf16_bits(high) << 16 | emulation::bf16_bits(low);
}

template <int MT, int NT>
void mma_tf32(float (&acc)[MT][NT][4], const uint32_t (&a)[MT][4], const uint32_t (&b)[NT][2],
              emulation::Site site = emulation::Site::current()) {
  const emulation::Product<MT, NT> mine = {acc, a, b};
  emulation::rendezvous("mma_tf32", &mine, emulation::warp_product<MT, NT, 8>, site);
}

template <int MT, int NT>
void mma_bf16(float (&acc)[MT][NT][4], const uint32_t (&a)[MT][4], const uint32_t (&b)[NT][2],
              emulation::Site site = emulation::Site::current()) {
  const emulation::Product<MT, NT> mine = {acc, a, b};
  emulation::rendezvous("mma_bf16", &mine, emulation::warp_product<MT, NT, 16>, site);
}

inline void atomic_min(int32_t* address, int32_t value) {
  if (value < *address) *address = value;
}

}  // namespace fcdd::cuda
