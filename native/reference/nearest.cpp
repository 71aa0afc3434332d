// Nearest-neighbour upsampling by 2: every pixel becomes 2 x 2 equal ones; the gradient is their sum, in
// row-major order.
#include "reference/steps.h"

namespace fcdd::reference {

void nearest(ReferenceDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  const FcddShapeProblem& p = a.p;
  if (p.height != 2 * p.in_height || p.width != 2 * p.in_width || p.channels != p.in_channels) {
    throw Error("FCDD_INVALID_ARGUMENT", "nearest upsampling doubles height and width");
  }
  const int64_t C = p.channels, W = p.width;
  for (int64_t n = 0; n < p.batch; n++) {
    for (int64_t i = 0; i < p.in_height; i++) {
      for (int64_t j = 0; j < p.in_width; j++) {
        for (int64_t c = 0; c < C; c++) {
          const int64_t low = ((n * p.in_height + i) * p.in_width + j) * C + c;
          const int64_t high = ((n * p.height + 2 * i) * W + 2 * j) * C + c;
          if (a.backward) {
            s.to[low] = s.from[high] + s.from[high + C] + s.from[high + W * C] + s.from[high + W * C + C];
          } else {
            s.to[high] = s.to[high + C] = s.to[high + W * C] = s.to[high + W * C + C] = s.from[low];
          }
        }
      }
    }
  }
}

}  // namespace fcdd::reference
