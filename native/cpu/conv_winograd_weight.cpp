// Winograd weight gradient: chunks of tiles; all workers first transform the chunk's inputs and output
// gradients, then share out the products, which take up where the previous chunk left them: one sum over
// the tiles in order.
#include <algorithm>
#include <cstring>

#include "cpu/conv_winograd.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// Both operands of a chunk, shared by all workers through the last-level cache. The sums are read and written
// once per chunk, so its operands should not be smaller than they are.
constexpr int64_t chunk_floats = 8 * 1024 * 1024;
constexpr int64_t least_chunk = 64, most_chunk = 1024;  // tiles
// Of a panel of output gradients: half of a first-level cache, for all channels of a task.
constexpr int64_t panel_part = 6 * 1024;  // floats

struct Plan {
  WinogradPlan forward;
  int64_t panels, width;
  int64_t tiles;                                 // of a chunk
  int64_t v_plane, d_plane, d_panel, sum_plane;  // floats
  uint64_t v_floats, d_floats, sum_floats, zero_floats;
};

Plan plan_of(const IsaTable& isa, const ConvShape& s) {
  Plan p{};
  p.forward = plan_winograd_forward(s, false);
  p.width = isa.panel;
  p.panels = (s.k + p.width - 1) / p.width;
  const int64_t tile_floats = p.forward.planes() * (p.forward.c_pitch + p.panels * p.width);
  p.sum_plane = p.panels * s.c * p.width + 16;  // a cache line apart, as in the forward pass
  p.sum_floats = static_cast<uint64_t>(p.forward.planes() * p.sum_plane);
  const int64_t operands = std::max(chunk_floats, static_cast<int64_t>(p.sum_floats));
  p.tiles = std::clamp<int64_t>(operands / tile_floats, least_chunk, most_chunk);
  p.tiles = std::min(p.tiles, p.forward.tiles());  // never less for a larger batch
  p.v_plane = static_cast<int64_t>(round_up(static_cast<uint64_t>(p.tiles * p.forward.c_pitch), 16)) + 16;
  p.d_panel = p.tiles * p.width;
  p.d_plane = p.panels * p.d_panel + 16;
  p.v_floats = static_cast<uint64_t>(p.forward.planes() * p.v_plane);
  p.d_floats = static_cast<uint64_t>(p.forward.planes() * p.d_plane);
  p.zero_floats = round_up(static_cast<uint64_t>(std::max(s.c, s.k)), 16);
  return p;
}

void transform_chunk(const CpuDevice& device, const Plan& p, const ConvShape& s, const float* x,
                     const float* dy, int64_t first, int64_t count, float* v, float* d, const float* zeros) {
  const WinogradPlan& f = p.forward;
  const auto transform = [&](int64_t t) {
    const float* pixels[64];
    const int64_t per_image = f.across * f.down, tile = first + t, image = tile / per_image;
    const int64_t oy = tile % per_image / f.across * winograd_outputs,
                  ox = tile % f.across * winograd_outputs;
    tile_pixels_at(x + image * s.h * s.w * s.c, s.h, s.w, s.c, oy - f.padding, ox - f.padding, f.extent(),
                   zeros, pixels);
    device.isa->winograd_input(s.kernel, pixels, static_cast<int>(s.c), v + t * f.c_pitch, p.v_plane);
    tile_pixels_at(dy + image * s.oh * s.ow * s.k, s.oh, s.ow, s.k, oy, ox, winograd_outputs, zeros, pixels);
    device.isa->winograd_gradient(s.kernel, pixels, static_cast<int>(s.k), d + t * p.width, p.d_plane,
                                  p.d_panel);
  };
  // Runs of neighbours: their rows of `d` are two cache lines each, and cores would fight over those.
  const int64_t run = std::clamp<int64_t>(count / (4 * device.threads), 1, 16);
  parallel(device.threads, (count + run - 1) / run, [&](int64_t index, int) {
    for (int64_t t = index * run; t < std::min(count, (index + 1) * run); t++) transform(t);
  });
}

// A core that reads what another has just written waits for every line, unless it asks for many at once.
void prefetch(const float* from, int64_t floats) {
  for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(from + i, 0, 2);
}

