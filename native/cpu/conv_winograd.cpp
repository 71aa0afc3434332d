#include "cpu/conv_winograd.h"

#include <algorithm>
#include <cstring>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// Channels that a product sums in one chain of FMA. With chains over all channels the rounding of a product
// would grow with their number; with these it is that of the direct algorithm at 256 to 512 channels.
constexpr int longest_chain = 64;
// A worker's transformed tiles and products live in its second-level cache and the shared one behind it;
// weights are read once per block, so a block should not be small either.
constexpr int64_t block_floats = 768 * 1024;
constexpr int64_t least_block = 28, most_block = 112;  // tiles; multiples of the register tiles' 14 pixels
// Transformed weights that outgrow the second-level cache many times: there all workers share one larger
// block through the last-level cache and read every weight once for it. Images of few tiles have little else
// to read, so that it pays from fewer weights on.
constexpr int64_t shared_weights = 3 * 1024 * 1024;  // floats
constexpr int64_t few_tiles = 16, shared_weights_of_few = 1100 * 1024;
constexpr int64_t shared_block_floats = 8 * 1024 * 1024;

int64_t panels_of(const IsaTable& isa, int64_t filters) {
  return (filters + isa.panel - 1) / isa.panel;
}

// Floats from one tile's channels to the next one's. Rows a power of two apart would share few sets of the
// first-level cache, and a register tile reads or writes 14 of them side by side.
int64_t pitch_of(int64_t channels) {
  return channels % 128 == 0 ? channels + 16 : channels;
}

// Floats from one plane of the packed weights to the next, also a cache line apart.
int64_t weight_plane(const IsaTable& isa, int64_t filters, int64_t depth) {
  return panels_of(isa, filters) * depth * isa.panel + 16;
}

bool shares_blocks(const WinogradPlan& plan) {
  return plan.planes() * plan.depth * plan.k >=
         (plan.across * plan.down <= few_tiles ? shared_weights_of_few : shared_weights);
}

// Most tiles of a block, never less for a larger batch: a workspace serves all batches up to its own.
int64_t most_tiles(const WinogradPlan& plan, int threads) {
  const int64_t tile_floats = plan.planes() * (plan.c_pitch + plan.k);
  if (shares_blocks(plan))
    return std::min(std::max(shared_block_floats / tile_floats, least_block), plan.tiles());
  const int64_t cached = std::clamp(block_floats / tile_floats / 14 * 14, least_block, most_block);
  return std::min(cached, (plan.tiles() + threads - 1) / threads);
}

// Tiles of a block: nearly equal blocks, as many for every worker. Scheduling only, a tile's bits do not
// depend on it.
int64_t block_tiles(const WinogradPlan& plan, int threads) {
  const int64_t most = most_tiles(plan, threads);
  int64_t blocks = (plan.tiles() + most - 1) / most;
  if (!shares_blocks(plan) && blocks < 8 * threads) blocks = (blocks + threads - 1) / threads * threads;
  return (plan.tiles() + blocks - 1) / blocks;
}

// Planes are a cache line apart modulo the caches' way size, or a tile's 36 or 64 stores would fall into one
// set.
struct Block {
  int64_t tiles, v_plane;
  int64_t m_plane, m_pitch;  // products
  uint64_t products;         // floats before them
  uint64_t operands;         // floats of inputs and products
  uint64_t zeros, edges;     // floats of what a border reads; and with what it writes, per worker
};

Block block_of(const WinogradPlan& plan, int64_t tiles) {
  Block b{};
  b.tiles = tiles;
  b.v_plane = static_cast<int64_t>(round_up(static_cast<uint64_t>(b.tiles * plan.c_pitch), 16)) + 16;
  b.m_pitch = pitch_of(plan.k);
  b.m_plane = static_cast<int64_t>(round_up(static_cast<uint64_t>(b.tiles * b.m_pitch), 16)) + 16;
  b.products = static_cast<uint64_t>(plan.planes() * b.v_plane);
  b.operands = static_cast<uint64_t>(plan.planes() * (b.v_plane + b.m_plane));
  b.zeros = round_up(static_cast<uint64_t>(plan.c), 16);
  b.edges = b.zeros + round_up(static_cast<uint64_t>(plan.k), 16);
  return b;
}

struct Place {
  int64_t image, y, x;  // of the tile's first output
};

Place place_of(const WinogradPlan& plan, int64_t tile) {
  const int64_t per_image = plan.across * plan.down, within = tile % per_image;
  return {tile / per_image, within / plan.across * winograd_outputs, within % plan.across * winograd_outputs};
}

// One block's pass through the three stages.
struct Work {
  const IsaTable& isa;
  const Bf16Kernels* bf16;  // if the plan wants it
  const WinogradPlan& plan;
  const Block& block;
  const Epilogue& epilogue;
  const float* x;
  const float* packed;
  float* y;
  float *v, *products;
  int64_t first;  // tile of the block
};

