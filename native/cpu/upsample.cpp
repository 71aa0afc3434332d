// Every low value spreads over a range of output positions: both passes are sums of scaled pieces of the
// taps, the adjoint their dot products. Images are independent.
#include "cpu/upsample.h"

#include <algorithm>
#include <cstring>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// Output positions first..last-1 that low position i reaches on one axis, and the tap that meets `first`.
struct Reach {
  int first, last, tap;
};

Reach reach(const FcddUpsampleProblem& p, int i, int extent) {
  const int64_t origin = static_cast<int64_t>(i) * p.jump + p.shift - (p.taps - 1) / 2;  // meets tap 0
  const int64_t first = std::clamp<int64_t>(origin, 0, extent);
  const int64_t last = std::clamp<int64_t>(origin + p.taps, 0, extent);
  return {static_cast<int>(first), static_cast<int>(std::max(first, last)), static_cast<int>(first - origin)};
}

}  // namespace

void check(const FcddUpsampleProblem& p) {
  require(p.batch > 0 && p.in_height > 0 && p.in_width > 0 && p.height > 0 && p.width > 0,
          "upsample: expected positive extents");
  require(p.taps > 0 && p.jump > 0, "upsample: expected positive taps and jump");
}

uint64_t upsample_scratch(const FcddUpsampleProblem& p) {
  return static_cast<uint64_t>(p.height) * static_cast<uint64_t>(p.in_width);
}

uint64_t upsample_worker_floats(const FcddUpsampleProblem& p) {
  const uint64_t low = static_cast<uint64_t>(p.in_height) * static_cast<uint64_t>(p.in_width);
  const uint64_t full = static_cast<uint64_t>(p.height) * static_cast<uint64_t>(p.width);
  return round_up(2 * low + full + upsample_scratch(p), 16);
}

void upsample_image(const IsaTable& isa, const FcddUpsampleProblem& p, const float* taps, const float* low,
                    float* full, float* scratch) {
  std::memset(scratch, 0, upsample_scratch(p) * sizeof(float));
  for (int i = 0; i < p.in_height; i++) {
    const Reach r = reach(p, i, p.height);
    for (int y = r.first; y < r.last; y++) {
      isa.axpy(p.in_width, taps[r.tap + y - r.first], low + int64_t{i} * p.in_width,
               scratch + int64_t{y} * p.in_width);
    }
  }
  for (int y = 0; y < p.height; y++) {
    float* row = full + int64_t{y} * p.width;
    std::memset(row, 0, sizeof(float) * static_cast<size_t>(p.width));
    for (int l = 0; l < p.in_width; l++) {
      const Reach r = reach(p, l, p.width);
      isa.axpy(r.last - r.first, scratch[int64_t{y} * p.in_width + l], taps + r.tap, row + r.first);
    }
  }
}

void upsample_image_adjoint(const IsaTable& isa, const FcddUpsampleProblem& p, const float* taps,
                            const float* full, float* low, float* scratch) {
  for (int y = 0; y < p.height; y++) {
    const float* row = full + int64_t{y} * p.width;
    for (int l = 0; l < p.in_width; l++) {
      const Reach r = reach(p, l, p.width);
      scratch[int64_t{y} * p.in_width + l] = isa.dot(r.last - r.first, taps + r.tap, row + r.first);
    }
  }
  std::memset(low, 0, sizeof(float) * static_cast<size_t>(p.in_height) * static_cast<size_t>(p.in_width));
  for (int i = 0; i < p.in_height; i++) {
    const Reach r = reach(p, i, p.height);
    for (int y = r.first; y < r.last; y++) {
      isa.axpy(p.in_width, taps[r.tap + y - r.first], scratch + int64_t{y} * p.in_width,
               low + int64_t{i} * p.in_width);
    }
  }
}

uint64_t upsample_workspace_bytes(const CpuDevice& device, const FcddUpsampleProblem& p) {
  return static_cast<uint64_t>(device.threads) * upsample_worker_floats(p) * sizeof(float);
}

void upsample(CpuDevice& device, const FcddUpsample& a) {
  check(a.p);
  const uint64_t low = static_cast<uint64_t>(a.p.in_height) * static_cast<uint64_t>(a.p.in_width);
  const uint64_t full = static_cast<uint64_t>(a.p.height) * static_cast<uint64_t>(a.p.width);
  const auto n = static_cast<uint64_t>(a.p.batch);
  const uint64_t worker_floats = upsample_worker_floats(a.p);
  const float* taps = at<float>(device, a.taps, static_cast<uint64_t>(a.p.taps), "upsample: taps");
  const float* x = at<float>(device, a.x, n * (a.backward ? full : low), "upsample: x");
  float* y = at<float>(device, a.y, n * (a.backward ? low : full), "upsample: y");
  float* workspace = at<float>(device, a.workspace, static_cast<uint64_t>(device.threads) * worker_floats,
                               "upsample: workspace");
  parallel(device.threads, a.p.batch, [&](int64_t image, int worker) {
    const auto i = static_cast<uint64_t>(image);
    float* scratch = workspace + static_cast<uint64_t>(worker) * worker_floats;
    if (a.backward) {
      upsample_image_adjoint(*device.isa, a.p, taps, x + i * full, y + i * low, scratch);
    } else {
      upsample_image(*device.isa, a.p, taps, x + i * low, y + i * full, scratch);
    }
  });
}

}  // namespace fcdd::cpu
