// Heatmaps of the baselines: the sum over channels of |a|, or the mean over channels of (a-b)^2.
#include <cmath>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

void channel_map(CpuDevice& device, const FcddChannelMap& a) {
  require(a.batch > 0 && a.height > 0 && a.width > 0 && a.channels > 0,
          "channel_map: expected positive extents");
  const int64_t rows = int64_t{a.batch} * a.height, row = int64_t{a.width} * a.channels;
  const float* x = at<float>(device, a.a, static_cast<uint64_t>(rows * row), "channel_map: a");
  const float* y = at_or_null<float>(device, a.b, static_cast<uint64_t>(rows * row), "channel_map: b");
  float* map = at<float>(device, a.map, static_cast<uint64_t>(rows * a.width), "channel_map: map");
  parallel(device.threads, rows, [&](int64_t r, int) {
    for (int64_t i = r * a.width; i < (r + 1) * a.width; i++) {
      float sum = 0;
      for (int64_t c = i * a.channels; c < (i + 1) * a.channels; c++)
        sum += y == nullptr ? std::abs(x[c]) : (x[c] - y[c]) * (x[c] - y[c]);
      map[i] = y == nullptr ? sum : sum / static_cast<float>(a.channels);
    }
  });
}

}  // namespace fcdd::cpu
