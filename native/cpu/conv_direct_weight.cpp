// Weight gradient, direct. The batch is cut into chunks of images or of rows, whatever the threads. A chunk's
// input is laid out (with padding) and, unless panels of filters fill it exactly, its output gradient.
//
// Where dw is small, as in first layers, each worker takes chunks of its own, and their sums are added up in
// order. Else all workers share out the tiles of dw for one chunk after the other, which take up where the
// previous chunk left them.
#include <algorithm>
#include <cstring>

#include "cpu/conv_direct.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

constexpr int64_t chunk_floats = 512 * 1024;  // both operands: they are shared through the last-level cache
// A chunk of a worker's own stays in its second-level cache.
constexpr int64_t own_chunk_floats = 128 * 1024;
constexpr uint64_t small_dw = 16 * 1024;  // floats
constexpr int64_t most_sums = 64;         // of small ones, before they are added up
// Of a panel of dy: it serves all kernel rows from a first-level cache.
constexpr int64_t block_floats = 4 * 1024;

struct WeightGradPlan {
  Gather from;
  int64_t panels, width;  // panels of filters
  int64_t rows, images;   // of a chunk
  int64_t gathered_rows;  // of one image of a chunk
  bool packs_dy;          // else it is read where it lies
  bool apart;             // chunks are summed apart
  uint64_t x_floats, dy_floats, dw_floats;

  int64_t bands(const ConvShape& s) const { return (s.oh + rows - 1) / rows; }
  int64_t chunks(const ConvShape& s) const { return (s.n + images - 1) / images * bands(s); }
  // Sums that are kept at once, besides dw.
  int64_t sums(const ConvShape& s) const { return apart ? std::min(chunks(s), most_sums) : 0; }
};

WeightGradPlan plan_weight_grad(const IsaTable& isa, const ConvShape& s) {
  WeightGradPlan p{};
  p.from = {s.h, s.w, s.c, s.padding, 1, (s.ow - 1) * s.stride + s.kernel};
  p.width = isa.panel;
  p.panels = (s.k + p.width - 1) / p.width;
  const int64_t x_row = p.from.width * s.c, dy_row = s.ow * p.panels * p.width;
  p.dw_floats = static_cast<uint64_t>(p.panels * p.width * s.kernel * s.kernel * s.c);
  p.apart = p.dw_floats <= small_dw;
  const int64_t floats = p.apart ? own_chunk_floats : chunk_floats;
  const int64_t fitting = (floats - s.kernel * x_row) / (s.stride * x_row + dy_row);
  p.rows = std::clamp<int64_t>(fitting, 1, s.oh);
  p.images = std::clamp<int64_t>(fitting / s.oh, 1, s.n);
  p.gathered_rows = (p.rows - 1) * s.stride + s.kernel;
  p.x_floats = round_up(static_cast<uint64_t>(p.images * p.gathered_rows * x_row), 16);
  p.packs_dy = s.k % p.width != 0;
  p.dy_floats = p.packs_dy ? static_cast<uint64_t>(p.images * p.rows * dy_row) : 0;
  return p;
}

struct Chunk {
  int64_t image, images, row, rows, gathered_rows;
};

Chunk chunk_of(const WeightGradPlan& p, const ConvShape& s, int64_t index) {
  Chunk c{};
  c.image = index / p.bands(s) * p.images, c.images = std::min(p.images, s.n - c.image);
  c.row = index % p.bands(s) * p.rows, c.rows = std::min(p.rows, s.oh - c.row);
  c.gathered_rows = (c.rows - 1) * s.stride + s.kernel;
  return c;
}

// dy of one output row -> [panel][image][row][pixel][width], zeros where there is no filter.
void pack_dy_row(const WeightGradPlan& p, const ConvShape& s, const Chunk& c, const float* dy, int64_t image,
                 int64_t row, float* to) {
  const float* from = dy + ((c.image + image) * s.oh + c.row + row) * s.ow * s.k;
  for (int64_t panel = 0; panel < p.panels; panel++) {
    const int64_t real = std::min(p.width, s.k - panel * p.width);
    float* out = to + ((panel * c.images + image) * c.rows + row) * s.ow * p.width;
    for (int64_t x = 0; x < s.ow; x++, out += p.width) {
      std::memcpy(out, from + x * s.k + panel * p.width, static_cast<size_t>(real) * sizeof(float));
      std::fill(out + real, out + p.width, 0.0f);
    }
  }
}

