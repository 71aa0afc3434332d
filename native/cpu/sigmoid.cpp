// 1/(1+exp(-x)) and its gradient from the input; the exponential in double.
#include <algorithm>
#include <cmath>

#include "cpu/shape_step.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

void sigmoid(CpuDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  require(s.in == s.out, "sigmoid: expected an output of the input's shape");
  const int64_t values = a.p.batch * s.in;
  const float* x = a.backward ? at<float>(device, a.x, static_cast<uint64_t>(values), "x") : s.from;
  constexpr int64_t piece = 1 << 12;
  parallel(device.threads, (values + piece - 1) / piece, [&](int64_t index, int) {
    for (int64_t i = index * piece; i < std::min(values, (index + 1) * piece); i++) {
      const double y = 1 / (1 + std::exp(-static_cast<double>(x[i])));
      s.to[i] = static_cast<float>(a.backward ? static_cast<double>(s.from[i]) * y * (1 - y) : y);
    }
  });
}

}  // namespace fcdd::cpu
