// What a host checks before it runs the input pipeline, so that no bad argument crashes a device. Throws
// fcdd::Error with FCDD_INVALID_ARGUMENT, saying what was expected and what was received.
#pragma once

#include <string>

#include "fcdd/augment.h"
#include "fcdd/draws.h"
#include "fcdd/errors.h"
#include "fcdd/patches.h"

namespace fcdd {

inline void augment_require(bool condition, const std::string& what) {
  if (!condition) throw Error("FCDD_INVALID_ARGUMENT", what);
}

inline std::string size_text(int64_t height, int64_t width) {
  return std::to_string(height) + "x" + std::to_string(width);
}

inline void check_pipeline(const FcddPipeline& p) {
  const auto require = augment_require;
  require(p.height > 0 && p.width > 0,
          "pipeline: expected a positive height and width, received " + size_text(p.height, p.width));
  require(p.channels == 1 || p.channels == 3,
          "pipeline.channels: expected 1 or 3, received " + std::to_string(p.channels));
  require(p.resize_height >= 0 && p.resize_width >= 0 && (p.resize_height > 0) == (p.resize_width > 0),
          "pipeline.resize: expected two positive extents or none, received " +
              size_text(p.resize_height, p.resize_width));
  require(p.pad >= 0, "pipeline.pad: expected 0 or more, received " + std::to_string(p.pad));
  require(p.jitter_count >= 0 && p.jitter_count <= 2,
          "pipeline.jitter: expected at most two, received " + std::to_string(p.jitter_count));
  for (int i = 0; i < p.jitter_count; i++) {
    const FcddJitter& j = p.jitter[i];
    require(j.brightness >= 0 && j.contrast >= 0 && j.saturation >= 0 && j.hue >= 0 && j.hue <= 0.5,
            "pipeline.jitter: expected strengths of 0 or more, hue at most 0.5");
  }
  require(p.noise_sigma >= 0,
          "pipeline.noise.sigma: expected 0 or more, received " + std::to_string(p.noise_sigma));
  for (int c = 0; c < p.channels; c++) {
    require(p.scale[c] != 0 && p.scale[c] == p.scale[c] && p.offset[c] == p.offset[c],
            "pipeline.scale: expected numbers other than 0, received " + std::to_string(p.scale[c]));
  }
}

inline void check_store(const FcddStore& store, const char* name) {
  augment_require(
      store.channels == 1 || store.channels == 3,
      std::string(name) + ": expected 1 or 3 channels, received " + std::to_string(store.channels));
  augment_require(store.count > 0, std::string(name) + ": expected at least one image");
}

inline void check_supervision(const FcddSupervision& s) {
  augment_require(s.mode >= FCDD_UNSUPERVISED && s.mode <= FCDD_MALFORMED_GT,
                  "supervision.mode: expected 0 to 3, received " + std::to_string(s.mode));
  augment_require(s.source >= FCDD_CONFETTI && s.source <= FCDD_TEXTURE,
                  "supervision.source: expected 0 to 8, received " + std::to_string(s.source));
  augment_require(s.mode != FCDD_NOISE || !is_patch(s.source),
                  "supervision: cut-paste and texture change an image and are none of their own; expected a "
                  "malformed mode with them");
  augment_require(s.mode != FCDD_NOISE || s.on_object == 0,
                  "supervision.on_object: expected a malformed mode; an image that replaces another has no "
                  "object");
  augment_require(s.probability >= 0 && s.probability <= 1,
                  "supervision.probability: expected 0 to 1, received " + std::to_string(s.probability));
}

inline void check_augment(const FcddAugment& a) {
  augment_require(a.batch > 0,
                  "augment: expected a batch of at least 1, received " + std::to_string(a.batch));
  check_pipeline(a.pipeline);
  check_store(a.images, "images");
  check_supervision(a.supervision);
  if (a.supervision.mode != FCDD_UNSUPERVISED && a.supervision.source == FCDD_EXPOSURE) {
    check_store(a.exposure, "exposure");
  }
  augment_require(a.supervision.offline == 0 || a.normals > 0,
                  "augment.normals: expected at least 1 with offline supervision");
  augment_require(a.nominal_label == 0 || a.nominal_label == 1,
                  "augment.nominal_label: expected 0 or 1, received " + std::to_string(a.nominal_label));
}

// That image `index` of a store lies within the store's bytes.
inline void check_image(const FcddStore& store, const FcddImage& image, int64_t index, const char* name) {
  const std::string which = std::string(name) + "[" + std::to_string(index) + "]";
  augment_require(extents_allowed(image), which + ": expected extents of 1 to " +
                                              std::to_string(longest_side - 1) + ", received " +
                                              size_text(image.height, image.width));
  augment_require(within_store(store, image), which + ": its pixels, mask or foreground leave the store's " +
                                                  std::to_string(store.bytes.bytes) + " bytes");
}

// That the crop fits into the image; called with the image that position `i` of the batch shows.
inline void check_crop(const FcddPipeline& p, const FcddImage& image, int64_t index) {
  const int64_t height = resized_height(p, image.height) + 2 * int64_t{p.pad};
  const int64_t width = resized_width(p, image.width) + 2 * int64_t{p.pad};
  augment_require(crop_fits(p, image),
                  "images[" + std::to_string(index) + "]: the crop of " + size_text(p.height, p.width) +
                      " is larger than the resized and padded image of " + size_text(height, width) +
                      "; resize the images or make the network's input smaller");
}

// The decisions for sample i, after all checks of what they refer to.
inline SamplePlan checked_plan(const FcddAugment& a, const FcddImage* images, const FcddImage* exposure,
                               const int32_t* order, int32_t i) {
  const uint64_t position = uint64_t{a.first} + static_cast<uint64_t>(i);
  augment_require(order == nullptr || (position < a.order.bytes / sizeof(int32_t) && order[position] >= 0),
                  "augment.order: position " + std::to_string(position) + " has no index of 0 or more");
  const SamplePlan plan = plan_sample(a, images, exposure, order, i);
  check_image(a.images, images[plan.image], plan.image, "images");
  check_crop(a.pipeline, images[plan.image], plan.image);
  if (plan.exposure >= 0) check_image(a.exposure, exposure[plan.exposure], plan.exposure, "exposure");
  return plan;
}

// The patch of a checked plan, or none (donor -1), after the check of its donor. `images` and `bytes` are
// those of the store, `exposure` those of the exposure store.
inline Patch checked_patch(const FcddAugment& a, const SamplePlan& plan, const FcddImage* images,
                           const uint8_t* bytes, const FcddImage* exposure) {
  if (plan.mode == FCDD_UNSUPERVISED || !is_patch(a.supervision.source)) {
    Patch none = {};
    none.donor = -1;
    return none;
  }
  const bool apart = a.supervision.source == FCDD_TEXTURE && a.exposure.count > 0;
  const FcddStore& store = apart ? a.exposure : a.images;
  const FcddImage* donors = apart ? exposure : images;
  const Patch patch = draw_patch(plan.anomaly, a.supervision, images, plan.image, donors, store.count, apart,
                                 foreground_of(a.supervision, images[plan.image], bytes));
  check_image(store, donors[patch.donor], patch.donor, apart ? "exposure" : "images");
  return patch;
}

// Whether exposure images replace samples, which then may have the exposure images' extents.
inline bool replaces_by_exposure(const FcddSupervision& s) {
  return s.mode == FCDD_NOISE && s.source == FCDD_EXPOSURE;
}

// Pixels of the largest image of a store: what scratch memory must hold.
inline uint64_t largest_image(const FcddImage* images, int32_t count) {
  uint64_t largest = 0;
  for (int32_t i = 0; i < count; i++) {
    const uint64_t pixels = static_cast<uint64_t>(images[i].height) * static_cast<uint64_t>(images[i].width);
    if (pixels > largest) largest = pixels;
  }
  return largest;
}

}  // namespace fcdd
