// Nearest-neighbour upsampling by 2 and its gradient, row by row.
#include <cstring>

#include "cpu/shape_step.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// One input row -> two output rows.
void spread(int64_t width, int64_t channels, const float* from, float* to) {
  const size_t pixel = static_cast<size_t>(channels) * sizeof(float);
  float* out = to;
  for (int64_t x = 0; x < width; x++, from += channels) {
    for (int twice = 0; twice < 2; twice++, out += channels) std::memcpy(out, from, pixel);
  }
  std::memcpy(out, to, 2 * static_cast<size_t>(width) * pixel);
}

// The gradients of two output rows -> that of their input row.
void gather(int64_t width, int64_t channels, const float* upper, const float* lower, float* to) {
  for (int64_t x = 0; x < width; x++) {
    const float *a = upper + 2 * x * channels, *b = lower + 2 * x * channels;
    float* out = to + x * channels;
    for (int64_t c = 0; c < channels; c++) out[c] = a[c] + a[channels + c] + b[c] + b[channels + c];
  }
}

}  // namespace

void nearest(CpuDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  const FcddShapeProblem& p = a.p;
  require(p.height == 2 * p.in_height && p.width == 2 * p.in_width && p.channels == p.in_channels,
          "nearest: expected twice the height and width");
  const int64_t low = int64_t{p.in_width} * p.channels, high = int64_t{p.width} * p.channels;
  parallel(device.threads, int64_t{p.batch} * p.in_height, [&](int64_t row, int) {
    if (a.backward) {
      const float* upper = s.from + 2 * row * high;
      gather(p.in_width, p.channels, upper, upper + high, s.to + row * low);
    } else {
      spread(p.in_width, p.channels, s.from + row * low, s.to + 2 * row * high);
    }
  });
}

}  // namespace fcdd::cpu
