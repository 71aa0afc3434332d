// Gradient of y = pool(act(norm(x))). With batch statistics two passes over the input: sums per channel of
// the gradient g of norm(x) and of g (x - mean), then
//   dx = gamma inv_std (g - mean(g) - xhat mean(g xhat)),  xhat = (x - mean) inv_std.
// dx may be x itself.
//
// Sums: floats over a run of a thread's cells, doubles across runs, threads (a fixed tree) and slices
// (strided in order, then a fixed tree). Slices are pieces of the batch whose number depends on the shape
// alone.
#include "cuda/post_cells.h"
#include "cuda/reduce.h"
#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

constexpr unsigned cells_per_run = 8;     // summed in float
constexpr unsigned cells_per_thread = 4;  // of the last pass
constexpr unsigned least_per_slice = 8;   // cells of a thread, so that slots are small beside the input
constexpr unsigned most_slices = 1024;    // several blocks per multiprocessor of the largest devices

template <int N>
FCDD_GPU void move_run(float (&run)[N], double (&sums)[N]) {
  FCDD_UNROLL
  for (int i = 0; i < N; i++) sums[i] += static_cast<double>(run[i]), run[i] = 0;
}

// Slot of a slice: sum(g), then sum(g (x - mean)), all channels each.
template <PoolKind Pool, int V>
FCDD_KERNEL void FCDD_BOUNDS(block_threads, 3) add_up_slices(PostBackward a, double* slots) {
  FCDD_SHARED_ARRAY(double, shared, [2 * V * block_threads]);
  const int64_t channels = a.view.channels;
  const int64_t channel = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * V;
  const bool inside = channel < channels;
  double sums[2 * V] = {};
  if (inside) {
    const Affine<V> affine = affine_of<V>(a.view, channel);
    const unsigned first = blockIdx.x * a.cells_per_slice;
    const unsigned last = min(first + a.cells_per_slice, a.cells);
    float run[2 * V] = {};
    unsigned length = 0;
    for (unsigned cell = first + threadIdx.y; cell < last; cell += blockDim.y) {
      for_cell<Pool, V>(a, affine, cell, channel, [&](int64_t, const float(&x)[V], const float(&g)[V]) {
        FCDD_UNROLL
        for (int i = 0; i < V; i++) {
          run[i] += g[i];
          run[V + i] = fmaf(g[i], x[i] - affine.mean[i], run[V + i]);
        }
      });
      if (++length == cells_per_run) {
        move_run(run, sums);
        length = 0;
      }
    }
    move_run(run, sums);
  }
  sum_rows(sums, shared, static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x),
           static_cast<int>(blockDim.x), static_cast<int>(blockDim.y));
  if (threadIdx.y > 0 || !inside) return;
  double* slot = slots + int64_t{blockIdx.x} * 2 * channels + channel;
  FCDD_UNROLL
  for (int i = 0; i < V; i++) slot[i] = sums[i], slot[channels + i] = sums[V + i];
}

struct Totals {
  const double* slots;
  unsigned slices;
  double count;  // pixels of the batch
  const float *inv_std, *gamma;
  float *factor, *offset;  // constants of the last pass: dx = scale g + factor (x - mean) + offset
  float *dgamma, *dbeta;   // may be null
};

constexpr int channels_per_block = 8;

// Block: channels_per_block columns, the rest of the threads over slices.
FCDD_KERNEL void finish_channels(Totals a, int64_t channels) {
  constexpr int rows = block_threads / channels_per_block;
  FCDD_SHARED_ARRAY(double, shared, [2 * block_threads]);
  const int64_t channel = int64_t{blockIdx.x} * channels_per_block + threadIdx.x;
  const bool inside = channel < channels;
  double sums[2] = {};
  if (inside) {
    for (unsigned slice = threadIdx.y; slice < a.slices; slice += rows) {
      const double* slot = a.slots + int64_t{slice} * 2 * channels + channel;
      sums[0] += slot[0];
      sums[1] += slot[channels];
    }
  }
  sum_rows(sums, shared, static_cast<int>(threadIdx.y * channels_per_block + threadIdx.x), channels_per_block,
           rows);
  if (threadIdx.y > 0 || !inside) return;
  const double inv_std = static_cast<double>(a.inv_std[channel]);
  const double scale = a.gamma != nullptr ? inv_std * static_cast<double>(a.gamma[channel]) : inv_std;
  a.factor[channel] = static_cast<float>(-scale * sums[1] * inv_std * inv_std / a.count);
  a.offset[channel] = static_cast<float>(-scale * sums[0] / a.count);
  if (a.dgamma != nullptr) a.dgamma[channel] = static_cast<float>(sums[1] * inv_std);
  if (a.dbeta != nullptr) a.dbeta[channel] = static_cast<float>(sums[0]);
}

