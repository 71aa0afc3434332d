// The loops of augment_kernels.h, written so that GCC vectorises them for the instruction set this file is
// built for. Internal linkage throughout (see vec.h).
#pragma once

#include "cpu/augment_kernels.h"
#include "cpu/kernels/vec.h"
#include "fcdd/normal.h"
#include "fcdd/pil.h"
#include "fcdd/squares.h"

namespace fcdd::cpu {
namespace {

constexpr int group = 16;  // blocks of Philox side by side

// One group of blocks: word w of block l in c[w][l]. The rounds are unrolled inside the loop over blocks, so
// that the loop over blocks is the one that becomes vectors and everything stays in registers.
FCDD_INLINE void philox_group(const StreamKey& key, uint32_t first, uint32_t (&c)[4][group]) {
  for (int l = 0; l < group; l++) {
    uint32_t c0 = first + static_cast<uint32_t>(l), c1 = key.purpose, c2 = key.position, c3 = key.epoch;
    uint32_t key0 = key.seed_low, key1 = key.seed_high;
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
      const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
      c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key0;
      c1 = static_cast<uint32_t>(p1);
      c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key1;
      c3 = static_cast<uint32_t>(p0);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    c[0][l] = c0;
    c[1][l] = c1;
    c[2][l] = c2;
    c[3][l] = c3;
  }
}

void augment_words(const StreamKey& key, uint32_t first, int blocks, uint32_t* __restrict out) {
  for (int b = 0; b < blocks; b += group) {
    uint32_t c[4][group];
    philox_group(key, first + static_cast<uint32_t>(b), c);
    uint32_t* to = out + b * 4;
    for (int l = 0; l < group; l++) {
      to[4 * l] = c[0][l];
      to[4 * l + 1] = c[1][l];
      to[4 * l + 2] = c[2][l];
      to[4 * l + 3] = c[3][l];
    }
  }
}

void augment_normals(const uint32_t* __restrict words, int n, float* __restrict out) {
  for (int i = 0; i < n; i++) out[i] = normal_from_bits(words[i]);
}

void augment_gaussian_levels(const uint32_t* __restrict words, int n, int16_t* __restrict out) {
  for (int i = 0; i < n; i++) out[i] = static_cast<int16_t>(gaussian_level(words[i]));
}

void augment_uniform_levels(const uint32_t* __restrict words, int n, int16_t* __restrict out) {
  for (int i = 0; i < n; i++) out[i] = static_cast<int16_t>(words[i] >> 24);
}

void augment_blend_level(uint8_t level, float alpha, uint8_t* pixels, int64_t values) {
  for (int64_t i = 0; i < values; i++) pixels[i] = blend(level, pixels[i], alpha);
}

void augment_blend_grey(float alpha, uint8_t* rgb, int64_t pixels) {
  for (int64_t i = 0; i < pixels; i++) {
    const int32_t grey = grey_level(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
    for (int c = 0; c < 3; c++) rgb[3 * i + c] = blend(grey, rgb[3 * i + c], alpha);
  }
}

uint64_t augment_sum_of_grey(const uint8_t* rgb, int64_t pixels) {
  uint64_t total = 0;
  constexpr int64_t part = 4096;  // sums of a part fit 32 bits
  for (int64_t first = 0; first < pixels; first += part) {
    const int64_t end = first + part < pixels ? first + part : pixels;
    uint32_t sum = 0;
    for (int64_t i = first; i < end; i++) sum += grey_level(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
    total += sum;
  }
  return total;
}

uint64_t augment_sum(const uint8_t* values, int64_t n) {
  uint64_t total = 0;
  constexpr int64_t part = 1 << 14;
  for (int64_t first = 0; first < n; first += part) {
    const int64_t end = first + part < n ? first + part : n;
    uint32_t sum = 0;
    for (int64_t i = first; i < end; i++) sum += values[i];
    total += sum;
  }
  return total;
}

// The kernel is symmetric: add the two values at a distance first, then multiply.
void augment_blur_row(const uint16_t* __restrict padded, int step, int n, uint16_t* __restrict out) {
  const uint16_t* centre = padded + blur_reach * step;
  for (int i = 0; i < n; i++) {
    uint32_t sum = blur_taps[0] * centre[i];
    for (int t = 1; t <= blur_reach; t++) {
      sum += blur_taps[t] * (static_cast<uint32_t>(centre[i - t * step]) + centre[i + t * step]);
    }
    out[i] = static_cast<uint16_t>((sum + 512) >> 10);
  }
}

void augment_blur_column(const uint16_t* const* rows, int n, int16_t* __restrict out) {
  const uint16_t* const* centre = rows + blur_reach;
  constexpr int width = 64;
  for (int first = 0; first < n; first += width) {
    uint32_t sum[width];
    const int columns = n - first < width ? n - first : width;
    const uint16_t* middle = centre[0] + first;
    for (int i = 0; i < columns; i++) sum[i] = blur_taps[0] * middle[i];
    for (int t = 1; t <= blur_reach; t++) {
      const uint16_t* above = centre[-t] + first;
      const uint16_t* below = centre[t] + first;
      for (int i = 0; i < columns; i++) sum[i] += blur_taps[t] * (static_cast<uint32_t>(above[i]) + below[i]);
    }
    for (int i = 0; i < columns; i++)
      out[first + i] = static_cast<int16_t>(-static_cast<int32_t>(sum[i] >> 22));
  }
}

FCDD_INLINE int32_t clamp_level(int32_t level) {
  return level < 0 ? 0 : (level > 255 ? 255 : level);
}

void augment_change(const uint8_t* pixels, const int16_t* noise, int64_t n, int64_t* plain,
                    int64_t* inverted) {
  int64_t sum = 0, sum_inverted = 0;
  constexpr int64_t part = 4096;
  for (int64_t first = 0; first < n; first += part) {
    const int64_t end = first + part < n ? first + part : n;
    int32_t a = 0, b = 0;
    for (int64_t i = first; i < end; i++) {
      a += clamp_level(pixels[i] + noise[i]) - pixels[i];
      b += clamp_level(pixels[i] - noise[i]) - pixels[i];
    }
    sum += a;
    sum_inverted += b;
  }
  *plain = sum;
  *inverted = sum_inverted;
}

void augment_add(int16_t sign, const int16_t* __restrict noise, uint8_t* __restrict pixels, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    pixels[i] = static_cast<uint8_t>(clamp_level(pixels[i] + sign * noise[i]));
  }
}

void augment_moments(const uint8_t* bytes, int64_t n, uint64_t* total, uint64_t* squares) {
  uint64_t sum = 0, sum_squares = 0;
  constexpr int64_t part = 1 << 14;
  for (int64_t first = 0; first < n; first += part) {
    const int64_t end = first + part < n ? first + part : n;
    uint32_t a = 0, b = 0;
    for (int64_t i = first; i < end; i++) {
      a += bytes[i];
      b += static_cast<uint32_t>(bytes[i]) * bytes[i];
    }
    sum += a;
    sum_squares += b;
  }
  *total = sum;
  *squares = sum_squares;
}

void augment_above(const uint8_t* bytes, int64_t n, uint8_t level, uint64_t* count, uint64_t* total) {
  uint64_t number = 0, sum = 0;
  constexpr int64_t part = 1 << 14;
  for (int64_t first = 0; first < n; first += part) {
    const int64_t end = first + part < n ? first + part : n;
    uint32_t a = 0, b = 0;
    for (int64_t i = first; i < end; i++) {
      a += bytes[i] > level;
      b += bytes[i] > level ? bytes[i] : 0;
    }
    number += a;
    sum += b;
  }
  *count = number;
  *total = sum;
}

// Gains and biases of 16 pixels in a row, so that the inner loop has no channel index.
struct Repeated {
  float gain[48], bias[48];
};
FCDD_INLINE Repeated repeat(const ValueScale& s, int channels) {
  Repeated r;
  for (int i = 0; i < 48; i++) {
    r.gain[i] = s.gain[i % channels];
    r.bias[i] = s.bias[i % channels];
  }
  return r;
}

void augment_scale_bytes(const ValueScale& s, const uint8_t* __restrict bytes, int64_t pixels, int channels,
                         float* __restrict x) {
  const Repeated r = repeat(s, channels);
  const int64_t n = pixels * channels;
  int64_t i = 0;
  for (; i + 48 <= n; i += 48) {
    for (int j = 0; j < 48; j++)
      x[i + j] = static_cast<float>(bytes[i + j] - s.centre) * r.gain[j] + r.bias[j];
  }
  for (int j = 0; i + j < n; j++)
    x[i + j] = static_cast<float>(bytes[i + j] - s.centre) * r.gain[j] + r.bias[j];
}

// Sums of floats go to 16 lanes in double, lane l taking values l, l+16, ...; then the lanes in order.
FCDD_INLINE double sum_of(const double (&lane)[16]) {
  double sum = 0;
  for (int l = 0; l < 16; l++) sum += lane[l];
  return sum;
}

double augment_noisy(const ValueScale& s, const uint8_t* __restrict bytes, const float* __restrict normals,
                     int64_t n, float* __restrict x) {
  const float low = s.clamp ? s.low : -3e38f, high = s.clamp ? s.high : 3e38f;
  for (int64_t i = 0; i < n; i++) {
    const float v = static_cast<float>(bytes[i] - s.centre) * s.unit + s.sigma * normals[i];
    const float above = v < low ? low : v;
    x[i] = above > high ? high : above;
  }
  double lane[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int l = 0; l < 16; l++) lane[l] += static_cast<double>(x[i + l]);
  }
  for (int l = 0; i + l < n; l++) lane[l] += static_cast<double>(x[i + l]);
  return sum_of(lane);
}

double augment_deviation(const float* x, int64_t n, float mean) {
  double lane[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int l = 0; l < 16; l++) lane[l] += static_cast<double>(__builtin_fabsf(x[i + l] - mean));
  }
  for (int l = 0; i + l < n; l++) lane[l] += static_cast<double>(__builtin_fabsf(x[i + l] - mean));
  return sum_of(lane);
}

void augment_scale(const ValueScale& s, int64_t pixels, int channels, float* x) {
  const Repeated r = repeat(s, channels);
  const int64_t n = pixels * channels;
  int64_t i = 0;
  for (; i + 48 <= n; i += 48) {
    for (int j = 0; j < 48; j++) x[i + j] = x[i + j] * r.gain[j] + r.bias[j];
  }
  for (int j = 0; i + j < n; j++) x[i + j] = x[i + j] * r.gain[j] + r.bias[j];
}

}  // namespace
}  // namespace fcdd::cpu

#define FCDD_DEFINE_AUGMENT_TABLE(table)          \
  namespace fcdd::cpu {                           \
  extern const AugmentKernels table;              \
  const AugmentKernels table = {                  \
      .words = augment_words,                     \
      .normals = augment_normals,                 \
      .gaussian_levels = augment_gaussian_levels, \
      .uniform_levels = augment_uniform_levels,   \
      .blend_level = augment_blend_level,         \
      .blend_grey = augment_blend_grey,           \
      .sum_of_grey = augment_sum_of_grey,         \
      .sum = augment_sum,                         \
      .blur_row = augment_blur_row,               \
      .blur_column = augment_blur_column,         \
      .change = augment_change,                   \
      .add = augment_add,                         \
      .moments = augment_moments,                 \
      .above = augment_above,                     \
      .scale_bytes = augment_scale_bytes,         \
      .noisy = augment_noisy,                     \
      .deviation = augment_deviation,             \
      .scale = augment_scale,                     \
  };                                              \
  }