void add_products(const CpuDevice& device, const Plan& p, const ConvShape& s, int64_t count, const float* v,
                  const float* d, float* sums, bool first_chunk) {
  // One worker takes a whole plane, so that its operands move to one core only; where cores are many, some of
  // its panels, then also some of its channels (whole register tiles of 14).
  const int64_t planes = p.forward.planes(), shares = (8 * device.threads + planes - 1) / planes;
  const int64_t groups = std::min(shares, p.panels);
  const int64_t parts =
      std::clamp<int64_t>((shares + groups - 1) / groups, 1, std::max<int64_t>(1, s.c / 112));
  const int64_t pieces = (count * p.width + panel_part - 1) / panel_part;
  parallel(device.threads, planes * groups * parts, [&](int64_t index, int) {
    const int64_t part = index % parts, group = index / parts % groups, plane = index / parts / groups;
    const int64_t first = part * s.c / parts, last = (part + 1) * s.c / parts;
    const int64_t first_panel = group * p.panels / groups, last_panel = (group + 1) * p.panels / groups;
    WeightGradBlock b{};
    b.x_pixel = p.forward.c_pitch;
    b.dy_pixel = p.width;
    b.rows = 1;
    b.run = static_cast<int>(last - first);
    for (int64_t panel = first_panel; panel < last_panel; panel++) {
      b.filters = static_cast<int>(std::min(p.width, s.k - panel * p.width));
      b.fresh = first_chunk;
      b.dw = sums + plane * p.sum_plane + (panel * s.c + first) * p.width;
      for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t tile = piece * count / pieces;
        b.width = static_cast<int>((piece + 1) * count / pieces - tile);
        b.x = v + plane * p.v_plane + tile * p.forward.c_pitch + first;
        b.dy = d + plane * p.d_plane + panel * p.d_panel + tile * p.width;
        if (panel == first_panel && parts == 1) prefetch(b.x, b.width * p.forward.c_pitch);
        prefetch(b.dy, b.width * p.width);
        device.isa->weight_grad_panel(b);
        b.fresh = false;
      }
    }
  });
}

// [plane][panel][c][width] -> OIHW.
void finish(const CpuDevice& device, const Plan& p, const ConvShape& s, const float* sums, float* dw) {
  const int64_t taps = int64_t{s.kernel} * s.kernel;
  constexpr int64_t piece = 16;  // channels of one task, so that cores write different cache lines
  const int64_t pieces = (s.c + piece - 1) / piece;
  parallel(device.threads, p.panels * pieces, [&](int64_t index, int) {
    const int64_t panel = index / pieces, first = index % pieces * piece;
    const int64_t real = std::min(p.width, s.k - panel * p.width);
    for (int64_t c = first; c < std::min(first + piece, s.c); c++) {
      float taps_of_panel[25 * 64];  // [tap][filter]; no instruction set has panels above 64
      device.isa->winograd_weights_adjoint(s.kernel, sums + (panel * s.c + c) * p.width, p.sum_plane,
                                           taps_of_panel);
      for (int64_t f = 0; f < real; f++) {
        float* to = dw + ((panel * p.width + f) * s.c + c) * taps;
        for (int64_t tap = 0; tap < taps; tap++) to[tap] = taps_of_panel[tap * p.width + f];
      }
    }
  });
}

}  // namespace

uint64_t winograd_weight_grad_floats(const CpuDevice& device, const ConvShape& s) {
  const Plan p = plan_of(*device.isa, s);
  return p.v_floats + p.d_floats + p.sum_floats + p.zero_floats;
}

void winograd_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy,
                          float* dw, float* workspace) {
  const Plan p = plan_of(*device.isa, s);
  float *v = workspace, *d = v + p.v_floats, *sums = d + p.d_floats, *zeros = sums + p.sum_floats;
  std::memset(zeros, 0, p.zero_floats * sizeof(float));
  // Equal chunks rather than a small last one.
  const int64_t tiles = p.forward.tiles(), chunks = (tiles + p.tiles - 1) / p.tiles;
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    const int64_t first = chunk * tiles / chunks, count = (chunk + 1) * tiles / chunks - first;
    transform_chunk(device, p, s, x, dy, first, count, v, d, zeros);
    add_products(device, p, s, count, v, d, sums, chunk == 0);
  }
  finish(device, p, s, sums, dw);
}

}  // namespace fcdd::cpu