void transform_input(const Work& w, int64_t t, const float* zeros) {
  const WinogradPlan& plan = w.plan;
  const float* pixels[64];
  const Place at = place_of(plan, w.first + t);
  tile_pixels_at(w.x + at.image * plan.h * plan.w * plan.c, plan.h, plan.w, plan.c, at.y - plan.padding,
                 at.x - plan.padding, plan.extent(), zeros, pixels);
  float* v = w.v + t * plan.c_pitch;
  const int channels = static_cast<int>(plan.c);
  if (plan.bf16) {
    w.bf16->winograd_input(pixels, channels, v, w.block.v_plane);
  } else {
    w.isa.winograd_input(plan.kernel, pixels, channels, v, w.block.v_plane);
  }
}

// products[p] = v[p] u[p] for one panel of filters: a convolution with a 1x1 kernel over a row of `count`
// pixels.
void multiply(const Work& w, int64_t p, int64_t panel, int64_t count) {
  const WinogradPlan& plan = w.plan;
  ConvBlock c{};
  c.x = w.v + p * w.block.v_plane;
  c.x_pixel = plan.c_pitch;
  c.kernel = 1;
  c.run = static_cast<int>(plan.depth);
  c.chain = longest_chain;
  c.rows = 1;
  c.width = static_cast<int>(count);
  c.w = w.packed + p * weight_plane(w.isa, plan.k, plan.depth) + panel * plan.depth * w.isa.panel;
  c.filters = static_cast<int>(std::min<int64_t>(w.isa.panel, plan.k - panel * w.isa.panel));
  c.y = w.products + p * w.block.m_plane + panel * w.isa.panel;
  c.y_pixel = w.block.m_pitch;
  (plan.bf16 ? w.bf16->product_panel : w.isa.product_panel)(c);
}

void transform_output(const Work& w, int64_t t, float* nowhere) {
  const WinogradPlan& plan = w.plan;
  float* pixels[16];
  const int shrink = w.epilogue.pooled ? 2 : 1;
  const int64_t height = plan.oh / shrink, width = plan.ow / shrink;
  WinogradOutput o{};
  o.plane = w.block.m_plane;
  o.filters = static_cast<int>(plan.k);
  o.bias = w.epilogue.bias;
  o.leaky = w.epilogue.leaky;
  o.slope = w.epilogue.slope;
  o.pooled = w.epilogue.pooled;
  o.pixels = pixels;
  const Place at = place_of(plan, w.first + t);
  tile_pixels_at(w.y + at.image * height * width * plan.k, height, width, plan.k, at.y / shrink,
                 at.x / shrink, winograd_outputs / shrink, nowhere, pixels);
  o.products = w.products + t * w.block.m_pitch;
  w.isa.winograd_output(plan.kernel, o);
}

WinogradPlan plan_of(int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow, int64_t k,
                     int kernel, int padding, bool bf16) {
  constexpr int m = winograd_outputs;
  const int64_t across = (ow + m - 1) / m, down = (oh + m - 1) / m, depth = bf16 ? (c + 1) / 2 : c;
  return {n, h, w, c, oh, ow, k, kernel, padding, across, down, bf16, depth, pitch_of(depth)};
}

}  // namespace

bool winograd_pays(const ConvShape& s) {
  if (s.stride != 1 || (s.kernel != 3 && s.kernel != 5) || s.padding >= s.kernel) return false;
  // Transforms cost as much as some tens of channels' products; odd extents waste part of the last tiles.
  if (s.c < 8 || s.k < 8) return false;
  const WinogradPlan p = plan_winograd_forward(s, false);
  return p.across * p.down * p.planes() * 3 < s.oh * s.ow * s.kernel * s.kernel * 2;
}

WinogradPlan plan_winograd_forward(const ConvShape& s, bool bf16) {
  return plan_of(s.n, s.h, s.w, s.c, s.oh, s.ow, s.k, s.kernel, s.padding, bf16);
}

WinogradPlan plan_winograd_input_grad(const ConvShape& s, bool bf16) {
  return plan_of(s.n, s.oh, s.ow, s.k, s.h, s.w, s.c, s.kernel, s.kernel - 1 - s.padding, bf16);
}

uint64_t winograd_packed_floats(const IsaTable& isa, const WinogradPlan& plan) {
  return static_cast<uint64_t>(plan.planes() * weight_plane(isa, plan.k, plan.depth));
}

