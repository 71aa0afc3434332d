// Stages 5 to 7 in float32: bytes -> noise, LCN, affine scaling (reference/augment_values.cpp explains them).
//
// Statistics of bytes are exact integers. Without noise the three stages are one affine function of a byte;
// with noise, values are kept in x as distances from an integer centre near the mean, so that nothing cancels
// in float32. Sums of such values are double, in a fixed order.
#include "cuda/augment_sample.h"
#include "fcdd/normal.h"

namespace fcdd::cuda {
namespace {

constexpr float unit = 1.0f / 255;

FCDD_GPU int64_t values_of(const FcddPipeline& p) {
  return placed_area(p) * p.channels;
}

// ---- noise -------------------------------------------------------------------------------------------

struct NoiseScale {
  int32_t centre;
  float sigma, low, high;
};

// By a whole warp.
FCDD_GPU NoiseScale noise_scale(const AugmentBatch& b, const SampleSums& sums, int slices) {
  const FcddPipeline& p = b.pipeline;
  const int64_t n = values_of(p);
  const uint64_t total = slices_sum(sums.total, slices), squares = slices_sum(sums.squares, slices);
  const int32_t centre = static_cast<int32_t>(total / static_cast<uint64_t>(n));
  double sigma = p.noise_sigma;
  if (p.noise_relative) {  // of the image's own unbiased standard deviation
    const double sum = static_cast<double>(total);
    const double variance = n < 2 ? 0
                                  : (static_cast<double>(squares) - sum / static_cast<double>(n) * sum) /
                                        static_cast<double>(n - 1);
    sigma *= sqrt(variance > 0 ? variance : 0) / 255;
  }
  return {centre, static_cast<float>(sigma), static_cast<float>(-centre / 255.0),
          static_cast<float>((255 - centre) / 255.0)};
}

FCDD_GPU float noisy_value(const FcddPipeline& p, const NoiseScale& scale, uint8_t byte, uint32_t bits) {
  float v = static_cast<float>(byte - scale.centre) * unit + scale.sigma * normal_from_bits(bits);
  if (p.noise_clamp) v = v < scale.low ? scale.low : (v > scale.high ? scale.high : v);
  return v;
}

// x of the samples that have noise added, and their sums. A thread makes the four values of a block of draws.
FCDD_KERNEL void noisy_kernel(AugmentBatch b, int slices) {
  FCDD_SHARED_ARRAY(NoiseScale, shared_scale, [1]);
  FCDD_SHARED_ARRAY(double, warps, [augment_warps][1]);
  const BlockPlace at = block_place(slices);
  const SampleState& s = b.samples[at.sample];
  if (s.skipped || !s.plan.pixel_noise) return;
  if (threadIdx.x < 32) {
    const NoiseScale scale = noise_scale(b, b.sums[at.sample], slices);
    if (threadIdx.x == 0) shared_scale[0] = scale;
  }
  sync_block();
  const NoiseScale scale = shared_scale[0];
  const int64_t n = values_of(b.pipeline);
  const uint8_t* bytes = b.bytes + at.sample * n;
  float* x = b.x + at.sample * n;
  const Draws draws = s.plan.key.stream(Purpose::PixelNormals);
  const bool whole = n % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;  // one store for four values
  const Range quads = slice_range((n + 3) / 4, at.slice, slices);
  double sums[1] = {0};
  for (int64_t quad = quads.first + threadIdx.x; quad < quads.past; quad += augment_threads) {
    const Philox4 bits = draws.block(static_cast<uint32_t>(quad));
    float v[4];
    FCDD_UNROLL
    for (int k = 0; k < 4; k++) {
      const int64_t i = 4 * quad + k;
      if (i >= n) break;
      v[k] = noisy_value(b.pipeline, scale, bytes[i], bits.v[k]);
      sums[0] += v[k];
      if (!whole) x[i] = v[k];
    }
    if (whole) *reinterpret_cast<float4*>(x + 4 * quad) = make_float4(v[0], v[1], v[2], v[3]);
  }
  block_sums(sums, warps);
  if (threadIdx.x == 0) b.sums[at.sample].noisy[at.slice] = sums[0];
}

// ---- LCN ---------------------------------------------------------------------------------------------

// A sample's mean, of bytes in levels, of values with noise in units of [0,1] from the centre. By a whole
// warp.
FCDD_GPU double mean_of(const AugmentBatch& b, const SampleState& s, const SampleSums& sums, int slices) {
  const double n = static_cast<double>(values_of(b.pipeline));
  if (s.plan.pixel_noise) return slices_sum(sums.noisy, slices) / n;
  return static_cast<double>(slices_sum(sums.total, slices)) / n;
}

// Sums of deviations from the mean. Of bytes only those above it are taken, exactly; they are half of all.
FCDD_KERNEL void deviation_kernel(AugmentBatch b, int slices) {
  FCDD_SHARED_ARRAY(double, shared_mean, [1]);
  FCDD_SHARED_ARRAY(double, warps, [augment_warps][1]);
  const BlockPlace at = block_place(slices);
  const SampleState& s = b.samples[at.sample];
  if (s.skipped) return;
  if (threadIdx.x < 32) {
    const double mean = mean_of(b, s, b.sums[at.sample], slices);
    if (threadIdx.x == 0) shared_mean[0] = mean;
  }
  sync_block();
  const double mean = shared_mean[0];
  const int64_t n = values_of(b.pipeline);
  const Range range = slice_range(n, at.slice, slices);
  double sums[1] = {0};
  if (s.plan.pixel_noise) {
    const float* x = b.x + at.sample * n;
    const float middle = static_cast<float>(mean);
    for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
      sums[0] += fabsf(x[i] - middle);
    }
  } else {
    const uint8_t* bytes = b.bytes + at.sample * n;
    const uint32_t level = static_cast<uint32_t>(mean);
    uint32_t count = 0, total = 0;
    for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
      if (bytes[i] > level) {
        count++;
        total += bytes[i];
      }
    }
    sums[0] = 2 * (static_cast<double>(total) - static_cast<double>(count) * mean);
  }
  block_sums(sums, warps);
  if (threadIdx.x == 0) b.sums[at.sample].deviation[at.slice] = sums[0];
}

