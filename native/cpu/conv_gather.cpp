// Rows are copied whole; what lies outside the image is zeroed.
#include "cpu/conv_gather.h"

#include <algorithm>
#include <cstring>

namespace fcdd::cpu {
namespace {

void copy_floats(float* to, const float* from, int64_t count) {
  if (count > 0) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

void zero_floats(float* to, int64_t count) {
  if (count > 0) std::memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

// Gathered pixels left..right-1 lie over source pixels without dilation.
void gather_row(const Gather& g, const float* row, float* to) {
  const int64_t left = std::clamp<int64_t>(g.padding, 0, g.width);
  const int64_t right = std::clamp<int64_t>(g.padding + g.w, left, g.width);
  zero_floats(to, left * g.c);
  copy_floats(to + left * g.c, row + (left - g.padding) * g.c, (right - left) * g.c);
  zero_floats(to + right * g.c, (g.width - right) * g.c);
}

void gather_dilated_row(const Gather& g, const float* row, float* to) {
  zero_floats(to, g.width * g.c);
  for (int64_t x = 0; x < g.w; x++) {
    const int64_t place = x * g.dilation + g.padding;
    if (place >= 0 && place < g.width) copy_floats(to + place * g.c, row + x * g.c, g.c);
  }
}

}  // namespace

void gather_rows(const Gather& g, const float* image, int64_t first, int64_t rows, float* to) {
  for (int64_t i = 0; i < rows; i++) {
    float* row = to + i * g.width * g.c;
    const int64_t y = first + i - g.padding;
    if (y < 0 || y % g.dilation != 0 || y / g.dilation >= g.h) {
      zero_floats(row, g.width * g.c);
    } else if (g.dilation == 1) {
      gather_row(g, image + y * g.w * g.c, row);
    } else {
      gather_dilated_row(g, image + y / g.dilation * g.w * g.c, row);
    }
  }
}

}  // namespace fcdd::cpu
