// The vectorised loops of the input pipeline, one table per instruction set. Integers, or float operations
// without contraction in a fixed order: every table gives the same bits. Included by the files that are built
// for an instruction set, so it must pull in nothing with inline functions.
#pragma once

#include <stdint.h>

namespace fcdd::cpu {

// A stream of draws (fcdd/rng.h) without its class.
struct StreamKey {
  uint32_t seed_low, seed_high, purpose, position, epoch;
};

// What turns a byte into a normalised value: (byte - centre) * unit + sigma * normal, clamped to low...high
// when asked, then * gain[c] + bias[c]. centre is an integer, so that nothing cancels.
struct ValueScale {
  int32_t centre;
  float unit, sigma;
  float low, high;
  bool clamp;
  float gain[3], bias[3];
};

struct AugmentKernels {
  // Words 4*first ... 4*(first+blocks)-1 of a stream; `blocks` is a multiple of 16.
  void (*words)(const StreamKey& key, uint32_t first, int blocks, uint32_t* out);
  // Words as standard normals, and as levels of the noise sources "gaussian" and "uniform".
  void (*normals)(const uint32_t* words, int n, float* out);
  void (*gaussian_levels)(const uint32_t* words, int n, int16_t* out);
  void (*uniform_levels)(const uint32_t* words, int n, int16_t* out);

  // Image.blend of one level, or of each pixel's own grey, with the pixels (fcdd/pil.h).
  void (*blend_level)(uint8_t level, float alpha, uint8_t* pixels, int64_t values);
  void (*blend_grey)(float alpha, uint8_t* rgb, int64_t pixels);
  uint64_t (*sum_of_grey)(const uint8_t* rgb, int64_t pixels);
  uint64_t (*sum)(const uint8_t* values, int64_t n);

  // Confetti's blur (fcdd/squares.h) along one direction of n values: `step` is the distance of neighbours in
  // a padded row; `rows` are the 25 rows around one output row.
  void (*blur_row)(const uint16_t* padded, int step, int n, uint16_t* out);
  void (*blur_column)(const uint16_t* const* rows, int n, int16_t* out);

  // Adding signed noise to pixels: sums of the clamped change of +noise and of -noise; and doing it.
  void (*change)(const uint8_t* pixels, const int16_t* noise, int64_t n, int64_t* plain, int64_t* inverted);
  void (*add)(int16_t sign, const int16_t* noise, uint8_t* pixels, int64_t n);

  // Sums over bytes: total and squares; count and total of those above a level.
  void (*moments)(const uint8_t* bytes, int64_t n, uint64_t* total, uint64_t* squares);
  void (*above)(const uint8_t* bytes, int64_t n, uint8_t level, uint64_t* count, uint64_t* total);

  // Bytes straight to normalised values (no noise; unit is in gain).
  void (*scale_bytes)(const ValueScale& s, const uint8_t* bytes, int64_t pixels, int channels, float* x);
  // Bytes and normals to clamped values around the centre; returns their sum.
  double (*noisy)(const ValueScale& s, const uint8_t* bytes, const float* normals, int64_t n, float* x);
  // Sum of |x - mean|; and x * gain + bias.
  double (*deviation)(const float* x, int64_t n, float mean);
  void (*scale)(const ValueScale& s, int64_t pixels, int channels, float* x);
};

extern const AugmentKernels augment_baseline, augment_avx2, augment_avx512;

}  // namespace fcdd::cpu