// dx = scale g + factor (x - mean) + offset; without normalisation (factor null) g itself.
template <PoolKind Pool, int V>
FCDD_KERNEL void write_gradient(PostBackward a, const float* factor, const float* offset, float* dx) {
  const int64_t channel = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * V;
  if (channel >= a.view.channels) return;
  const Affine<V> affine = affine_of<V>(a.view, channel);
  const bool normalised = factor != nullptr;
  float slope[V] = {}, constant[V] = {};
  if (normalised) {
    load(factor + channel, slope);
    load(offset + channel, constant);
  }
  const unsigned step = gridDim.x * blockDim.y;
  for (unsigned cell = blockIdx.x * blockDim.y + threadIdx.y; cell < a.cells; cell += step) {
    for_cell<Pool, V>(a, affine, cell, channel, [&](int64_t at, const float(&x)[V], float(&g)[V]) {
      if (normalised) {
        FCDD_UNROLL
        for (int i = 0; i < V; i++) {
          g[i] = fmaf(affine.scale[i], g[i], fmaf(slope[i], x[i] - affine.mean[i], constant[i]));
        }
      }
      store(dx + at, g);
    });
  }
}

struct Kernels {
  void (*sums)(PostBackward, double*);
  void (*gradient)(PostBackward, const float*, const float*, float*);
};

template <int V>
Kernels kernels_of(PoolKind kind) {
  switch (kind) {
    case no_pool:
      return {add_up_slices<no_pool, V>, write_gradient<no_pool, V>};
    case pool_2_2_0:
      return {add_up_slices<pool_2_2_0, V>, write_gradient<pool_2_2_0, V>};
    case pool_3_2_1:
      return {add_up_slices<pool_3_2_1, V>, write_gradient<pool_3_2_1, V>};
    default:
      return {add_up_slices<any_pool, V>, write_gradient<any_pool, V>};
  }
}

Kernels kernels_for(int vector, PoolKind kind) {
  return vector == 4 ? kernels_of<4>(kind) : kernels_of<1>(kind);
}

uint64_t divide_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit;
}

// How the input is cut, by its shape alone.
struct Cut {
  int cells_high, cells_wide;  // of one image
  uint64_t cells;
  int vector;  // channels per thread
  ChannelTile tile;

  Cut(const FcddPostProblem& p, const PostShape& s)
      : vector(s.c % 4 == 0 ? 4 : 1), tile(channel_tile(s.c, vector)) {
    const PoolKind kind = pool_kind(p.pool);
    const int extent = kind == pool_2_2_0 || kind == pool_3_2_1 ? 2 : 1;
    cells_high = (p.height + extent - 1) / extent, cells_wide = (p.width + extent - 1) / extent;
    cells = static_cast<uint64_t>(s.n * cells_high * cells_wide);
  }
  // Never less for a larger batch, as slices() may be.
  uint64_t slots() const {
    return std::min<uint64_t>(most_slices, divide_up(cells, tile.rows * least_per_slice));
  }
  uint64_t cells_per_slice() const { return divide_up(cells, tile.rows * slots()) * tile.rows; }
  uint64_t slices() const { return divide_up(cells, cells_per_slice()); }
};

// The workspace: a slot per slice of 2 doubles per channel, then factor and offset.
uint64_t slot_doubles(const PostShape& s, const Cut& cut) {
  return s.norm ? cut.slots() * 2 * s.channels() : 0;
}
uint64_t padded_channels(const PostShape& s) {
  return divide_up(s.channels(), 4) * 4;
}
uint64_t workspace_bytes(const PostShape& s, const Cut& cut) {
  return s.norm ? slot_doubles(s, cut) * sizeof(double) + 2 * padded_channels(s) * sizeof(float) : 0;
}

