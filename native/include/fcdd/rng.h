// Random numbers as a pure function: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011), keyed by a 64-bit seed and counted by (block, purpose, position, epoch).
//
// Nothing has a state that outlives a call, so no draw depends on threads, batch split or what was drawn
// before, and a resumed run draws what an unbroken one does. Integers only, up to the last conversion: the
// same bits on every machine and in CUDA device code.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define FCDD_HOST_DEVICE __host__ __device__
#else
#define FCDD_HOST_DEVICE
#endif
// A small function that every device compiles for itself. Internal linkage, so that the copy in a file built
// for AVX-512 can never replace the one of another file.
#define FCDD_SHARED FCDD_HOST_DEVICE static inline

namespace fcdd {

// What a stream is for. Streams of different purposes are independent. The numbers are part of what a seed
// means: append, never renumber.
enum class Purpose : uint32_t {
  Shuffle = 0,       // order of an epoch; position 0
  Initialise = 1,    // initial weights; position = number of the tensor, epoch 0
  Replace = 2,       // is this sample made anomalous, and by which exposure image
  Place = 3,         // resize or crop, offsets, flip
  Jitter = 4,        // which jitter, order of its operations, their factors
  PixelNoise = 5,    // whether noise is added to the pixels
  PixelNormals = 6,  // and its normal draws, one per value
  Squares = 7,       // confetti, layer 1 (coloured); blob; mixed-blob, the white ones
  MoreSquares = 8,   // confetti, layer 2 (dark); mixed-blob, the coloured ones
  NoiseValues = 9,   // gaussian, uniform and solid noise and the colours of mixed-blob, one draw per value
  Patch = 10,        // cut-paste and texture: donor, places, extents, jitter
  Lattice = 11,      // the values that the mask of a texture lies between
  Dropout = 12,      // which values are dropped, see fcdd/dropout.h
};

struct Philox4 {
  uint32_t v[4];
};

// The published function: ten rounds, multipliers and Weyl constants of Random123.
FCDD_SHARED constexpr Philox4 philox4x32_10(Philox4 c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c.v[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c.v[2];
    c = Philox4{{static_cast<uint32_t>(p1 >> 32) ^ c.v[1] ^ key0, static_cast<uint32_t>(p1),
                 static_cast<uint32_t>(p0 >> 32) ^ c.v[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

// 32 random bits -> [0, 1), a multiple of 2^-32 (exact in double).
FCDD_SHARED constexpr double unit_from_bits(uint32_t bits) {
  return bits * (1.0 / 4294967296.0);
}

// 32 random bits -> 0 ... n-1 by fixed-point multiplication: floor(bits * n / 2^32). Each value has
// probability 1/n to within 2^-32; no value is favoured systematically as by a remainder. n = 0 gives 0.
FCDD_SHARED constexpr uint32_t below_from_bits(uint32_t bits, uint32_t n) {
  return static_cast<uint32_t>((uint64_t{bits} * n) >> 32);
}

// A stream of 32-bit words: word i is word i%4 of block i/4. `next*` walk through it from word 0; `block` and
// `word` jump anywhere. Copy it freely. A stream is 2^34 words long.
class Draws {
 public:
  FCDD_HOST_DEVICE constexpr Draws(uint64_t seed, Purpose purpose, uint32_t position, uint32_t epoch)
      : seed_(seed), purpose_(static_cast<uint32_t>(purpose)), position_(position), epoch_(epoch) {}

  FCDD_HOST_DEVICE constexpr Philox4 block(uint32_t index) const {
    return philox4x32_10(Philox4{{index, purpose_, position_, epoch_}}, static_cast<uint32_t>(seed_),
                         static_cast<uint32_t>(seed_ >> 32));
  }
  FCDD_HOST_DEVICE constexpr uint32_t word(uint64_t i) const {
    return block(static_cast<uint32_t>(i >> 2)).v[i & 3];
  }

  FCDD_HOST_DEVICE constexpr uint32_t next() {
    if ((next_ & 3) == 0) current_ = block(static_cast<uint32_t>(next_ >> 2));
    return current_.v[next_++ & 3];
  }
  // Uniform in [0, 1).
  FCDD_HOST_DEVICE constexpr double next_unit() { return unit_from_bits(next()); }
  // Uniform in [low, high).
  FCDD_HOST_DEVICE constexpr double next_between(double low, double high) {
    return low + (high - low) * next_unit();
  }
  // 0 ... n-1, equally likely.
  FCDD_HOST_DEVICE constexpr uint32_t next_below(uint32_t n) { return below_from_bits(next(), n); }
  // low ... high, both included, equally likely.
  FCDD_HOST_DEVICE constexpr int32_t next_integer(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(next_below(static_cast<uint32_t>(high - low) + 1));
  }
  // True with probability p.
  FCDD_HOST_DEVICE constexpr bool next_chance(double p) { return next_unit() < p; }

 private:
  uint64_t seed_;
  uint32_t purpose_, position_, epoch_;
  uint64_t next_ = 0;
  Philox4 current_{};
};

}  // namespace fcdd
