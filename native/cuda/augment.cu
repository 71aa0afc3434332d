// The input pipeline on the cuda device: bytes of a store -> a normalised batch, without a wait and without a
// look at the pixels on the host. Bytes, labels and masks equal those of the reference device; a sample
// depends on nothing but its position. augment.h says how the work is cut.
#include "cuda/augment.h"

#include <vector>

#include "cuda/steps.h"
#include "fcdd/augment_check.h"

namespace fcdd::cuda {
namespace {

constexpr SquareLayers layers_of(const FcddSupervision& s) {
  switch (s.mode == FCDD_UNSUPERVISED ? FCDD_EXPOSURE : s.source) {
    case FCDD_CONFETTI:
      return {{confetti_coloured, confetti_dark}, 2, 1};
    case FCDD_BLOB:
      return {{blob_squares, {}}, 1, 0};
    case FCDD_MIXED_BLOB:
      return {{mixed_blob_squares, mixed_blob_squares}, 2, 0};
    default:
      return {};
  }
}

bool has_synthetic_noise(const FcddSupervision& s) {
  return s.mode != FCDD_UNSUPERVISED && s.source != FCDD_EXPOSURE && !is_patch(s.source);
}

uint64_t rounded(uint64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Where everything lies in the workspace. The noise comes last and takes what is left: how large the largest
// image is, the host does not ask again.
struct Layout {
  uint64_t samples, sums, bytes, noise;
};

uint64_t input_values(const FcddPipeline& p) {
  return static_cast<uint64_t>(p.height) * static_cast<uint64_t>(p.width) * static_cast<uint64_t>(p.channels);
}

Layout layout_of(const FcddAugment& a) {
  const uint64_t n = static_cast<uint64_t>(a.batch);
  Layout at = {};
  at.sums = at.samples + rounded(n * sizeof(SampleState));
  at.bytes = at.sums + rounded(n * sizeof(SampleSums));
  at.noise = at.bytes + rounded(n * input_values(a.pipeline));
  return at;
}

StoreView view_of(const CudaDevice& device, const FcddStore& store, const char* name) {
  return {at<const uint8_t>(device, store.bytes, store.bytes.bytes, name), store.channels};
}

const FcddImage* images_of(const CudaDevice& device, const FcddStore& store, const char* name) {
  return at<const FcddImage>(device, store.images, static_cast<uint64_t>(store.count), name);
}

AugmentBatch batch_of(const CudaDevice& device, const FcddAugment& a) {
  const uint64_t n = static_cast<uint64_t>(a.batch), values = n * input_values(a.pipeline);
  const Layout layout = layout_of(a);
  uint8_t* workspace = at<uint8_t>(device, a.workspace, layout.noise, "workspace");
  AugmentBatch b = {};
  b.pipeline = a.pipeline;
  b.supervision = a.supervision;
  b.images = view_of(device, a.images, "images");
  b.exposure = a.exposure.count > 0 ? view_of(device, a.exposure, "exposure") : b.images;
  b.samples = reinterpret_cast<SampleState*>(workspace + layout.samples);
  b.sums = reinterpret_cast<SampleSums*>(workspace + layout.sums);
  b.noise = reinterpret_cast<int16_t*>(workspace + layout.noise);
  b.noise_values =
      has_synthetic_noise(a.supervision) ? (a.workspace.bytes - layout.noise) / n / sizeof(int16_t) : 0;
  b.bytes = at_or_null<uint8_t>(device, a.bytes, values, "bytes");
  if (b.bytes == nullptr) b.bytes = workspace + layout.bytes;
  b.masks =
      at_or_null<uint8_t>(device, a.masks, values / static_cast<uint64_t>(a.pipeline.channels), "masks");
  b.x = at_or_null<float>(device, a.x, values, "x");
  b.batch = a.batch;
  b.nominal_label = a.nominal_label;
  return b;
}

PlanInput plan_input(const CudaDevice& device, const FcddAugment& a) {
  PlanInput in = {};
  in.a = a;
  in.images = images_of(device, a.images, "images");
  in.exposure = a.exposure.count > 0 ? images_of(device, a.exposure, "exposure") : nullptr;
  in.order_count = a.order.bytes / sizeof(int32_t);
  in.order = at_or_null<const int32_t>(device, a.order, in.order_count, "order");
  in.labels = at_or_null<uint8_t>(device, a.labels, static_cast<uint64_t>(a.batch), "labels");
  in.failure = device.failure;
  in.layers = layers_of(a.supervision);
  return in;
}

bool has_contrast(const FcddPipeline& p) {
  for (int i = 0; i < p.jitter_count; i++) {
    if (p.jitter[i].contrast > 0) return true;
  }
  return false;
}

// Blocks for a sample at its stored size, which the host does not know: at most what the noise has room for.
int stored_slices(const AugmentBatch& b) {
  if (b.noise_values == 0) return augment_slices;
  return slices_of(static_cast<int64_t>(b.noise_values) / b.pipeline.channels);
}

}  // namespace

uint64_t augment_workspace_bytes(const CudaDevice& device, const FcddAugment& a) {
  const uint64_t fixed = layout_of(a).noise;
  if (!has_synthetic_noise(a.supervision)) return fixed;
  const uint64_t bytes = static_cast<uint64_t>(a.images.count) * sizeof(FcddImage);
  std::vector<FcddImage> images(static_cast<size_t>(a.images.count));
  copy_to_host(device.stream, images.data(), images_of(device, a.images, "images"), bytes);
  const uint64_t values =
      largest_image(images.data(), a.images.count) * static_cast<uint64_t>(a.pipeline.channels);
  return fixed + static_cast<uint64_t>(a.batch) * values * sizeof(int16_t);
}

void augment(CudaDevice& device, const FcddAugment& a) {
  check_augment(a);
  require(a.batch <= INT32_MAX / augment_slices, "augment: the batch is too large");
  require(input_values(a.pipeline) <= INT32_MAX, "augment: the network's input is too large");
  const AugmentBatch b = batch_of(device, a);
  const PlanInput input = plan_input(device, a);
  launch_plan(device.stream, b, input);
  const bool anomalies = a.supervision.mode != FCDD_UNSUPERVISED;
  if (has_synthetic_noise(a.supervision)) {
    if (input.layers.count > 0) {
      launch_noise_squares(device.stream, b, input.layers, stored_slices(b));
    } else {
      launch_noise_values(device.stream, b, stored_slices(b));
    }
  }
  if (anomalies && a.supervision.mode != FCDD_NOISE && a.supervision.offline == 0 &&
      !is_patch(a.supervision.source)) {
    launch_change(device.stream, b, stored_slices(b));
  }
  if (has_contrast(a.pipeline)) {
    const int slices = a.pipeline.jitter_first != 0
                           ? stored_slices(b)
                           : slices_of(int64_t{a.pipeline.height} * a.pipeline.width);
    launch_contrast(device.stream, b, slices);
  }
  launch_place(device.stream, b);
  if (b.x != nullptr) launch_values(device.stream, b);
}

}  // namespace fcdd::cuda
