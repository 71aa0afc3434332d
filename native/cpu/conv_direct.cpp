#include "cpu/conv_direct.h"

#include <algorithm>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// A block's gathered rows should leave room for a panel of weights in a core's second-level cache (1 MiB or
// more).
constexpr int64_t block_floats = 64 * 1024;
// Outputs of a block that wait for their pooling, likewise.
constexpr int64_t pooled_floats = 128 * 1024;
// A panel of weights is read once per block: enough pixels that this does not show.
constexpr int64_t block_pixels = 256;

// Gathered rows of `rows` output rows.
int64_t rows_under(const DirectPlan& plan, int64_t rows) {
  return (rows - 1) * plan.stride + plan.kernel;
}

int64_t row_floats(const DirectPlan& plan) {
  return plan.from.width * plan.from.c;
}

void cut_into_blocks(DirectPlan& plan) {
  const int64_t fitting = (block_floats / row_floats(plan) - plan.kernel) / plan.stride + 1;
  plan.rows = std::clamp<int64_t>(fitting, 1, plan.oh);
  plan.images = 1;
  if (plan.rows < plan.oh) {  // equal blocks rather than a small last one
    const int64_t blocks = (plan.oh + plan.rows - 1) / plan.rows;
    plan.rows = (plan.oh + blocks - 1) / blocks;
    return;
  }
  const int64_t image_floats = rows_under(plan, plan.oh) * row_floats(plan);
  plan.images = std::clamp<int64_t>(
      std::min(block_floats / image_floats, (block_pixels + plan.oh * plan.ow - 1) / (plan.oh * plan.ow)), 1,
      plan.n);
}

struct BlockPlace {
  int64_t image, images, row, rows;
};

// One panel over the block's rows; y is the block's first output.
void run_panel(const IsaTable& isa, const DirectPlan& plan, const BlockPlace& place, const float* gathered,
               const float* packed, float* y, const Epilogue& e, int64_t panel) {
  const int64_t row = row_floats(plan), first = panel * isa.panel;
  const int64_t panel_floats = int64_t{plan.kernel} * plan.kernel * plan.from.c * isa.panel;
  const int64_t image_floats = plan.in_place ? plan.from.h * row : rows_under(plan, place.rows) * row;
  ConvBlock b{};
  b.x_row = plan.stride * row;
  b.x_pixel = plan.stride * plan.from.c;
  b.x_tap = row;
  b.kernel = plan.kernel;
  b.run = static_cast<int>(plan.kernel * plan.from.c);
  b.rows = static_cast<int>(place.rows);
  b.width = static_cast<int>(plan.ow);
  b.w = packed + panel * panel_floats;
  b.filters = static_cast<int>(std::min<int64_t>(isa.panel, plan.k - first));
  b.y_row = plan.ow * plan.k;
  b.y_pixel = plan.k;
  b.bias = e.bias != nullptr ? e.bias + first : nullptr;
  b.leaky = e.leaky;
  b.slope = e.slope;
  for (int64_t i = 0; i < place.images; i++) {
    b.x = gathered + i * image_floats;
    b.y = y + (i * plan.oh) * b.y_row + first;
    isa.conv_panel(b);
  }
}

const float* gather_block(const DirectPlan& plan, const BlockPlace& place, const float* x, float* scratch) {
  const int64_t image = plan.from.h * plan.from.w * plan.from.c;
  if (plan.in_place) return x + place.image * image + place.row * plan.stride * row_floats(plan);
  const int64_t rows = rows_under(plan, place.rows);
  for (int64_t i = 0; i < place.images; i++) {
    gather_rows(plan.from, x + (place.image + i) * image, place.row * plan.stride, rows,
                scratch + i * rows * row_floats(plan));
  }
  return scratch;
}

int64_t panels_of(const IsaTable& isa, int64_t filters) {
  return (filters + isa.panel - 1) / isa.panel;
}

}  // namespace

DirectPlan plan_direct_forward(const ConvShape& s) {
  DirectPlan plan{};
  plan.n = s.n;
  plan.from = {s.h, s.w, s.c, s.padding, 1, (s.ow - 1) * s.stride + s.kernel};
  plan.kernel = s.kernel;
  plan.stride = s.stride;
  plan.oh = s.oh, plan.ow = s.ow, plan.k = s.k;
  plan.in_place = s.kernel == 1 && s.padding == 0;
  if (plan.in_place) plan.from.width = s.w;
  cut_into_blocks(plan);
  return plan;
}