// ---- affine ------------------------------------------------------------------------------------------

// What finishes a value v: v gain[c] + bias[c]. Bytes are taken as v = byte - centre.
struct Finish {
  int32_t centre;
  float gain[3], bias[3];
};

// By a whole warp. All levels here are in units of a byte.
FCDD_GPU Finish finish_of(const AugmentBatch& b, const SampleState& s, const SampleSums& sums, int slices) {
  const FcddPipeline& p = b.pipeline;
  const bool noisy = s.plan.pixel_noise != 0;
  const double n = static_cast<double>(values_of(p));
  const uint64_t total = slices_sum(sums.total, slices);
  Finish f = {static_cast<int32_t>(total / static_cast<uint64_t>(values_of(p))), {}, {}};
  double mean = 0, deviation = 255;
  if (p.lcn) {
    deviation = slices_sum(sums.deviation, slices) / n * (noisy ? 255 : 1);
    if (!(deviation > 0)) deviation = 255;
    const double own = mean_of(b, s, sums, slices);
    mean = noisy ? f.centre + own * 255 : own;
  } else if (!noisy) {
    const double offset = p.offset[0] < 0 ? 0 : (p.offset[0] > 1 ? 1 : p.offset[0]);
    f.centre = static_cast<int32_t>(offset * 255);
  }
  FCDD_UNROLL
  for (int c = 0; c < 3; c++) {
    if (c >= p.channels) break;
    f.gain[c] = static_cast<float>((noisy ? 255 : 1) / deviation / p.scale[c]);
    f.bias[c] = static_cast<float>(((f.centre - mean) / deviation - p.offset[c]) / p.scale[c]);
  }
  return f;
}

template <int C>
FCDD_KERNEL void finish_kernel(AugmentBatch b, int slices) {
  FCDD_SHARED_ARRAY(Finish, shared_finish, [1]);
  const BlockPlace at = block_place(slices);
  const SampleState& s = b.samples[at.sample];
  const int64_t n = values_of(b.pipeline);
  const Range range = slice_range(n, at.slice, slices);
  const uint8_t* bytes = b.bytes + at.sample * n;
  float* x = b.x + at.sample * n;
  if (s.skipped) {
    for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) x[i] = 0;
    return;
  }
  if (threadIdx.x < 32) {
    const Finish f = finish_of(b, s, b.sums[at.sample], slices);
    if (threadIdx.x == 0) shared_finish[0] = f;
  }
  sync_block();
  const Finish& f = shared_finish[0];
  const bool noisy = s.plan.pixel_noise != 0;
  for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
    const int c = C == 1 ? 0 : static_cast<int>(static_cast<uint32_t>(i) % C);
    const float v = noisy ? x[i] : static_cast<float>(bytes[i] - f.centre);
    x[i] = v * f.gain[c] + f.bias[c];
  }
}

}  // namespace

void launch_values(Stream stream, const AugmentBatch& b) {
  const FcddPipeline& p = b.pipeline;
  const int slices = slices_of(int64_t{p.height} * p.width);
  const Launch shape = {dim3(static_cast<unsigned>(b.batch) * static_cast<unsigned>(slices)),
                        dim3(augment_threads)};
  if (p.noise_sigma > 0 && p.noise_probability > 0) {
    launch("augment (pixel noise)", noisy_kernel, shape, stream, b, slices);
  }
  if (p.lcn) launch("augment (deviation)", deviation_kernel, shape, stream, b, slices);
  launch("augment (values)", p.channels == 3 ? finish_kernel<3> : finish_kernel<1>, shape, stream, b, slices);
}

}  // namespace fcdd::cuda
