#include "cpu/conv_winograd.h"

#include <algorithm>
#include <cstring>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// A worker's transformed tiles and products live in its second-level cache and the shared one behind it;
// weights are read once per block, so a block should not be small either.
constexpr int64_t block_floats = 512 * 1024;
constexpr int64_t least_block = 28, most_block = 112;  // tiles; multiples of the register tiles' 14 pixels

int64_t panels_of(const IsaTable& isa, int64_t filters) {
  return (filters + isa.panel - 1) / isa.panel;
}

// Floats from one tile's channels to the next one's. Rows a power of two apart would share few sets of the
// first-level cache, and a register tile reads or writes 14 of them side by side.
int64_t pitch_of(int64_t channels) {
  return channels % 128 == 0 ? channels + 16 : channels;
}

// Tiles of a block: scheduling only, a tile's bits do not depend on it.
int64_t block_tiles(const WinogradPlan& plan, int threads) {
  const int64_t fitting = block_floats / (plan.planes() * (plan.c_pitch + plan.k));
  const int64_t cached = std::clamp(fitting / 14 * 14, least_block, most_block);
  const int64_t share = (plan.tiles() + threads - 1) / threads;
  return std::max<int64_t>(1, std::min(cached, share));
}

// Planes are a cache line apart modulo the caches' way size, or a tile's 36 or 64 stores would fall into one
// set.
struct Block {
  int64_t tiles, v_plane;
  int64_t m_plane, m_pitch;  // products
  uint64_t floats;           // of one worker
};

Block block_of(const WinogradPlan& plan, int threads) {
  Block b{};
  b.tiles = block_tiles(plan, threads);
  b.v_plane = static_cast<int64_t>(round_up(static_cast<uint64_t>(b.tiles * plan.c_pitch), 16)) + 16;
  b.m_pitch = pitch_of(plan.k);
  b.m_plane = static_cast<int64_t>(round_up(static_cast<uint64_t>(b.tiles * b.m_pitch), 16)) + 16;
  b.floats = static_cast<uint64_t>(plan.planes() * (b.v_plane + b.m_plane)) +
             round_up(static_cast<uint64_t>(plan.c), 16) + round_up(static_cast<uint64_t>(plan.k), 16);
  return b;
}

struct Place {
  int64_t image, y, x;  // of the tile's first output
};

Place place_of(const WinogradPlan& plan, int64_t tile) {
  const int64_t per_image = plan.across * plan.down, within = tile % per_image;
  return {tile / per_image, within / plan.across * winograd_outputs, within % plan.across * winograd_outputs};
}

void transform_inputs(const IsaTable& isa, const WinogradPlan& plan, const Block& b, const float* x,
                      int64_t first, int64_t count, float* v, const float* zeros) {
  const float* pixels[64];
  for (int64_t t = 0; t < count; t++) {
    const Place at = place_of(plan, first + t);
    tile_pixels_at(x + at.image * plan.h * plan.w * plan.c, plan.h, plan.w, plan.c, at.y - plan.padding,
                   at.x - plan.padding, plan.extent(), zeros, pixels);
    isa.winograd_input(plan.kernel, pixels, static_cast<int>(plan.c), v + t * plan.c_pitch, b.v_plane);
  }
}

// products[p] = v[p] u[p], each a convolution with a 1x1 kernel over a row of `count` pixels.
void multiply(const IsaTable& isa, const WinogradPlan& plan, const Block& b, const float* packed,
              int64_t count, const float* v, float* products) {
  const int64_t panels = panels_of(isa, plan.k), panel_floats = plan.c * isa.panel;
  ConvBlock c{};
  c.x_pixel = plan.c_pitch;
  c.kernel = 1;
  c.run = static_cast<int>(plan.c);
  c.rows = 1;
  c.width = static_cast<int>(count);
  c.y_pixel = b.m_pitch;
  for (int64_t p = 0; p < plan.planes(); p++) {
    c.x = v + p * b.v_plane;
    for (int64_t panel = 0; panel < panels; panel++) {
      c.w = packed + (p * panels + panel) * panel_floats;
      c.filters = static_cast<int>(std::min<int64_t>(isa.panel, plan.k - panel * isa.panel));
      c.y = products + p * b.m_plane + panel * isa.panel;
      isa.conv_panel(c);
    }
  }
}

