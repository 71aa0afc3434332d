// Stages 1 to 4: bytes and masks of the network's input, pulled pixel by pixel out of the stores, with the
// sums over the whole image that some pixels depend on. All of it is integer arithmetic, equal on every
// device.
#include "cuda/augment_sample.h"

namespace fcdd::cuda {
namespace {

// How much +noise and -noise change the image in all.
template <int C>
FCDD_KERNEL void change_kernel(AugmentBatch b, int blocks_per_sample) {
  FCDD_SHARED_ARRAY(int64_t, warps, [augment_warps][2]);
  const BlockPlace at = block_place(blocks_per_sample);
  const SampleState& s = b.samples[at.sample];
  const int slices = slices_of(stored_area(s));
  if (s.skipped || !sign_is_open(b, s) || at.slice >= slices) return;
  const Range range = slice_range(stored_area(s), at.slice, slices);
  int64_t sums[2] = {0, 0};
  for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
    const auto [y, x] = row_and_column(i, s.image.width);
    uint8_t level[C];
    int32_t noise[C];
    read_levels(b.images, s.image, i, level);
    read_noise(b, at.sample, s, y, x, noise);
    FCDD_UNROLL
    for (int c = 0; c < C; c++) {
      sums[0] += clamped(level[c] + noise[c]) - level[c];
      sums[1] += clamped(level[c] - noise[c]) - level[c];
    }
  }
  block_sums(sums, warps);
  if (threadIdx.x != 0) return;
  b.sums[at.sample].plain[at.slice] = sums[0];
  b.sums[at.sample].inverted[at.slice] = sums[1];
}

FCDD_GPU int64_t magnitude(int64_t v) {
  return v < 0 ? -v : v;
}

// Online, noise is inverted when its mean change is below 0.025 grey levels and the inverted one's is larger.
FCDD_GPU bool noise_inverted(const AugmentBatch& b, int sample, const SampleState& s) {
  if (!sign_is_open(b, s)) return false;
  const int slices = slices_of(stored_area(s));
  const int64_t plain = magnitude(slices_sum(b.sums[sample].plain, slices));
  const int64_t inverted = magnitude(slices_sum(b.sums[sample].inverted, slices));
  return plain * 40 < stored_area(s) * b.pipeline.channels && inverted > plain;
}

// Pixels over which the contrast jitter takes its mean.
FCDD_GPU int64_t jittered_area(const AugmentBatch& b, const SampleState& s) {
  return b.pipeline.jitter_first != 0 ? stored_area(s) : placed_area(b.pipeline);
}

// The sum of grey levels before a sample's contrast jitter.
template <int C>
FCDD_KERNEL void contrast_kernel(AugmentBatch b, int blocks_per_sample) {
  FCDD_SHARED_ARRAY(uint64_t, warps, [augment_warps][1]);
  const BlockPlace at = block_place(blocks_per_sample);
  const SampleState& s = b.samples[at.sample];
  const int slices = slices_of(jittered_area(b, s)), step = contrast_step(s.plan.jitter);
  if (s.skipped || step == s.plan.jitter.count || at.slice >= slices) return;
  const FcddPipeline& p = b.pipeline;
  const bool inverted = noise_inverted(b, at.sample, s);
  const Range range = slice_range(jittered_area(b, s), at.slice, slices);
  uint64_t sums[1] = {0};
  for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
    const int32_t width = p.jitter_first != 0 ? s.image.width : p.width;
    const auto [y, x] = row_and_column(i, width);
    PlacedSource from = {y, x, false};
    if (p.jitter_first == 0) from = placed_source(p, s, y, x);
    Pixel<C> pixel = {};
    if (!from.padding) pixel = shown_pixel<C>(b, at.sample, s, inverted, from.row, from.column);
    jitter_pixel(s.plan.jitter, step, 0, pixel.level);
    sums[0] += grey_of(pixel.level);
  }
  block_sums(sums, warps);
  if (threadIdx.x == 0) b.sums[at.sample].grey[at.slice] = sums[0];
}

