// What happens to sample i of a batch: every decision of the input pipeline as a pure function of the seed,
// the epoch and the sample's position, the same on every device. No arithmetic on pixels here.
//
// Counters: (seed, purpose, position, epoch); position is the sample's place in the epoch. Anomalies that are
// drawn once (offline) use the index in the epoch's list as position and `offline_epoch` as epoch, so they
// never change.
#pragma once

#include <stdint.h>

#include "fcdd/augment.h"
#include "fcdd/pil.h"
#include "fcdd/rng.h"

namespace fcdd {

constexpr uint32_t offline_epoch = 0xffffffffu;

// Position and epoch of a family of streams.
struct DrawKey {
  uint64_t seed;
  uint32_t position, epoch;
  FCDD_HOST_DEVICE constexpr Draws stream(Purpose purpose) const {
    return Draws(seed, purpose, position, epoch);
  }
};

// Where the pixels of the output come from: row y of the output is row `top + y` of the resized image, column
// x is column `left + x`, or `left + width - 1 - x` when flipped; outside the resized image there are zeros.
struct Placement {
  int32_t height, width;    // of the resized image
  int32_t top, left, flip;  // top and left may be negative: the padding
};

// The four operations of torchvision's ColorJitter. The numbers are torchvision's.
enum JitterOperation { jitter_brightness = 0, jitter_contrast = 1, jitter_saturation = 2, jitter_hue = 3 };

struct JitterPlan {
  int32_t count;     // of operations that do something
  int32_t order[4];  // JitterOperation
  float factor[3];   // by JitterOperation: brightness, contrast, saturation
  uint8_t hue_shift;
};

struct SamplePlan {
  int32_t image;     // in the store
  int32_t mode;      // FcddSupervisionMode of this sample; FCDD_UNSUPERVISED: the image as it is
  int32_t exposure;  // image of the exposure store, or -1
  int32_t own_size;  // the sample has the extents of its exposure image, not of its image
  DrawKey anomaly;   // of the draws that make the anomaly
  DrawKey key;       // of all others
  Placement place;
  JitterPlan jitter;
  int32_t pixel_noise;  // whether noise is added
};

// Row or column of the stored image for output coordinate i; -1: padding. `in` is the stored extent.
FCDD_SHARED constexpr int32_t source_index(int32_t first, int32_t resized, int32_t in, int32_t i) {
  const int32_t at = first + i;
  if (at < 0 || at >= resized) return -1;
  return in == resized ? at : nearest_source(at, in, resized);
}
FCDD_SHARED constexpr int32_t source_row(const Placement& p, int32_t stored_height, int32_t y) {
  return source_index(p.top, p.height, stored_height, y);
}
// `width` is that of the network's input.
FCDD_SHARED constexpr int32_t source_column(const Placement& p, int32_t width, int32_t stored_width,
                                            int32_t x) {
  return source_index(p.left, p.width, stored_width, p.flip ? width - 1 - x : x);
}

// Extents of a stored image after the pipeline's resize, before padding.
FCDD_SHARED constexpr int32_t resized_height(const FcddPipeline& p, int32_t stored) {
  return p.resize_height > 0 ? p.resize_height : stored;
}
FCDD_SHARED constexpr int32_t resized_width(const FcddPipeline& p, int32_t stored) {
  return p.resize_width > 0 ? p.resize_width : stored;
}

// torchvision's centre crop: half the margin, rounded to even. Negative margins never get here.
FCDD_SHARED constexpr int32_t centre_offset(int32_t margin) {
  const int32_t half = margin / 2;
  return margin % 2 == 0 ? half : half + (half & 1);
}

FCDD_SHARED constexpr Placement draw_placement(const FcddPipeline& p, const DrawKey& key,
                                               int32_t stored_height, int32_t stored_width) {
  Draws draws = key.stream(Purpose::Place);
  const bool resize_only = draws.next_chance(0.5) && p.or_resize != 0;
  const bool flip = draws.next_chance(0.5) && p.flip != 0;
  const uint32_t row_bits = draws.next(), column_bits = draws.next();
  if (resize_only) return {p.height, p.width, 0, 0, flip};
  const int32_t height = resized_height(p, stored_height), width = resized_width(p, stored_width);
  const int32_t rows = height + 2 * p.pad - p.height, columns = width + 2 * p.pad - p.width;
  int32_t top = centre_offset(rows), left = centre_offset(columns);
  if (p.random_crop) {
    top = static_cast<int32_t>(below_from_bits(row_bits, static_cast<uint32_t>(rows) + 1));
    left = static_cast<int32_t>(below_from_bits(column_bits, static_cast<uint32_t>(columns) + 1));
  }
  return {height, width, top - p.pad, left - p.pad, flip};
}

// Uniform in [max(0, 1-strength), 1+strength].
FCDD_SHARED constexpr float jitter_factor(uint32_t bits, double strength) {
  const double low = strength < 1 ? 1 - strength : 0;
  return static_cast<float>(low + (1 + strength - low) * unit_from_bits(bits));
}

// One of the pipeline's jitters, each equally likely; a random order of four; an operation of strength 0 is
// left out.
FCDD_SHARED constexpr JitterPlan draw_jitter(const FcddPipeline& p, const DrawKey& key) {
  JitterPlan plan = {};
  if (p.jitter_count <= 0) return plan;
  Draws draws = key.stream(Purpose::Jitter);
  const FcddJitter& jitter = p.jitter[draws.next_below(static_cast<uint32_t>(p.jitter_count))];
  const double strength[4] = {jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue};
  for (int i = 0; i < 3; i++) plan.factor[i] = jitter_factor(draws.next(), strength[i]);
  const double hue = jitter.hue * (2 * draws.next_unit() - 1);
  plan.hue_shift = static_cast<uint8_t>(static_cast<int32_t>(hue * 255));  // towards zero, then modulo 256
  int32_t order[4] = {0, 1, 2, 3};
  for (int i = 3; i > 0; i--) {  // Fisher-Yates
    const uint32_t j = draws.next_below(static_cast<uint32_t>(i) + 1);
    const int32_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  for (const int32_t operation : order) {
    if (strength[operation] > 0) plan.order[plan.count++] = operation;
  }
  return plan;
}

// What must hold before a sample may be made; augment_check.h says what is wrong, in words, on the host.

constexpr int32_t longest_side = 1 << 15;  // exclusive; so that every product of extents fits its type

FCDD_SHARED constexpr bool extents_allowed(const FcddImage& image) {
  return image.height > 0 && image.width > 0 && image.height < longest_side && image.width < longest_side;
}

FCDD_SHARED constexpr bool within(uint64_t offset, uint64_t size, uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

// That an image's pixels, mask and foreground lie within its store's bytes.
FCDD_SHARED constexpr bool within_store(const FcddStore& store, const FcddImage& image) {
  const uint64_t pixels = static_cast<uint64_t>(image.height) * static_cast<uint64_t>(image.width);
  return within(image.pixels, pixels * static_cast<uint64_t>(store.channels), store.bytes.bytes) &&
         (image.mask == FCDD_NO_MASK || within(image.mask, pixels, store.bytes.bytes)) &&
         (image.foreground == FCDD_NO_MASK || within(image.foreground, pixels, store.bytes.bytes));
}

// Where an image's foreground lies in its store's bytes, when anomalies are kept to it; null: everywhere.
FCDD_SHARED constexpr const uint8_t* foreground_of(const FcddSupervision& s, const FcddImage& image,
                                                   const uint8_t* bytes) {
  return s.on_object == 0 || image.foreground == FCDD_NO_MASK ? nullptr : bytes + image.foreground;
}

FCDD_SHARED constexpr bool crop_fits(const FcddPipeline& p, const FcddImage& image) {
  return resized_height(p, image.height) + 2 * int64_t{p.pad} >= p.height &&
         resized_width(p, image.width) + 2 * int64_t{p.pad} >= p.width;
}

// Whether an exposure image can stand for a sample as it is: a crop inside it, without padding.
FCDD_SHARED constexpr bool keeps_size(const FcddPipeline& p, const FcddImage& exposure) {
  return resized_height(p, exposure.height) >= p.height && resized_width(p, exposure.width) >= p.width;
}

// The decisions for sample i of the batch. `order` is null for the identity; it has an index of 0 or more for
// the sample. `exposure` are the images of the exposure store, where there is one. Whether the sizes fit is
// still to be checked.
FCDD_SHARED constexpr SamplePlan plan_sample(const FcddAugment& a, const FcddImage* images,
                                             const FcddImage* exposure, const int32_t* order, int32_t i) {
  const FcddSupervision& s = a.supervision;
  SamplePlan plan = {};
  const uint32_t position = a.first + static_cast<uint32_t>(i);
  const int64_t index = order != nullptr ? int64_t{order[position]} : int64_t{position};
  plan.key = {a.seed, position, a.epoch};
  plan.anomaly = plan.key;
  plan.exposure = -1;
  bool anomalous = false;
  if (s.mode != FCDD_UNSUPERVISED && s.offline) {
    anomalous = index >= a.normals;
    plan.anomaly = {a.seed, static_cast<uint32_t>(index), offline_epoch};
  }
  Draws draws = plan.anomaly.stream(Purpose::Replace);
  const uint32_t chance_bits = draws.next(), exposure_bits = draws.next();
  if (s.mode != FCDD_UNSUPERVISED && !s.offline) anomalous = unit_from_bits(chance_bits) < s.probability;
  plan.image = static_cast<int32_t>((anomalous && s.offline ? index - a.normals : index) % a.images.count);
  if (anomalous) {
    plan.mode = s.mode;
    if (s.source == FCDD_EXPOSURE) {
      plan.exposure =
          static_cast<int32_t>(below_from_bits(exposure_bits, static_cast<uint32_t>(a.exposure.count)));
    }
  }
  plan.own_size =
      plan.mode == FCDD_NOISE && plan.exposure >= 0 && keeps_size(a.pipeline, exposure[plan.exposure]);
  const FcddImage& image = plan.own_size ? exposure[plan.exposure] : images[plan.image];
  plan.place = draw_placement(a.pipeline, plan.key, image.height, image.width);
  plan.jitter = draw_jitter(a.pipeline, plan.key);
  if (a.pipeline.noise_sigma > 0) {
    plan.pixel_noise = plan.key.stream(Purpose::PixelNoise).next_chance(a.pipeline.noise_probability);
  }
  return plan;
}

}  // namespace fcdd
