// Scores and heatmaps: A per image, its mean in double, and A upsampled. One block per image, so that an
// image's bits do not depend on the others.
#include "cuda/huber.h"
#include "cuda/reduce.h"
#include "cuda/steps.h"
#include "cuda/upsample.h"
#include "cuda/values.h"

namespace fcdd::cuda {
namespace {

FCDD_KERNEL void map_and_mean(int64_t size, const float* z, double* scores, float* map) {
  FCDD_SHARED_ARRAY(double, shared, [block_threads]);
  const int64_t first = int64_t{blockIdx.x} * size;
  double sum[1] = {};
  for (int64_t i = threadIdx.x; i < size; i += block_threads) {
    const double value = huber(z[first + i]);
    sum[0] += value;
    if (map != nullptr) map[first + i] = static_cast<float>(value);
  }
  sum_rows(sum, shared, static_cast<int>(threadIdx.x), 1, block_threads);
  if (threadIdx.x == 0) scores[blockIdx.x] = sum[0] / static_cast<double>(size);
}

}  // namespace

void score(CudaDevice& device, const FcddScore& a) {
  require(a.batch > 0 && a.height > 0 && a.width > 0, "score: expected positive extents");
  const auto n = static_cast<uint64_t>(a.batch);
  const uint64_t size = static_cast<uint64_t>(a.height) * static_cast<uint64_t>(a.width);
  const float* z = at<float>(device, a.z, n * size, "score: z");
  double* scores = at<double>(device, a.scores, n, "score: scores");
  float* low = at_or_null<float>(device, a.low, n * size, "score: low");
  float *maps = nullptr, *wide = nullptr;
  const float* taps = nullptr;
  if (a.maps.arena != 0) {
    check(a.up);
    require(a.up.in_height == a.height && a.up.in_width == a.width,
            "score: the upsampling's input is not the map");
    const uint64_t full = static_cast<uint64_t>(a.up.height) * static_cast<uint64_t>(a.up.width);
    maps = at<float>(device, a.maps, n * full, "score: maps");
    taps = at<float>(device, a.taps, static_cast<uint64_t>(a.up.taps), "score: taps");
    const UpsampleWorkspace w = upsample_workspace(device, a.up, a.batch, a.workspace, "score: workspace");
    wide = w.wide;
    if (low == nullptr) low = w.low;
  }
  launch("score", map_and_mean, {{static_cast<unsigned>(a.batch)}, {block_threads}}, device.stream,
         static_cast<int64_t>(size), z, scores, low);
  if (maps == nullptr) return;
  spread_x(device, a.up, a.batch, taps, low, wide);
  spread_y(device, a.up, a.batch, taps, wide, maps);
}

}  // namespace fcdd::cuda