PostBackward arguments(const CudaDevice& device, const FcddPostBackward& a, const PostShape& s,
                       const Cut& cut) {
  PostBackward k{};
  k.view = view_of(a.p, s);
  k.cells_high = cut.cells_high, k.cells_wide = cut.cells_wide;
  k.cells = static_cast<unsigned>(cut.cells),
  k.cells_per_slice = static_cast<unsigned>(cut.cells_per_slice());
  k.dy = at<float>(device, a.dy, s.outputs(), "post_backward: dy");
  k.x = at<float>(device, a.x, s.inputs(), "post_backward: x");
  if (a.p.pool.kernel > 0) k.argmax = at<uint8_t>(device, a.argmax, s.outputs(), "post_backward: argmax");
  if (!s.norm) return k;
  k.view.mean = at<float>(device, a.mean, s.channels(), "post_backward: mean");
  k.view.spread = at<float>(device, a.inv_std, s.channels(), "post_backward: inv_std");
  k.view.gamma = at_or_null<float>(device, a.gamma, s.channels(), "post_backward: gamma");
  k.view.beta = at_or_null<float>(device, a.beta, s.channels(), "post_backward: beta");
  return k;
}

// Sums over the batch into the constants of the last pass, factor and offset.
void add_up(CudaDevice& device, const FcddPostBackward& a, const PostShape& s, const Cut& cut,
            const PostBackward& k, double* slots, float* factor, float* offset) {
  const auto slices = static_cast<unsigned>(cut.slices());
  const Kernels kernels = kernels_for(cut.vector, pool_kind(a.p.pool));
  launch("post_backward: sums", kernels.sums,
         {{slices, cut.tile.channel_blocks}, {cut.tile.columns, cut.tile.rows}}, device.stream, k, slots);
  Totals t{};
  t.slots = slots, t.slices = slices, t.count = static_cast<double>(s.n * s.h * s.w);
  t.inv_std = k.view.spread, t.gamma = k.view.gamma, t.factor = factor, t.offset = offset;
  t.dgamma = at_or_null<float>(device, a.dgamma, s.channels(), "post_backward: dgamma");
  t.dbeta = at_or_null<float>(device, a.dbeta, s.channels(), "post_backward: dbeta");
  launch("post_backward: totals", finish_channels,
         {{static_cast<unsigned>(divide_up(s.channels(), channels_per_block))},
          {channels_per_block, block_threads / channels_per_block}},
         device.stream, t, s.c);
}

}  // namespace

uint64_t post_workspace_bytes(const CudaDevice&, const FcddPostProblem& p) {
  const PostShape s = shape_of(p);
  return workspace_bytes(s, Cut(p, s));
}

void post_backward(CudaDevice& device, const FcddPostBackward& a) {
  require(a.p.norm != FCDD_NORM_RUNNING, "post_backward: there is no gradient through running statistics");
  const PostShape s = shape_of(a.p);
  const Cut cut(a.p, s);
  const PostBackward k = arguments(device, a, s, cut);
  float* dx = at<float>(device, a.dx, s.inputs(), "post_backward: dx");
  // Narrower accesses would add up in another order.
  require(cut.vector == 1 || aligned_for_vectors(k.x, k.dy, k.argmax, dx, k.view.mean, k.view.spread,
                                                 k.view.gamma, k.view.beta),
          "post_backward: expected buffers aligned to 16 bytes");
  float *factor = nullptr, *offset = nullptr;
  if (s.norm) {
    const uint64_t doubles = workspace_bytes(s, cut) / sizeof(double);
    double* slots = at<double>(device, a.workspace, doubles, "post_backward: workspace");
    factor = reinterpret_cast<float*>(slots + slot_doubles(s, cut)), offset = factor + padded_channels(s);
    add_up(device, a, s, cut, k, slots, factor, offset);
  }
  const auto blocks = static_cast<unsigned>(divide_up(cut.cells, cut.tile.rows * cells_per_thread));
  launch("post_backward", kernels_for(cut.vector, pool_kind(a.p.pool)).gradient,
         {{blocks, cut.tile.channel_blocks}, {cut.tile.columns, cut.tile.rows}}, device.stream, k, factor,
         offset, dx);
}

}  // namespace fcdd::cuda
