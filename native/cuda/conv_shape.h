// Sizes of a convolution, checked once, and the one picture that the kernels have of it: a view.
//
// Forward pass and input gradient are the same computation on different arrays, so both become a ConvView:
//
//   to[m, f] = sum over taps (r, s) and channels c of from[image, y, x, c] * w[(r, s), c, f]
//
// where m counts pixels of `to` over all images, and y is (row of m) * step - offset + r, divided by
// `dilation` (rows that it does not divide count as zero, as do rows outside; x likewise). Forward: from = x,
// step = stride, dilation = 1. Input gradient: from = dy, step = 1, dilation = stride, taps in reverse order.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "cuda/kernel.h"
#include "fcdd/device.h"

namespace fcdd::cuda {

// Division of 0 <= n < 2^31 by a fixed divisor: a multiplication and a shift (Granlund and Montgomery, 1994).
struct FastDivide {
  uint32_t multiplier, shift, divisor;

  FCDD_GPU int32_t operator()(int32_t n) const {
    const auto value = static_cast<uint32_t>(n);
    const auto high = static_cast<uint32_t>(static_cast<uint64_t>(multiplier) * value >> 32);
    return static_cast<int32_t>((high + value) >> shift);
  }
};

inline FastDivide fast_divide(int64_t divisor) {
  uint32_t shift = 0;
  while ((int64_t{1} << shift) < divisor) shift++;
  const int64_t multiplier = ((int64_t{1} << 32) * ((int64_t{1} << shift) - divisor)) / divisor + 1;
  return {static_cast<uint32_t>(multiplier), shift, static_cast<uint32_t>(divisor)};
}

struct ConvView {
  int32_t from_height, from_width, channels;
  int32_t to_height, to_width, filters;
  int32_t kernel, step, dilation, offset;
  int32_t pixels;                     // of `to`, all images
  int32_t depth;                      // kernel * kernel * channels: products per value of `to`
  FastDivide by_image, by_row;        // of a pixel of `to`: to_height * to_width, to_width
  FastDivide by_channels, by_kernel;  // of a place in the depth; of a tap
};

// Where the window of a pixel of `to` begins.
struct Window {
  int32_t y, x;   // of its first tap, before dilation
  int32_t image;  // index of the image's first pixel in `from`
};

FCDD_GPU Window window_of(const ConvView& v, int32_t m) {
  const int32_t image = v.by_image(m), rest = m - image * v.to_height * v.to_width;
  const int32_t row = v.by_row(rest), column = rest - row * v.to_width;
  return {row * v.step - v.offset, column * v.step - v.offset, image * v.from_height * v.from_width};
}

// A window that no tap of finds a pixel: for rows of a tile past the last pixel.
FCDD_GPU Window no_window() {
  return {INT32_MIN / 2, INT32_MIN / 2, 0};
}

struct Tap {
  int32_t r, s, channel;
};

FCDD_GPU Tap tap_of(const ConvView& v, int32_t place) {
  const int32_t tap = v.by_channels(place), r = v.by_kernel(tap);
  return {r, tap - r * v.kernel, place - tap * v.channels};
}

// Index of the pixel of `from` under a tap, or -1 where there is none.
FCDD_GPU int32_t pixel_under(const ConvView& v, const Window& window, const Tap& tap) {
  int32_t y = window.y + tap.r, x = window.x + tap.s;
  if (v.dilation != 1) {
    if (y < 0 || x < 0 || y % v.dilation != 0 || x % v.dilation != 0) return -1;
    y /= v.dilation;
    x /= v.dilation;
  }
  const bool inside = static_cast<uint32_t>(y) < static_cast<uint32_t>(v.from_height) &&
                      static_cast<uint32_t>(x) < static_cast<uint32_t>(v.from_width);
  return inside ? window.image + y * v.from_width + x : -1;
}

// ---- host ----------------------------------------------------------------------------------------------

struct ConvShape {
  int64_t n, h, w, c;  // input
  int64_t k;           // filters
  int64_t oh, ow;      // output
  int32_t kernel, stride, padding;
  int64_t taps() const { return int64_t{kernel} * kernel; }
  int64_t in_pixels() const { return n * h * w; }
  int64_t out_pixels() const { return n * oh * ow; }
  uint64_t inputs() const { return static_cast<uint64_t>(in_pixels() * c); }
  uint64_t outputs() const { return static_cast<uint64_t>(out_pixels() * k); }
  uint64_t weights() const { return static_cast<uint64_t>(k * c * taps()); }
};

ConvShape shape_of(const FcddConvProblem& p);  // throws when sizes do not fit
ConvView view_of(const ConvShape& s, int32_t pass);

inline int64_t blocks_for(int64_t count, int64_t per_block) {
  return (count + per_block - 1) / per_block;
}

}  // namespace fcdd::cuda
