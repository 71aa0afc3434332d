// Adaptive average pooling to a given extent, PyTorch's rule: cell i of n covers input rows floor(i h / n) to
// ceil((i+1) h / n), so cells may overlap, and a smaller input is repeated.
#include <algorithm>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

// Input rows (or columns) first..last-1 of cell i.
struct Cell {
  int64_t first, last;
};
Cell cell(int64_t i, int64_t in, int64_t out) {
  return {i * in / out, ((i + 1) * in + out - 1) / out};
}

}  // namespace

void average_pool(ReferenceDevice& device, const FcddShapeStep& a) {
  const ShapeBuffers s = shape_buffers(device, a);
  const FcddShapeProblem& p = a.p;
  if (p.channels != p.in_channels) throw Error("FCDD_INVALID_ARGUMENT", "pooling keeps the channels");
  const int64_t C = p.channels;
  if (a.backward) std::fill_n(s.to, count(p.batch) * s.in, 0.0);
  for (int64_t n = 0; n < p.batch; n++) {
    for (int64_t i = 0; i < p.height; i++) {
      for (int64_t j = 0; j < p.width; j++) {
        const Cell rows = cell(i, p.in_height, p.height), columns = cell(j, p.in_width, p.width);
        const double size = static_cast<double>((rows.last - rows.first) * (columns.last - columns.first));
        for (int64_t c = 0; c < C; c++) {
          const int64_t out = ((n * p.height + i) * p.width + j) * C + c;
          double sum = 0;
          for (int64_t y = rows.first; y < rows.last; y++) {
            for (int64_t x = columns.first; x < columns.last; x++) {
              const int64_t in = ((n * p.in_height + y) * p.in_width + x) * C + c;
              if (a.backward) {
                s.to[in] += s.from[out] / size;
              } else {
                sum += s.from[in];
              }
            }
          }
          if (!a.backward) s.to[out] = sum / size;
        }
      }
    }
  }
}

}  // namespace fcdd::reference