FCDD_GPU uint8_t pivot_of(const AugmentBatch& b, int sample, const SampleState& s) {
  if (contrast_step(s.plan.jitter) == s.plan.jitter.count) return 0;
  const int64_t area = jittered_area(b, s);
  return contrast_pivot(slices_sum(b.sums[sample].grey, slices_of(area)), static_cast<uint64_t>(area));
}

// Padding is black: before the jitter or after it, as the pipeline says. In a stored mask it is normal.
template <int C>
FCDD_GPU Pixel<C> placed_pixel(const AugmentBatch& b, int sample, const SampleState& s,
                               const SampleLevels& levels, int32_t y, int32_t x) {
  const PlacedSource from = placed_source(b.pipeline, s, y, x);
  Pixel<C> pixel = {};
  if (!from.padding) pixel = shown_pixel<C>(b, sample, s, levels.inverted, from.row, from.column);
  if (!from.padding || b.pipeline.jitter_first == 0) {
    jitter_pixel(s.plan.jitter, s.plan.jitter.count, levels.pivot, pixel.level);
  }
  if (s.mask_is_label) pixel.mask = static_cast<uint8_t>(s.label);
  return pixel;
}

template <int C>
FCDD_KERNEL void place_kernel(AugmentBatch b, int slices) {
  FCDD_SHARED_ARRAY(uint64_t, warps, [augment_warps][2]);
  const BlockPlace at = block_place(slices);
  const SampleState& s = b.samples[at.sample];
  const int64_t area = placed_area(b.pipeline);
  const Range range = slice_range(area, at.slice, slices);
  SampleLevels levels = {};
  if (!s.skipped) levels = {noise_inverted(b, at.sample, s), pivot_of(b, at.sample, s)};
  uint64_t sums[2] = {0, 0};
  for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
    Pixel<C> pixel = {};
    if (!s.skipped) {
      const auto [y, x] = row_and_column(i, b.pipeline.width);
      pixel = placed_pixel<C>(b, at.sample, s, levels, y, x);
    }
    const int64_t out = at.sample * area + i;
    FCDD_UNROLL
    for (int c = 0; c < C; c++) {
      b.bytes[out * C + c] = pixel.level[c];
      sums[0] += pixel.level[c];
      sums[1] += uint32_t{pixel.level[c]} * pixel.level[c];
    }
    if (b.masks != nullptr) b.masks[out] = !s.skipped && pixel.mask != b.nominal_label;
  }
  if (b.x == nullptr) return;
  block_sums(sums, warps);
  if (threadIdx.x != 0) return;
  b.sums[at.sample].total[at.slice] = sums[0];
  b.sums[at.sample].squares[at.slice] = sums[1];
}

Launch blocks_for(const AugmentBatch& b, int slices) {
  return {dim3(static_cast<unsigned>(b.batch) * static_cast<unsigned>(slices)), dim3(augment_threads)};
}

}  // namespace

void launch_change(Stream stream, const AugmentBatch& b, int slices) {
  launch("augment (change)", b.pipeline.channels == 3 ? change_kernel<3> : change_kernel<1>,
         blocks_for(b, slices), stream, b, slices);
}

void launch_contrast(Stream stream, const AugmentBatch& b, int slices) {
  launch("augment (contrast)", b.pipeline.channels == 3 ? contrast_kernel<3> : contrast_kernel<1>,
         blocks_for(b, slices), stream, b, slices);
}

void launch_place(Stream stream, const AugmentBatch& b) {
  const int slices = slices_of(int64_t{b.pipeline.height} * b.pipeline.width);
  launch("augment (place)", b.pipeline.channels == 3 ? place_kernel<3> : place_kernel<1>,
         blocks_for(b, slices), stream, b, slices);
}

}  // namespace fcdd::cuda