DirectPlan plan_direct_forward_pooled(const ConvShape& s) {
  DirectPlan plan = plan_direct_forward(s);
  plan.images = 1;
  const int64_t fitting = std::max<int64_t>(pooled_floats / (plan.ow * plan.k) / 2 * 2, 2);
  plan.rows = std::min({fitting, std::max<int64_t>(plan.rows / 2 * 2, 2), plan.oh / 2 * 2});
  return plan;
}

DirectPlan plan_direct_input_grad(const ConvShape& s) {
  DirectPlan plan{};
  plan.n = s.n;
  plan.from = {s.oh, s.ow, s.k, s.kernel - 1 - s.padding, s.stride, s.w + s.kernel - 1};
  plan.kernel = s.kernel;
  plan.stride = 1;
  plan.oh = s.h, plan.ow = s.w, plan.k = s.c;
  plan.in_place = s.kernel == 1 && s.padding == 0 && s.stride == 1;
  cut_into_blocks(plan);
  return plan;
}

uint64_t direct_packed_floats(const IsaTable& isa, int64_t channels, int64_t filters, int kernel) {
  return static_cast<uint64_t>(panels_of(isa, filters) * isa.panel * kernel * kernel * channels);
}

uint64_t direct_scratch_floats(const DirectPlan& plan) {
  if (plan.in_place) return 0;
  return round_up(static_cast<uint64_t>(plan.images * rows_under(plan, plan.rows) * row_floats(plan)), 16);
}

void direct_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w,
                 float* packed) {
  const int64_t taps = int64_t{s.kernel} * s.kernel, width = device.isa->panel;
  const int64_t filters = input_grad ? s.c : s.k, channels = input_grad ? s.k : s.c;
  const int64_t filter_step = (input_grad ? 1 : s.c) * taps, channel_step = (input_grad ? s.c : 1) * taps;
  const int64_t panels = panels_of(*device.isa, filters);
  parallel(device.threads, panels * taps, [&](int64_t index, int) {
    const int64_t panel = index / taps, tap = index % taps;
    const int64_t source = input_grad ? taps - 1 - tap : tap;
    const int64_t real = std::min(width, filters - panel * width);
    float* to = packed + index * channels * width;
    for (int64_t c = 0; c < channels; c++, to += width) {
      const float* from = w + panel * width * filter_step + c * channel_step + source;
      for (int64_t f = 0; f < real; f++) to[f] = from[f * filter_step];
      std::fill(to + real, to + width, 0.0f);
    }
  });
}

namespace {

int64_t row_blocks_of(const DirectPlan& plan) {
  return (plan.oh + plan.rows - 1) / plan.rows;
}

// Calls done(place, first filter, filters) after each panel of each block.
template <class Done>
void run_blocks(const CpuDevice& device, const DirectPlan& plan, const float* x, const float* packed,
                float* y, const Epilogue& epilogue, float* workspace, Done done) {
  const IsaTable& isa = *device.isa;
  const int64_t row_blocks = row_blocks_of(plan);
  const int64_t image_blocks = (plan.n + plan.images - 1) / plan.images;
  const int64_t blocks = row_blocks * image_blocks, panels = panels_of(isa, plan.k);
  // Too few blocks to keep all threads busy: share a block's panels out (each share gathers for itself).
  const int64_t shares = std::clamp<int64_t>(2 * device.threads / blocks, 1, panels);
  const uint64_t scratch_floats = direct_scratch_floats(plan);
  parallel(device.threads, blocks * shares, [&](int64_t index, int worker) {
    const int64_t share = index % shares, block = index / shares;
    BlockPlace place{};
    place.image = block / row_blocks * plan.images;
    place.images = std::min(plan.images, plan.n - place.image);
    place.row = block % row_blocks * plan.rows;
    place.rows = std::min(plan.rows, plan.oh - place.row);
    const float* gathered =
        gather_block(plan, place, x, workspace + static_cast<uint64_t>(worker) * scratch_floats);
    for (int64_t panel = share * panels / shares; panel < (share + 1) * panels / shares; panel++) {
      run_panel(isa, plan, place, gathered, packed,
                y + (place.image * plan.oh + place.row) * plan.ow * plan.k, epilogue, panel);
      done(place, panel * isa.panel,
           static_cast<int>(std::min<int64_t>(isa.panel, plan.k - panel * isa.panel)));
    }
  });
}

// Moments of an image's row blocks -> those of the image (Chan, Golub and LeVeque), in order.
void combine_row_blocks(const DirectPlan& plan, const double* slots, double* sums) {
  const int64_t blocks = row_blocks_of(plan), k = plan.k;
  for (int64_t c = 0; c < k; c++) {
    double count = 0, sum = 0, squares = 0;
    for (int64_t b = 0; b < blocks; b++) {
      const double* slot = slots + b * 2 * k;
      const auto more = static_cast<double>(std::min(plan.rows, plan.oh - b * plan.rows) * plan.ow);
      const double delta = b == 0 ? 0 : slot[c] / more - sum / count;
      squares += slot[k + c] + delta * delta * count * more / (count + more);
      sum += slot[c];
      count += more;
    }
    sums[c] = sum;
    sums[k + c] = squares;
  }
}

}  // namespace