uint64_t winograd_workspace_floats(const CpuDevice& device, const WinogradPlan& plan) {
  const Block b = block_of(plan, most_tiles(plan, device.threads));
  const auto threads = static_cast<uint64_t>(device.threads);
  return shares_blocks(plan) ? b.operands + threads * b.edges : threads * (b.operands + b.edges);
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
  const bool bf16 = winograd_rounds(device, s);
  const int64_t together = bf16 ? 2 : 1;  // channels in the place of a float
  const int64_t depth = (channels + together - 1) / together;
  const int64_t plane = weight_plane(isa, filters, depth);
  parallel(device.threads, panels * pieces, [&](int64_t index, int) {
    const int64_t panel = index / pieces, first = index % pieces * piece;
    const int64_t real = std::min(width, filters - panel * width);
    const float* from = w + panel * width * filter_step;
    float gathered[2 * 25 * 64] = {};  // [channel][tap][filter]; no instruction set has panels above 64
    const auto gather = [&](int64_t c, float* to) {
      for (int64_t f = 0; f < real; f++) {
        for (int64_t tap = 0; tap < taps; tap++) {
          to[tap * width + f] =
              from[f * filter_step + c * channel_step + (input_grad ? taps - 1 - tap : tap)];
        }
      }
    };
    for (int64_t c = first; c < std::min(first + piece, channels); c += together) {
      gather(c, gathered);
      float* to = packed + (panel * depth + c / together) * width;
      if (!bf16) {
        isa.winograd_weights(s.kernel, gathered, to, plane);
        continue;
      }
      float* second = gathered + taps * width;
      if (c + 1 < channels) {
        gather(c + 1, second);
      } else {
        std::fill(second, second + taps * width, 0.0f);
      }
      device.bf16->winograd_weights(gathered, to, plane);
    }
  });
}

namespace {

// Every worker takes blocks of its own through all stages.
void run_blocks(int threads, const Work& all, float* workspace) {
  const WinogradPlan& plan = all.plan;
  const Block& b = all.block;
  const int64_t blocks = (plan.tiles() + b.tiles - 1) / b.tiles, panels = panels_of(all.isa, plan.k);
  parallel(threads, blocks, [&](int64_t index, int worker) {
    Work w = all;
    w.v = workspace + static_cast<uint64_t>(worker) * (b.operands + b.edges);
    w.products = w.v + b.products;
    w.first = index * b.tiles;
    float *zeros = w.v + b.operands, *nowhere = zeros + b.zeros;
    std::memset(zeros, 0, b.zeros * sizeof(float));
    const int64_t count = std::min(b.tiles, plan.tiles() - w.first);
    for (int64_t t = 0; t < count; t++) transform_input(w, t, zeros);
    for (int64_t p = 0; p < plan.planes(); p++) {
      for (int64_t panel = 0; panel < panels; panel++) multiply(w, p, panel, count);
    }
    for (int64_t t = 0; t < count; t++) transform_output(w, t, nowhere);
  });
}

// All workers take one block through the stages, one stage after the other.
void run_shared_blocks(int threads, const Work& all, float* workspace) {
  const WinogradPlan& plan = all.plan;
  const Block& b = all.block;
  const int64_t panels = panels_of(all.isa, plan.k);
  // One worker takes a whole plane, so that its operands move to one core only; some of its panels where
  // cores are many.
  const int64_t groups = std::min((8 * threads + plan.planes() - 1) / plan.planes(), panels);
  Work w = all;
  w.v = workspace;
  w.products = workspace + b.products;
  float* zeros = workspace + b.operands;
  float* nowhere = zeros + b.zeros;  // one per worker, an edge apart
  std::memset(zeros, 0, b.zeros * sizeof(float));
  for (w.first = 0; w.first < plan.tiles(); w.first += b.tiles) {
    const int64_t count = std::min(b.tiles, plan.tiles() - w.first);
    const int64_t run = std::clamp<int64_t>(count / (4 * threads), 1, 16), runs = (count + run - 1) / run;
    parallel(threads, runs, [&](int64_t index, int) {
      for (int64_t t = index * run; t < std::min(count, (index + 1) * run); t++) transform_input(w, t, zeros);
    });
    parallel(threads, plan.planes() * groups, [&](int64_t index, int) {
      const int64_t p = index / groups, group = index % groups;
      for (int64_t panel = group * panels / groups; panel < (group + 1) * panels / groups; panel++)
        multiply(w, p, panel, count);
    });
    parallel(threads, runs, [&](int64_t index, int worker) {
      float* edge = nowhere + static_cast<uint64_t>(worker) * b.edges;
      for (int64_t t = index * run; t < std::min(count, (index + 1) * run); t++) transform_output(w, t, edge);
    });
  }
}

}  // namespace

void winograd_run(const CpuDevice& device, const WinogradPlan& plan, const float* x, const float* packed,
                  float* y, const Epilogue& epilogue, float* workspace) {
  const Block b = block_of(plan, block_tiles(plan, device.threads));
  const Work work{*device.isa, device.bf16, plan, b, epilogue, x, packed, y, nullptr, nullptr, 0};
  (shares_blocks(plan) ? run_shared_blocks : run_blocks)(device.threads, work, workspace);
}

}  // namespace fcdd::cpu
