// Copies rows of an image, with their padding, to where a convolution kernel can run over them without a
// border.
#pragma once

#include <cstdint>

namespace fcdd::cpu {

// The source as the kernel sees it: `padding` zeros (or, when negative, cropped values) on each side, and
// with `dilation` 2 a zero between neighbours, as the input gradient of a convolution of stride 2 wants it.
struct Gather {
  int64_t h, w, c;  // of the source
  int padding, dilation;
  int64_t width;  // of a gathered row, in pixels
};

// Rows first..first+rows-1 of the padded image -> to[rows][width][c].
void gather_rows(const Gather& g, const float* image, int64_t first, int64_t rows, float* to);

}  // namespace fcdd::cpu
