// The input pipeline on the `reference` device, stage by stage in the order of fcdd/augment.h. Everything up
// to the bytes is integer arithmetic and equal on every device; from there on it is float64.
#include <algorithm>

#include "fcdd/augment_check.h"
#include "reference/augment_stages.h"
#include "reference/steps.h"

namespace fcdd::reference {
namespace {

// A store with its bytes where they can be read.
struct Images {
  const FcddStore& store;
  const FcddImage* images;
  const uint8_t* bytes;
};

Images images_of(const ReferenceDevice& device, const FcddStore& store, const char* name) {
  return {store, device.need<FcddImage>(store.images, count(store.count), name),
          device.need<uint8_t>(store.bytes, store.bytes.bytes, name)};
}

// A stored image and its mask at the size and with the channels of `s`: nearest neighbour (Pillow's
// convention) when the size differs, ITU-R 601 grey for one channel, three equal channels from one. A mask
// that is not stored is the label everywhere.
void load(const Images& from, const FcddImage& image, Sample& s) {
  const int32_t channels = from.store.channels;
  for (int32_t y = 0; y < s.height; y++) {
    const int64_t row = nearest_source(y, image.height, s.height);
    for (int32_t x = 0; x < s.width; x++) {
      const int64_t source = row * image.width + nearest_source(x, image.width, s.width);
      const int64_t target = int64_t{y} * s.width + x;
      const uint8_t* pixel = from.bytes + image.pixels + source * channels;
      const uint8_t grey = channels == 3 ? grey_level(pixel[0], pixel[1], pixel[2]) : pixel[0];
      for (int32_t c = 0; c < s.channels; c++) {
        s.pixels[target * s.channels + c] = channels == s.channels ? pixel[c] : grey;
      }
      s.mask[target] = image.mask == FCDD_NO_MASK ? image.label != 0 : from.bytes[image.mask + source] != 0;
    }
  }
}

// No change outside of the foreground.
void keep_to(const uint8_t* foreground, const Sample& s, int32_t* noise) {
  for (int64_t i = 0; i < s.values(); i++) {
    if (foreground[i / s.channels] == 0) noise[i] = 0;
  }
}

// Stage 1. The result has the size of the stored image; returns the label.
int32_t supervise(const FcddAugment& a, const Images& images, const Images& exposure, const SamplePlan& plan,
                  Sample& s, int32_t* noise, int32_t* scratch) {
  const FcddImage& image = images.images[plan.image];
  if (plan.mode == FCDD_NOISE && plan.exposure >= 0) {
    load(exposure, exposure.images[plan.exposure], s);
    return exposure.images[plan.exposure].label;
  }
  if (plan.mode == FCDD_UNSUPERVISED) {
    load(images, image, s);
    return image.label;
  }
  const uint8_t* foreground = foreground_of(a.supervision, image, images.bytes);
  const Patch patch = checked_patch(a, plan, images.images, images.bytes, exposure.images);
  if (plan.exposure >= 0) {  // malformed by an image instead of noise
    load(exposure, exposure.images[plan.exposure], s);
    std::copy_n(s.pixels, s.values(), noise);
  } else if (patch.donor < 0) {
    synthetic_noise(a.supervision, plan.anomaly, s, foreground, noise, scratch);
  }
  load(images, image, s);
  if (patch.donor >= 0) {
    const Images& from = patch.apart ? exposure : images;
    patch_noise(patch, plan.anomaly, from.bytes + from.images[patch.donor].pixels, from.store.channels, s,
                noise);
  }
  if (foreground != nullptr) keep_to(foreground, s, noise);
  apply_noise(a.supervision, noise, s);
  return 1;
}

// Stage 3. Padding is black; in a stored mask it is normal, while a mask that is one value stays that
// everywhere.
void place(const FcddPipeline& p, const Placement& where, const Sample& s, bool whole, int32_t label,
           uint8_t* bytes, uint8_t* mask) {
  for (int32_t y = 0; y < p.height; y++) {
    const int64_t row = source_row(where, s.height, y);
    for (int32_t x = 0; x < p.width; x++) {
      const int64_t column = source_column(where, p.width, s.width, x);
      const int64_t source = row * s.width + column, target = int64_t{y} * p.width + x;
      const bool padding = row < 0 || column < 0;
      for (int32_t c = 0; c < p.channels; c++) {
        bytes[target * p.channels + c] = padding ? 0 : s.pixels[source * p.channels + c];
      }
      if (mask != nullptr) mask[target] = whole ? label != 0 : (padding ? 0 : s.mask[source]);
    }
  }
}

// Whether the sample's mask is its label everywhere.
bool mask_is_label(const SamplePlan& plan, const Images& images, const Images& exposure) {
  if (plan.mode == FCDD_NOISE && plan.exposure >= 0) {
    return exposure.images[plan.exposure].mask == FCDD_NO_MASK;
  }
  if (plan.mode != FCDD_UNSUPERVISED) return plan.mode != FCDD_MALFORMED_GT;
  return images.images[plan.image].mask == FCDD_NO_MASK;
}

// Scratch memory of one sample: pixels and mask at the stored size, two noise images, the placed bytes.
struct Scratch {
  uint64_t noise, pixels, mask, bytes, total;
};

Scratch scratch_of(const FcddAugment& a, uint64_t largest) {
  const uint64_t values = largest * static_cast<uint64_t>(a.pipeline.channels);
  const uint64_t pixels = 2 * values * sizeof(int32_t), mask = pixels + values, bytes = mask + largest;
  return {0, pixels, mask, bytes,
          bytes + count(a.pipeline.height, a.pipeline.width) * static_cast<uint64_t>(a.pipeline.channels)};
}

uint64_t largest_sample(const ReferenceDevice& device, const FcddAugment& a) {
  const uint64_t largest = largest_image(images_of(device, a.images, "images").images, a.images.count);
  if (!replaces_by_exposure(a.supervision) || a.exposure.count == 0) return largest;
  const Images exposure = images_of(device, a.exposure, "exposure");
  return std::max(largest, largest_image(exposure.images, a.exposure.count));
}

}  // namespace

uint64_t augment_workspace_bytes(const ReferenceDevice& device, const FcddAugment& a) {
  return scratch_of(a, largest_sample(device, a)).total;
}

void augment(ReferenceDevice& device, const FcddAugment& a) {
  check_augment(a);
  const FcddPipeline& p = a.pipeline;
  const Images images = images_of(device, a.images, "images");
  const Images exposure = a.exposure.count > 0 ? images_of(device, a.exposure, "exposure") : images;
  const int32_t* order = device.maybe<int32_t>(a.order, a.order.bytes / sizeof(int32_t), "order");
  const Scratch at = scratch_of(a, largest_sample(device, a));
  uint8_t* workspace = device.need<uint8_t>(a.workspace, at.total, "workspace");
  const uint64_t area = count(p.height, p.width), values = area * static_cast<uint64_t>(p.channels);
  const uint64_t n = static_cast<uint64_t>(a.batch);
  double* x = device.maybe<double>(a.x, n * values, "x");
  uint8_t* labels = device.maybe<uint8_t>(a.labels, n, "labels");
  uint8_t* masks = device.maybe<uint8_t>(a.masks, n * area, "masks");
  uint8_t* bytes = device.maybe<uint8_t>(a.bytes, n * values, "bytes");

  for (uint64_t i = 0; i < n; i++) {
    const SamplePlan plan = checked_plan(a, images.images, exposure.images, order, static_cast<int32_t>(i));
    const FcddImage& image = plan.own_size ? exposure.images[plan.exposure] : images.images[plan.image];
    Sample s = {workspace + at.pixels, workspace + at.mask, image.height, image.width, p.channels};
    int32_t* noise = reinterpret_cast<int32_t*>(workspace);
    const int32_t label = supervise(a, images, exposure, plan, s, noise, noise + s.values());
    if (p.jitter_first) jitter(plan.jitter, s.pixels, s.area(), s.channels);
    uint8_t* placed = bytes != nullptr ? bytes + i * values : workspace + at.bytes;
    uint8_t* mask = masks != nullptr ? masks + i * area : nullptr;
    place(p, plan.place, s, mask_is_label(plan, images, exposure), label, placed, mask);
    for (uint64_t k = 0; mask != nullptr && k < area; k++) mask[k] = mask[k] != a.nominal_label;
    if (!p.jitter_first) jitter(plan.jitter, placed, static_cast<int64_t>(area), p.channels);
    if (labels != nullptr) labels[i] = static_cast<uint8_t>(a.nominal_label != 0 ? label == 0 : label);
    if (x != nullptr) normalise(p, plan, placed, x + i * values);
  }
}

}  // namespace fcdd::reference