namespace {

// 2 x 2 max pooling of the block's rows x ow x k outputs.
void pool_block(const IsaTable& isa, const DirectPlan& plan, const BlockPlace& place, const float* outputs,
                float* y) {
  PostRows p{};
  p.h = static_cast<int>(place.rows), p.w = static_cast<int>(plan.ow);
  p.oh = p.h / 2, p.ow = p.w / 2;
  p.c = plan.k;
  p.kernel = 2, p.stride = 2;
  for (int64_t c = 0; c < plan.k; c += post_channels) {
    p.channels = static_cast<int>(std::min<int64_t>(post_channels, plan.k - c));
    isa.post_forward(p, outputs + c, 0, p.oh, y + c, nullptr);
  }
}

}  // namespace

uint64_t direct_pooled_floats(const DirectPlan& plan) {
  return direct_scratch_floats(plan) + round_up(static_cast<uint64_t>(plan.rows * plan.ow * plan.k), 16);
}

void direct_run_pooled(const CpuDevice& device, const DirectPlan& plan, const float* x, const float* packed,
                       float* y, const Epilogue& epilogue, float* workspace) {
  const IsaTable& isa = *device.isa;
  const int64_t pooled_h = plan.oh / 2, pooled_w = plan.ow / 2;
  const int64_t blocks = (2 * pooled_h + plan.rows - 1) / plan.rows, panels = panels_of(isa, plan.k);
  const uint64_t gathered_floats = direct_scratch_floats(plan);
  parallel(device.threads, blocks * plan.n, [&](int64_t index, int worker) {
    float* scratch = workspace + static_cast<uint64_t>(worker) * direct_pooled_floats(plan);
    float* outputs = scratch + gathered_floats;
    BlockPlace place{};
    place.image = index / blocks;
    place.images = 1;
    place.row = index % blocks * plan.rows;
    place.rows = std::min(plan.rows, 2 * pooled_h - place.row);
    const float* gathered = gather_block(plan, place, x, scratch);
    for (int64_t panel = 0; panel < panels; panel++) {
      run_panel(isa, plan, place, gathered, packed, outputs, epilogue, panel);
    }
    pool_block(isa, plan, place, outputs, y + (place.image * pooled_h + place.row / 2) * pooled_w * plan.k);
  });
}

uint64_t direct_moment_doubles(const DirectPlan& plan) {
  return row_blocks_of(plan) == 1 ? 0 : static_cast<uint64_t>(plan.n * row_blocks_of(plan) * 2 * plan.k);
}

void direct_run(const CpuDevice& device, const DirectPlan& plan, const float* x, const float* packed,
                float* y, const Epilogue& epilogue, float* workspace) {
  run_blocks(device, plan, x, packed, y, epilogue, workspace, [](const BlockPlace&, int64_t, int) {});
}

void direct_run_with_moments(const CpuDevice& device, const DirectPlan& plan, const float* x,
                             const float* packed, float* y, const Epilogue& epilogue, float* workspace,
                             double* slots, double* sums) {
  const int64_t blocks = row_blocks_of(plan);
  double* to = blocks == 1 ? sums : slots;
  run_blocks(device, plan, x, packed, y, epilogue, workspace,
             [&](const BlockPlace& place, int64_t first, int filters) {
               for (int64_t i = place.image; i < place.image + place.images; i++) {
                 double* slot = to + (i * blocks + place.row / plan.rows) * 2 * plan.k + first;
                 device.isa->moments(y + (i * plan.oh + place.row) * plan.ow * plan.k + first,
                                     place.rows * plan.ow, plan.k, filters, slot, slot + plan.k);
               }
             });
  if (blocks == 1) return;
  parallel(device.threads, plan.n, [&](int64_t image, int) {
    combine_row_blocks(plan, slots + image * blocks * 2 * plan.k, sums + image * 2 * plan.k);
  });
}

}  // namespace fcdd::cpu
