// 1/(1+exp(-x)) and its gradient, y (1-y), from the input.
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {

void sigmoid(ReferenceDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  if (s.in != s.out) throw Error("FCDD_INVALID_ARGUMENT", "a sigmoid keeps the shape");
  const uint64_t values = count(a.p.batch) * s.in;
  const double* x = a.backward ? device.need<double>(a.x, values, "x") : s.from;
  for (uint64_t i = 0; i < values; i++) {
    const double y = 1 / (1 + std::exp(-x[i]));
    s.to[i] = a.backward ? s.from[i] * y * (1 - y) : y;
  }
}

}  // namespace fcdd::reference
