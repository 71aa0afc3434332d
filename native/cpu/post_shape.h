// Sizes of a post step (norm, activation, pooling), checked once, and how its work is cut.
#pragma once

#include <algorithm>

#include "cpu/device.h"
#include "fcdd/problems.h"

namespace fcdd::cpu {

struct PostShape {
  int64_t n, h, w, c, oh, ow;
  bool norm;
  uint64_t channels() const { return static_cast<uint64_t>(c); }
  uint64_t inputs() const { return static_cast<uint64_t>(n * h * w * c); }
  uint64_t outputs() const { return static_cast<uint64_t>(n * oh * ow * c); }
};

inline PostShape shape_of(const FcddPostProblem& p) {
  require(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0, "post: expected positive extents");
  PostShape s{p.batch, p.height, p.width, p.channels, p.height, p.width, p.norm != FCDD_NORM_NONE};
  const FcddPool& pool = p.pool;
  if (pool.kernel == 0) return s;
  require(
      pool.kernel > 0 && pool.kernel <= 16 && pool.stride > 0 && pool.padding >= 0 &&
          2 * pool.padding <= pool.kernel && pool.kernel <= p.height + 2 * pool.padding &&
          pool.kernel <= p.width + 2 * pool.padding,
      "post: expected a pooling window of 1 to 16 that fits into the input, padded by at most half of it");
  s.oh = fcdd_out_extent(p.height, pool.kernel, pool.stride, pool.padding);
  s.ow = fcdd_out_extent(p.width, pool.kernel, pool.stride, pool.padding);
  return s;
}

// The kernel's view of the whole channel range; mean, scale and shift are left null.
inline PostRows rows_of(const FcddPostProblem& p, const PostShape& s) {
  PostRows rows{};
  rows.h = p.height, rows.w = p.width;
  rows.oh = static_cast<int>(s.oh), rows.ow = static_cast<int>(s.ow);
  rows.c = s.c;
  rows.channels = p.channels;
  rows.kernel = p.pool.kernel, rows.stride = p.pool.stride, rows.padding = p.pool.padding;
  rows.leaky = p.activation == FCDD_ACT_LEAKY;
  rows.slope = static_cast<float>(p.slope);
  return rows;
}

// Rows per task: about 256 KiB of input, by shape alone.
inline int64_t rows_per_slice(int64_t rows, int64_t row_floats) {
  return std::clamp<int64_t>(64 * 1024 / row_floats, 1, rows);
}

}  // namespace fcdd::cpu