void lay_out(int threads, const WeightGradPlan& p, const ConvShape& s, const Chunk& c, const float* x,
             const float* dy, float* x_rows, float* dy_panels) {
  const int64_t jobs = c.gathered_rows + (p.packs_dy ? c.rows : 0);
  parallel(threads, c.images * jobs, [&](int64_t index, int) {
    const int64_t image = index / jobs, job = index % jobs;
    if (job < c.gathered_rows) {
      gather_rows(p.from, x + (c.image + image) * s.h * s.w * s.c, c.row * s.stride + job, 1,
                  x_rows + (image * c.gathered_rows + job) * p.from.width * s.c);
    } else {
      pack_dy_row(p, s, c, dy, image, job - c.gathered_rows, dy_panels);
    }
  });
}

// Where the output gradient of one panel lies.
struct PanelGradient {
  const float* first;
  int64_t image, row, pixel;  // steps
};

PanelGradient gradient_of(const WeightGradPlan& p, const ConvShape& s, const Chunk& c, const float* dy,
                          const float* dy_panels, int64_t panel) {
  if (p.packs_dy) {
    const int64_t row = s.ow * p.width;
    return {dy_panels + panel * c.images * c.rows * row, c.rows * row, row, p.width};
  }
  const int64_t row = s.ow * s.k;
  return {dy + (c.image * s.oh + c.row) * row + panel * p.width, s.oh * row, row, s.k};
}

void add_chunk(const IsaTable& isa, int threads, const WeightGradPlan& p, const ConvShape& s, const Chunk& c,
               const float* x_rows, const float* dy, const float* dy_panels, float* dw) {
  const int64_t run = s.kernel * s.c, x_row = p.from.width * s.c;
  // A worker takes all kernel rows of a panel if there are panels enough, and else one; then the values
  // under a kernel row are shared out too: whole tiles, so that nobody's tile shrinks.
  const int64_t shares = threads == 1 ? 1 : (2 * threads + p.panels - 1) / p.panels;
  const int64_t groups = shares == 1 ? 1 : s.kernel;
  const int64_t parts =
      std::clamp<int64_t>((shares + groups - 1) / groups, 1, std::max<int64_t>(1, run / 56));
  const int64_t block = std::min(s.ow, std::max<int64_t>(1, block_floats / p.width));  // pixels of a row
  const int64_t rows = std::max<int64_t>(1, block_floats / (block * p.width));
  parallel(threads, p.panels * groups * parts, [&](int64_t index, int) {
    const int64_t part = index % parts, group = index / parts % groups, panel = index / parts / groups;
    const int64_t first = part * run / parts, last = (part + 1) * run / parts;
    const int64_t first_r = group * s.kernel / groups, last_r = (group + 1) * s.kernel / groups;
    const PanelGradient gradient = gradient_of(p, s, c, dy, dy_panels, panel);
    WeightGradBlock b{};
    b.x_row = s.stride * x_row;
    b.x_pixel = s.stride * s.c;
    b.dy_row = gradient.row;
    b.dy_pixel = gradient.pixel;
    b.run = static_cast<int>(last - first);
    b.filters = static_cast<int>(std::min(p.width, s.k - panel * p.width));
    for (int64_t image = 0; image < c.images; image++) {
      for (int64_t row = 0; row < c.rows; row += rows) {
        b.rows = static_cast<int>(std::min(rows, c.rows - row));
        for (int64_t pixel = 0; pixel < s.ow; pixel += block) {
          b.width = static_cast<int>(std::min(block, s.ow - pixel));
          b.dy = gradient.first + image * gradient.image + row * gradient.row + pixel * gradient.pixel;
          for (int64_t r = first_r; r < last_r; r++) {
            b.x = x_rows + (image * c.gathered_rows + row * s.stride + r) * x_row + pixel * b.x_pixel + first;
            b.dw = dw + ((panel * s.kernel + r) * run + first) * p.width;
            isa.weight_grad_panel(b);
          }
        }
      }
    }
  });
}

