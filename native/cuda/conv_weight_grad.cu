// The weight gradient: how pixels are split into slices, and the case of one filter (the head), whose
// gradient is a weighted sum of pixels and has a kernel of its own, in float32 whatever the precision.
#include "cuda/conv_weight_grad.h"

namespace fcdd::cuda {
namespace {

// Slices make enough blocks for a large GPU, of a few hundred pixels at least.
constexpr int64_t enough_slice_blocks = 512, least_slice_pixels = 256;
constexpr int single_threads = 128;

struct Slices {
  bool single, wide;
  int64_t pixels, count;
};

Slices slices_of(const ConvShape& s) {
  const int64_t columns = s.taps() * s.c, pixels = s.out_pixels();
  const bool single = s.k == 1, wide = s.k > 64 && columns > 64;
  const int64_t extent = wide ? 128 : 64;
  const int64_t tiles =
      single ? blocks_for(columns, single_threads) : blocks_for(s.k, extent) * blocks_for(columns, extent);
  const int64_t most = std::max<int64_t>(1, enough_slice_blocks / tiles);
  const int64_t length = std::max(least_slice_pixels, blocks_for(blocks_for(pixels, most), 32) * 32);
  return {single, wide, length, blocks_for(pixels, length)};
}

// One filter: a thread per place adds dy * x over the slice's pixels, in order.
FCDD_KERNEL void FCDD_BOUNDS(single_threads, 8) conv_weight_grad_single(WeightGradRun run) {
  const ConvView& v = run.view;
  const int64_t place = int64_t{blockIdx.x} * single_threads + threadIdx.x;
  if (place >= v.depth) return;
  const Tap tap = tap_of(v, static_cast<int32_t>(place));
  const auto slice = static_cast<int32_t>(blockIdx.y);
  const int32_t begin = slice * run.slice_pixels, end = min(begin + run.slice_pixels, v.pixels);
  float sum = 0;
  for (int32_t pixel = begin; pixel < end; pixel++) {
    const int32_t from = pixel_under(v, window_of(v, pixel), tap);
    const float x = from >= 0 ? run.x[static_cast<int64_t>(from) * v.channels + tap.channel] : 0;
    sum = fmaf(run.dy[pixel], x, sum);
  }
  run.partial[static_cast<int64_t>(slice) * v.depth + place] = sum;
}

}  // namespace

uint64_t weight_grad_workspace(const ConvShape& s) {
  return static_cast<uint64_t>(slices_of(s).count) * s.weights() * sizeof(float);
}

void weight_grad(CudaDevice& device, const ConvShape& s, const float* x, const float* dy, float* dw,
                 float* workspace) {
  const Slices slices = slices_of(s);
  const auto count = static_cast<int32_t>(slices.count);
  const WeightGradRun run{view_of(s, FCDD_FORWARD), x, dy, workspace, static_cast<int32_t>(slices.pixels)};
  if (slices.single) {
    const dim3 grid(static_cast<unsigned>(blocks_for(run.view.depth, single_threads)),
                    static_cast<unsigned>(count));
    launch("weight gradient of one filter", conv_weight_grad_single, {grid, dim3(single_threads)},
           device.stream, run);
  } else if (device.precision == Precision::float32) {
    weight_grad_float32(device, run, count, slices.wide);
  } else if (device.precision == Precision::tf32) {
    weight_grad_tf32(device, run, count, slices.wide);
  } else {
    weight_grad_bf16(device, run, count, slices.wide);
  }
  combine_slices(device, workspace, count, s.k, s.c, s.taps(), dw);
}

}  // namespace fcdd::cuda
