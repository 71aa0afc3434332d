// Scores and heatmaps: A per image, its mean in double, and A upsampled. One image per task, so that an
// image's bits do not depend on the others.
#include <algorithm>

#include "cpu/huber.h"
#include "cpu/steps.h"
#include "cpu/threads.h"
#include "cpu/upsample.h"

namespace fcdd::cpu {

void score(CpuDevice& device, const FcddScore& a) {
  require(a.batch > 0 && a.height > 0 && a.width > 0, "score: expected positive extents");
  const auto n = static_cast<uint64_t>(a.batch);
  const uint64_t low = static_cast<uint64_t>(a.height) * static_cast<uint64_t>(a.width);
  const bool with_maps = a.maps.arena != 0;
  uint64_t full = 0, worker_floats = 0;
  if (with_maps) {
    check(a.up);
    require(a.up.in_height == a.height && a.up.in_width == a.width,
            "score: the upsampling's input is not the map");
    full = static_cast<uint64_t>(a.up.height) * static_cast<uint64_t>(a.up.width);
    worker_floats = upsample_worker_floats(a.up);
  }
  const float* z = at<float>(device, a.z, n * low, "score: z");
  double* scores = at<double>(device, a.scores, n, "score: scores");
  float* low_maps = at_or_null<float>(device, a.low, n * low, "score: low");
  float* maps = at_or_null<float>(device, a.maps, n * full, "score: maps");
  const float* taps =
      with_maps ? at<float>(device, a.taps, static_cast<uint64_t>(a.up.taps), "score: taps") : nullptr;
  float* workspace =
      with_maps ? at<float>(device, a.workspace, static_cast<uint64_t>(device.threads) * worker_floats,
                            "score: workspace")
                : nullptr;
  parallel(device.threads, a.batch, [&](int64_t image, int worker) {
    const auto i = static_cast<uint64_t>(image);
    const float* zi = z + i * low;
    scores[i] = huber_mean(zi, low);
    if (low_maps != nullptr) {
      std::transform(zi, zi + low, low_maps + i * low, [](float v) { return static_cast<float>(huber(v)); });
    }
    if (maps != nullptr) {
      float* map = workspace + static_cast<uint64_t>(worker) * worker_floats;
      std::transform(zi, zi + low, map, [](float v) { return static_cast<float>(huber(v)); });
      upsample_image(*device.isa, a.up, taps, map, maps + i * full, map + low);
    }
  });
}

}  // namespace fcdd::cpu