// [panel][r][q][c][width] -> OIHW.
void unpack(const CpuDevice& device, const WeightGradPlan& p, const ConvShape& s, const float* panels,
            float* dw) {
  const int64_t taps = int64_t{s.kernel} * s.kernel;
  parallel(device.threads, s.k, [&](int64_t k, int) {
    const float* from = panels + k / p.width * taps * s.c * p.width + k % p.width;
    for (int64_t c = 0; c < s.c; c++) {
      for (int64_t tap = 0; tap < taps; tap++)
        dw[(k * s.c + c) * taps + tap] = from[(tap * s.c + c) * p.width];
    }
  });
}

// sums += the chunks, each of them by one worker.
void add_apart(const CpuDevice& device, const WeightGradPlan& p, const ConvShape& s, const float* x,
               const float* dy, float* workspace, float* parts, float* sums) {
  const int64_t chunks = p.chunks(s), at_once = p.sums(s);
  const auto size = static_cast<int64_t>(p.dw_floats), own = static_cast<int64_t>(p.x_floats + p.dy_floats);
  for (int64_t first = 0; first < chunks; first += at_once) {
    const int64_t count = std::min(at_once, chunks - first);
    parallel(device.threads, count, [&](int64_t index, int worker) {
      const Chunk c = chunk_of(p, s, first + index);
      float *x_rows = workspace + worker * own, *dy_panels = x_rows + p.x_floats,
            *part = parts + index * size;
      std::memset(part, 0, p.dw_floats * sizeof(float));
      lay_out(1, p, s, c, x, dy, x_rows, dy_panels);
      add_chunk(*device.isa, 1, p, s, c, x_rows, dy, dy_panels, part);
    });
    constexpr int64_t piece = 1024;
    parallel(device.threads, (size + piece - 1) / piece, [&](int64_t index, int) {
      const int64_t begin = index * piece, floats = std::min(piece, size - begin);
      for (int64_t i = 0; i < count; i++)
        device.isa->axpy(static_cast<int>(floats), 1, parts + i * size + begin, sums + begin);
    });
  }
}

}  // namespace

uint64_t direct_weight_grad_floats(const CpuDevice& device, const ConvShape& s) {
  const WeightGradPlan p = plan_weight_grad(*device.isa, s);
  const uint64_t workers = p.apart ? static_cast<uint64_t>(device.threads) : 1;
  return workers * (p.x_floats + p.dy_floats) + (static_cast<uint64_t>(p.sums(s)) + 1) * p.dw_floats;
}

void direct_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy,
                        float* dw, float* workspace) {
  direct_weight_grad_as(device, s, s, x, dy, dw, workspace);
}

void direct_weight_grad_as(const CpuDevice& device, const ConvShape& s, const ConvShape& weights,
                           const float* x, const float* dy, float* dw, float* workspace) {
  const WeightGradPlan p = plan_weight_grad(*device.isa, s);
  float* sums = workspace;
  float* rest = sums + p.dw_floats;
  std::memset(sums, 0, p.dw_floats * sizeof(float));
  if (p.apart) {
    float* parts = rest + static_cast<uint64_t>(device.threads) * (p.x_floats + p.dy_floats);
    add_apart(device, p, s, x, dy, rest, parts, sums);
  } else {
    float *x_rows = rest, *dy_panels = x_rows + p.x_floats;
    for (int64_t index = 0; index < p.chunks(s); index++) {
      const Chunk c = chunk_of(p, s, index);
      lay_out(device.threads, p, s, c, x, dy, x_rows, dy_panels);
      add_chunk(*device.isa, device.threads, p, s, c, x_rows, dy, dy_panels, sums);
    }
  }
  unpack(device, p, weights, sums, dw);
}

}  // namespace fcdd::cpu
