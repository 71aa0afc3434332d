// The buffers of a step between two shapes, checked once: `from` and `to` in the direction of the step.
#pragma once

#include "cpu/device.h"
#include "fcdd/device.h"

namespace fcdd::cpu {

struct ShapeBuffers {
  const float* from;
  float* to;
  int64_t in, out;  // values of an image before and after the layer
};

inline ShapeBuffers shape_buffers(const CpuDevice& device, const FcddShapeStep& a) {
  const FcddShapeProblem& p = a.p;
  require(p.batch > 0 && p.in_height > 0 && p.in_width > 0 && p.in_channels > 0 && p.height > 0 &&
              p.width > 0 && p.channels > 0,
          "a step between shapes: expected positive extents");
  const int64_t in = int64_t{p.in_height} * p.in_width * p.in_channels,
                out = int64_t{p.height} * p.width * p.channels;
  return {at<float>(device, a.from, static_cast<uint64_t>(p.batch * (a.backward ? out : in)), "from"),
          at<float>(device, a.to, static_cast<uint64_t>(p.batch * (a.backward ? in : out)), "to"), in, out};
}

}  // namespace fcdd::cpu
