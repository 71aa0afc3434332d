// Adaptive average pooling and its gradient, image by image (the rule: reference/average_pool.cpp).
#include <algorithm>

#include "cpu/shape_step.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

struct Cell {
  int64_t first, last;  // input rows or columns first..last-1
  int64_t size() const { return last - first; }
};
Cell cell(int64_t i, int64_t in, int64_t out) {
  return {i * in / out, ((i + 1) * in + out - 1) / out};
}

void add(int64_t n, float factor, const float* from, float* to) {
  for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

// Calls visit(offset of the input pixel, offset of the output pixel, 1 / size of the cell) for every pair
// that the pooling connects, cell by cell.
template <class Visit>
void for_each_pair(const FcddShapeProblem& p, Visit visit) {
  for (int64_t i = 0; i < p.height; i++) {
    for (int64_t j = 0; j < p.width; j++) {
      const Cell rows = cell(i, p.in_height, p.height), columns = cell(j, p.in_width, p.width);
      const float share = 1 / static_cast<float>(rows.size() * columns.size());
      for (int64_t y = rows.first; y < rows.last; y++) {
        for (int64_t x = columns.first; x < columns.last; x++)
          visit((y * p.in_width + x) * p.channels, (i * p.width + j) * p.channels, share);
      }
    }
  }
}

}  // namespace

void average_pool(CpuDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  const FcddShapeProblem& p = a.p;
  require(p.channels == p.in_channels, "average_pool: expected as many channels as before");
  const int64_t from_size = a.backward ? s.out : s.in, to_size = a.backward ? s.in : s.out;
  parallel(device.threads, p.batch, [&](int64_t n, int) {
    const float* from = s.from + n * from_size;
    float* to = s.to + n * to_size;
    std::fill_n(to, to_size, 0.0f);
    for_each_pair(p, [&](int64_t in, int64_t out, float share) {
      add(p.channels, share, from + (a.backward ? out : in), to + (a.backward ? in : out));
    });
  });
}

}  // namespace fcdd::cpu
