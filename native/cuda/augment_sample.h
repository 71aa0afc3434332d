// One pixel of a sample, from the stores and the noise: stages 1 to 4 of fcdd/augment.h are functions of a
// pixel's place once the few numbers that depend on the whole image are known (SampleLevels). So no image is
// kept between stages.
#pragma once

#include "cuda/augment_blocks.h"
#include "fcdd/pil.h"

namespace fcdd::cuda {

template <int C>
struct Pixel {
  uint8_t level[C];
  uint8_t mask;
};

// What of the whole image decides about a pixel.
struct SampleLevels {
  bool inverted;  // the noise, all of it
  uint8_t pivot;  // of the contrast jitter
};

FCDD_GPU int32_t clamped(int32_t level) {
  return level < 0 ? 0 : (level > 255 ? 255 : level);
}

FCDD_GPU int64_t stored_area(const SampleState& s) {
  return int64_t{s.image.height} * s.image.width;
}
FCDD_GPU int64_t placed_area(const FcddPipeline& p) {
  return int64_t{p.height} * p.width;
}

// Pixel number i of an image, row by row. Areas fit 32 bits (augment.cu asks for it), and so does the
// division.
struct PixelPlace {
  int32_t y, x;
};
FCDD_GPU PixelPlace row_and_column(int64_t i, int32_t width) {
  const uint32_t row = static_cast<uint32_t>(i) / static_cast<uint32_t>(width);
  return {static_cast<int32_t>(row),
          static_cast<int32_t>(static_cast<uint32_t>(i) - row * static_cast<uint32_t>(width))};
}

FCDD_GPU bool malformed(const SampleState& s) {
  return s.plan.mode == FCDD_MALFORMED || s.plan.mode == FCDD_MALFORMED_GT;
}
// Whether the change that the noise makes decides about its sign.
FCDD_GPU bool sign_is_open(const AugmentBatch& b, const SampleState& s) {
  return malformed(s) && b.supervision.offline == 0 && !is_patch(b.supervision.source);
}

// Pixel number `at` of an image with C channels: grey is ITU-R 601, three equal channels come from one.
template <int C>
FCDD_GPU void read_levels(const StoreView& store, const FcddImage& image, int64_t at, uint8_t (&level)[C]) {
  const uint8_t* pixel = store.bytes + image.pixels + at * store.channels;
  if constexpr (C == 1) {
    level[0] = store.channels == 3 ? grey_level(pixel[0], pixel[1], pixel[2]) : pixel[0];
  } else {
    const int step = store.channels == 3 ? 1 : 0;
    FCDD_UNROLL
    for (int c = 0; c < C; c++) level[c] = pixel[c * step];
  }
}

FCDD_GPU uint8_t read_mask(const StoreView& store, const FcddImage& image, int64_t at) {
  return image.mask == FCDD_NO_MASK ? image.label != 0 : store.bytes[image.mask + at] != 0;
}

// Where the exposure image, resized to the sample's extents, has the pixel of a row and a column.
FCDD_GPU int64_t exposure_place(const SampleState& s, int32_t y, int32_t x) {
  const FcddImage& e = s.exposure;
  return int64_t{nearest_source(y, e.height, s.image.height)} * e.width +
         nearest_source(x, e.width, s.image.width);
}

// The steps from an image to its patch; 0 beside it.
template <int C>
FCDD_GPU void read_patch(const AugmentBatch& b, const SampleState& s, int32_t y, int32_t x,
                         int32_t (&noise)[C]) {
  FCDD_UNROLL
  for (int c = 0; c < C; c++) noise[c] = 0;
  if (!patch_covers(s.patch, s.plan.anomaly.stream(Purpose::Lattice), y, x)) return;
  uint8_t level[C], donor[C];
  read_levels(b.images, s.image, int64_t{y} * s.image.width + x, level);
  read_levels(s.patch.apart ? b.exposure : b.images, s.exposure, donor_place(s.patch, y, x), donor);
  FCDD_UNROLL
  for (int c = 0; c < C; c++) noise[c] = patch_step(s.patch, c, level[c], donor[c]);
}

// The grey levels that an anomaly adds to its image: none outside of the foreground, where it is kept to
// that.
template <int C>
FCDD_GPU void read_noise(const AugmentBatch& b, int sample, const SampleState& s, int32_t y, int32_t x,
                         int32_t (&noise)[C]) {
  const uint8_t* foreground = foreground_of(b.supervision, s.image, b.images.bytes);
  if (foreground != nullptr && foreground[int64_t{y} * s.image.width + x] == 0) {
    FCDD_UNROLL
    for (int c = 0; c < C; c++) noise[c] = 0;
    return;
  }
  if (is_patch(b.supervision.source)) return read_patch(b, s, y, x, noise);
  if (s.plan.exposure >= 0) {
    uint8_t level[C];
    read_levels(b.exposure, s.exposure, exposure_place(s, y, x), level);
    FCDD_UNROLL
    for (int c = 0; c < C; c++) noise[c] = level[c];
    return;
  }
  const int16_t* from =
      b.noise + static_cast<uint64_t>(sample) * b.noise_values + (int64_t{y} * s.image.width + x) * C;
  FCDD_UNROLL
  for (int c = 0; c < C; c++) noise[c] = from[c];
}

// Offline, noise is inverted where the image is brighter than 0.11 * 255.
template <int C>
FCDD_GPU bool bright(const uint8_t (&level)[C]) {
  int32_t sum = 0;
  FCDD_UNROLL
  for (int c = 0; c < C; c++) sum += level[c];
  return sum * 100 > 11 * 255 * C;
}

// Stage 1 at a row and a column of the stored image.
template <int C>
FCDD_GPU Pixel<C> shown_pixel(const AugmentBatch& b, int sample, const SampleState& s, bool inverted,
                              int32_t y, int32_t x) {
  const int64_t at = int64_t{y} * s.image.width + x;
  Pixel<C> pixel = {};
  if (s.plan.mode == FCDD_NOISE && s.plan.exposure >= 0) {
    const int64_t place = exposure_place(s, y, x);
    read_levels(b.exposure, s.exposure, place, pixel.level);
    pixel.mask = read_mask(b.exposure, s.exposure, place);
    return pixel;
  }
  if (s.plan.mode != FCDD_NOISE) read_levels(b.images, s.image, at, pixel.level);
  if (s.plan.mode == FCDD_UNSUPERVISED) {
    pixel.mask = read_mask(b.images, s.image, at);
    return pixel;
  }
  int32_t noise[C];
  read_noise(b, sample, s, y, x, noise);
  // As a picture of its own, confetti is light on black.
  bool negative = s.plan.mode == FCDD_NOISE ? b.supervision.source == FCDD_CONFETTI : inverted;
  if (malformed(s) && b.supervision.offline != 0 && !is_patch(b.supervision.source))
    negative = bright(pixel.level);
  bool changed = false;
  FCDD_UNROLL
  for (int c = 0; c < C; c++) {
    const int32_t level = clamped(pixel.level[c] + (negative ? -noise[c] : noise[c]));
    changed = changed || level != pixel.level[c];
    pixel.level[c] = static_cast<uint8_t>(level);
  }
  pixel.mask = changed;  // asked for by malformed-gt alone
  return pixel;
}

// Which of a plan's operations is the contrast; their number when none is.
FCDD_GPU int contrast_step(const JitterPlan& plan) {
  for (int i = 0; i < plan.count; i++) {
    if (plan.order[i] == jitter_contrast) return i;
  }
  return plan.count;
}

template <int C>
FCDD_GPU uint8_t grey_of(const uint8_t (&level)[C]) {
  if constexpr (C == 1) return level[0];
  return grey_level(level[0], level[C / 2], level[C - 1]);
}

// Operations first <= i < past of a jitter, each rounding to 8 bits. One channel knows no saturation and no
// hue.
template <int C>
FCDD_GPU void jitter_pixel(const JitterPlan& plan, int past, uint8_t pivot, uint8_t (&level)[C]) {
  for (int i = 0; i < past; i++) {
    const int operation = plan.order[i];
    if (operation == jitter_hue) {
      if constexpr (C == 3) {
        const Rgb turned = shift_hue({level[0], level[1], level[2]}, plan.hue_shift);
        level[0] = turned.r;
        level[1] = turned.g;
        level[2] = turned.b;
      }
      continue;
    }
    if (C == 1 && operation == jitter_saturation) continue;
    const int32_t from =
        operation == jitter_brightness ? 0 : (operation == jitter_contrast ? pivot : grey_of(level));
    const float factor = plan.factor[operation];
    FCDD_UNROLL
    for (int c = 0; c < C; c++) level[c] = blend(from, level[c], factor);
  }
}

// The pixel at a row and a column of the network's input, without the jitter that comes before
// (jitter_first).
struct PlacedSource {
  int32_t row, column;
  bool padding;
};
FCDD_GPU PlacedSource placed_source(const FcddPipeline& p, const SampleState& s, int32_t y, int32_t x) {
  const int32_t row = source_row(s.plan.place, s.image.height, y);
  const int32_t column = source_column(s.plan.place, p.width, s.image.width, x);
  return {row, column, row < 0 || column < 0};
}

}  // namespace fcdd::cuda
