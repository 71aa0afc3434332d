// The values of an image in the order channel, row, column keep that order in another shape: what PyTorch's
// `view` does to N x C x H x W. Activations lie channels-last, so values move.
#include "reference/steps.h"

namespace fcdd::reference {

void reshape(ReferenceDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  const FcddShapeProblem& p = a.p;
  if (s.in != s.out) throw Error("FCDD_INVALID_ARGUMENT", "a reshape must keep the number of values");
  const uint64_t in_area = count(p.in_height, p.in_width), area = count(p.height, p.width);
  const uint64_t in_channels = count(p.in_channels), channels = count(p.channels);
  for (uint64_t n = 0; n < count(p.batch); n++) {
    for (uint64_t i = 0; i < s.in; i++) {  // in the order channel, row, column
      const uint64_t before = n * s.in + i % in_area * in_channels + i / in_area;
      const uint64_t after = n * s.in + i % area * channels + i / area;
      s.to[a.backward ? before : after] = s.from[a.backward ? after : before];
    }
  }
}

}  // namespace fcdd::reference
