// A convolution with one filter (the head): a warp per pixel, lanes over the depth, sums added in a fixed
// tree; in float32 whatever the precision, for reading the input takes longer than the arithmetic.
#include "cuda/conv_paths.h"
#include "cuda/instructions.h"
#include "cuda/runtime.h"
#include "cuda/values.h"

namespace fcdd::cuda {
namespace {

constexpr int dot_warps = 8;

template <int V>
FCDD_KERNEL void FCDD_BOUNDS(32 * dot_warps, 4) conv_dot(ConvRun run) {
  const ConvView& v = run.view;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t pixel = int64_t{blockIdx.x} * dot_warps + threadIdx.x / 32;
  if (pixel >= v.pixels) return;
  const Window window = window_of(v, static_cast<int32_t>(pixel));
  float sum = 0;
  for (int place = lane * V; place < v.depth; place += 32 * V) {
    const Tap tap = tap_of(v, place);
    const int32_t from = pixel_under(v, window, tap);
    if (from < 0) continue;
    float x[V], w[V];
    load<V>(run.from + (static_cast<int64_t>(from) * v.channels + tap.channel), x);
    load<V>(static_cast<const float*>(run.packed) + place, w);
    FCDD_UNROLL
    for (int i = 0; i < V; i++) sum = fmaf(x[i], w[i], sum);
  }
  FCDD_UNROLL
  for (unsigned mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  if (lane == 0) run.to[pixel] = run.epilogue(sum, 0);
}

}  // namespace

void run_dot(CudaDevice& device, const ConvRun& run) {
  const Launch shape{dim3(static_cast<unsigned>(blocks_for(run.view.pixels, dot_warps))),
                     dim3(32 * dot_warps)};
  const bool by_four = run.view.channels % 4 == 0 && aligned_for_vectors(run.from);
  launch("convolution with one filter", by_four ? conv_dot<4> : conv_dot<1>, shape, device.stream, run);
}

}  // namespace fcdd::cuda
