// The first kernel of the input pipeline: a warp makes the decisions for one sample. Nobody waits for them on
// the host, so a sample that cannot be made is marked, and the device's failure word remembers the first of
// them.
#include "cuda/augment_blocks.h"

namespace fcdd::cuda {
namespace {

// The patch of a sample whose image is there; whether its donor is too.
FCDD_GPU bool decide_patch(const PlanInput& in, const AugmentBatch& b, SampleState& s) {
  const bool apart = in.a.supervision.source == FCDD_TEXTURE && in.a.exposure.count > 0;
  const FcddStore& store = apart ? in.a.exposure : in.a.images;
  const FcddImage* donors = apart ? in.exposure : in.images;
  s.patch = draw_patch(s.plan.anomaly, in.a.supervision, in.images, s.plan.image, donors, store.count, apart,
                       foreground_of(in.a.supervision, s.image, b.images.bytes));
  s.exposure = donors[s.patch.donor];
  return extents_allowed(s.exposure) && within_store(store, s.exposure);
}

// Whether everything that the sample reads is there; fills the plan and the images it refers to.
FCDD_GPU bool decide(const PlanInput& in, const AugmentBatch& b, int32_t i, SampleState& s) {
  const uint64_t position = uint64_t{in.a.first} + static_cast<uint64_t>(i);
  if (in.order != nullptr && (position >= in.order_count || in.order[position] < 0)) return false;
  s.plan = plan_sample(in.a, in.images, in.exposure, in.order, i);
  s.image = in.images[s.plan.image];
  if (!extents_allowed(s.image) || !within_store(in.a.images, s.image) ||
      !crop_fits(in.a.pipeline, s.image)) {
    return false;
  }
  if (s.plan.exposure >= 0) {
    s.exposure = in.exposure[s.plan.exposure];
    // Of such an image only the extents are asked for.
    if (s.plan.own_size) s.image = s.exposure;
    return extents_allowed(s.exposure) && within_store(in.a.exposure, s.exposure);
  }
  if (s.plan.mode != FCDD_UNSUPERVISED && is_patch(in.a.supervision.source)) return decide_patch(in, b, s);
  const uint64_t values = static_cast<uint64_t>(s.image.height) * static_cast<uint64_t>(s.image.width) *
                          static_cast<uint64_t>(in.a.pipeline.channels);
  return s.plan.mode == FCDD_UNSUPERVISED || values <= b.noise_values;
}

FCDD_GPU void describe(SampleState& s) {
  const bool replaced = s.plan.mode == FCDD_NOISE && s.plan.exposure >= 0;
  if (s.plan.mode == FCDD_UNSUPERVISED || replaced) {
    const FcddImage& shown = replaced ? s.exposure : s.image;
    s.label = shown.label != 0;
    s.mask_is_label = shown.mask == FCDD_NO_MASK;
  } else {
    s.label = 1;
    s.mask_is_label = s.plan.mode != FCDD_MALFORMED_GT;
  }
}

// count_squares of fcdd/squares.h, the lanes sharing the parts.
FCDD_GPU uint32_t count_squares_by_warp(const Draws& draws, const SquareLayer& layer, uint64_t pixels) {
  const uint64_t parts = parts_of(layer, pixels);
  uint32_t count = 0;
  for (uint64_t i = threadIdx.x; i < parts; i += 32) count += count_in_part(draws, layer, pixels, i);
  count = warp_sum(count);
  return count > 0 ? count : 1;
}

FCDD_KERNEL void plan_kernel(AugmentBatch b, PlanInput in) {
  const int32_t i = static_cast<int32_t>(blockIdx.x);
  SampleState s = {};
  s.skipped = !decide(in, b, i, s);
  if (!s.skipped) describe(s);
  if (!s.skipped && s.plan.mode != FCDD_UNSUPERVISED) {
    const uint64_t pixels = static_cast<uint64_t>(s.image.height) * static_cast<uint64_t>(s.image.width);
    for (int l = 0; l < in.layers.count; l++) {
      const Draws draws = s.plan.anomaly.stream(l == 0 ? Purpose::Squares : Purpose::MoreSquares);
      s.squares[l] = count_squares_by_warp(draws, in.layers.layer[l], pixels);
    }
  }
  if (threadIdx.x != 0) return;
  b.samples[i] = s;
  if (in.labels != nullptr)
    in.labels[i] = static_cast<uint8_t>(s.skipped ? 0 : s.label != in.a.nominal_label);
  if (s.skipped) atomic_min(in.failure, i);
}

}  // namespace

void launch_plan(Stream stream, const AugmentBatch& b, const PlanInput& input) {
  launch("augment (plan)", plan_kernel, {dim3(static_cast<unsigned>(b.batch)), dim3(32)}, stream, b, input);
}

}  // namespace fcdd::cuda