void transform_outputs(const IsaTable& isa, const WinogradPlan& plan, const Block& b, const Epilogue& e,
                       const float* products, int64_t first, int64_t count, float* y, float* nowhere) {
  float* pixels[16];
  const int shrink = e.pooled ? 2 : 1;
  const int64_t h = plan.oh / shrink, w = plan.ow / shrink;
  WinogradOutput o{};
  o.plane = b.m_plane;
  o.filters = static_cast<int>(plan.k);
  o.bias = e.bias;
  o.leaky = e.leaky;
  o.slope = e.slope;
  o.pooled = e.pooled;
  o.pixels = pixels;
  for (int64_t t = 0; t < count; t++) {
    const Place at = place_of(plan, first + t);
    tile_pixels_at(y + at.image * h * w * plan.k, h, w, plan.k, at.y / shrink, at.x / shrink,
                   winograd_outputs / shrink, nowhere, pixels);
    o.products = products + t * b.m_pitch;
    isa.winograd_output(plan.kernel, o);
  }
}

WinogradPlan plan_of(int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow, int64_t k,
                     int kernel, int padding) {
  constexpr int m = winograd_outputs;
  return {n, h, w, c, oh, ow, k, kernel, padding, (ow + m - 1) / m, (oh + m - 1) / m, pitch_of(c)};
}

}  // namespace

bool winograd_pays(const ConvShape& s) {
  if (s.stride != 1 || (s.kernel != 3 && s.kernel != 5) || s.padding >= s.kernel) return false;
  // Transforms cost as much as some tens of channels' products; odd extents waste part of the last tiles.
  if (s.c < 8 || s.k < 8) return false;
  const WinogradPlan p = plan_winograd_forward(s);
  return p.across * p.down * p.planes() * 3 < s.oh * s.ow * s.kernel * s.kernel * 2;
}

WinogradPlan plan_winograd_forward(const ConvShape& s) {
  return plan_of(s.n, s.h, s.w, s.c, s.oh, s.ow, s.k, s.kernel, s.padding);
}

WinogradPlan plan_winograd_input_grad(const ConvShape& s) {
  return plan_of(s.n, s.oh, s.ow, s.k, s.h, s.w, s.c, s.kernel, s.kernel - 1 - s.padding);
}

uint64_t winograd_packed_floats(const IsaTable& isa, const WinogradPlan& plan) {
  return static_cast<uint64_t>(plan.planes() * panels_of(isa, plan.k) * isa.panel * plan.c);
}

uint64_t winograd_workspace_floats(const CpuDevice& device, const WinogradPlan& plan) {
  return static_cast<uint64_t>(device.threads) * block_of(plan, device.threads).floats;
}

void winograd_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w,
                   float* packed) {
  const IsaTable& isa = *device.isa;
  const int64_t taps = int64_t{s.kernel} * s.kernel, width = isa.panel;
  const int64_t filters = input_grad ? s.c : s.k, channels = input_grad ? s.k : s.c;
  const int64_t filter_step = (input_grad ? 1 : s.c) * taps, channel_step = (input_grad ? s.c : 1) * taps;
  const int64_t panels = panels_of(isa, filters);
  constexpr int64_t piece = 16;  // channels of one task
  const int64_t pieces = (channels + piece - 1) / piece;
  parallel(device.threads, panels * pieces, [&](int64_t index, int) {
    const int64_t panel = index / pieces, first = index % pieces * piece;
    const int64_t real = std::min(width, filters - panel * width);
    float gathered[25 * 64] = {};  // [tap][filter]; no instruction set has panels above 64
    for (int64_t c = first; c < std::min(first + piece, channels); c++) {
      const float* from = w + panel * width * filter_step + c * channel_step;
      for (int64_t f = 0; f < real; f++) {
        for (int64_t tap = 0; tap < taps; tap++) {
          gathered[tap * width + f] = from[f * filter_step + (input_grad ? taps - 1 - tap : tap)];
        }
      }
      isa.winograd_weights(s.kernel, gathered, packed + (panel * channels + c) * width,
                           panels * channels * width);
    }
  });
}

void winograd_run(const CpuDevice& device, const WinogradPlan& plan, const float* x, const float* packed,
                  float* y, const Epilogue& epilogue, float* workspace) {
  const IsaTable& isa = *device.isa;
  const Block b = block_of(plan, device.threads);
  const int64_t blocks = (plan.tiles() + b.tiles - 1) / b.tiles;
  parallel(device.threads, blocks, [&](int64_t index, int worker) {
    float* v = workspace + static_cast<uint64_t>(worker) * b.floats;
    float* products = v + plan.planes() * b.v_plane;
    float* zeros = products + plan.planes() * b.m_plane;
    float* nowhere = zeros + round_up(static_cast<uint64_t>(plan.c), 16);
    std::memset(zeros, 0, static_cast<size_t>(plan.c) * sizeof(float));
    const int64_t first = index * b.tiles, count = std::min(b.tiles, plan.tiles() - first);
    transform_inputs(isa, plan, b, x, first, count, v, zeros);
    multiply(isa, plan, b, packed, count, v, products);
    transform_outputs(isa, plan, b, epilogue, products, first, count, y, nowhere);
  });
}

}  // namespace fcdd::cpu
