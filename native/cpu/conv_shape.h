// Sizes of a convolution, checked once, in 64 bits.
#pragma once

#include <cstdint>

#include "cpu/device.h"
#include "fcdd/problems.h"

namespace fcdd::cpu {

struct ConvShape {
  int64_t n, h, w, c;  // input
  int64_t k;           // filters
  int64_t oh, ow;      // output
  int kernel, stride, padding;
  uint64_t inputs() const { return static_cast<uint64_t>(n * h * w * c); }
  uint64_t outputs() const { return static_cast<uint64_t>(n * oh * ow * k); }
  uint64_t weights() const { return static_cast<uint64_t>(k * c * kernel * kernel); }
};

inline ConvShape shape_of(const FcddConvProblem& p) {
  require(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0 && p.filters > 0,
          "convolution: expected positive extents");
  require(p.kernel > 0 && p.stride > 0 && p.padding >= 0,
          "convolution: expected a positive kernel and stride and a padding of at least 0");
  ConvShape s{p.batch, p.height, p.width, p.channels, p.filters, 0, 0, p.kernel, p.stride, p.padding};
  require(p.height + 2 * p.padding >= p.kernel && p.width + 2 * p.padding >= p.kernel,
          "convolution: the kernel is larger than the padded input");
  s.oh = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  s.ow = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  return s;
}

}  // namespace fcdd::cpu
