// The values of an image in the order channel, row, column keep that order in another shape
// (reference/reshape.cpp).
#include "cpu/shape_step.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

void reshape(CpuDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  require(s.in == s.out, "reshape: expected as many values as before");
  // The shapes in the direction of the step.
  const FcddShapeProblem& p = a.p;
  const int64_t low = int64_t{p.in_height} * p.in_width, high = int64_t{p.height} * p.width;
  const int64_t area = a.backward ? high : low, channels = a.backward ? p.channels : p.in_channels;
  const int64_t to_area = a.backward ? low : high, to_channels = a.backward ? p.in_channels : p.channels;
  parallel(device.threads, p.batch, [&](int64_t n, int) {
    const float* from = s.from + n * s.in;
    float* to = s.to + n * s.in;
    for (int64_t c = 0; c < to_channels; c++) {
      for (int64_t j = 0; j < to_area; j++) {
        const int64_t i = c * to_area + j;  // in the order channel, row, column
        to[j * to_channels + c] = from[i % area * channels + i / area];
      }
    }
  });
}

}  // namespace fcdd::cpu
