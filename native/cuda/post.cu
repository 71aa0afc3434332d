// y = pool(act(norm(x))) in one pass over memory, and the winners of the pooling windows as bytes.
//
// Pooling: ties go to the first element in row-major order, padding never wins, a NaN wins and stays. An
// output depends on its own window alone, so an image's bits do not depend on the batch.
#include "cuda/post_shape.h"
#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

// Output pixels per thread: its channels' constants are loaded once for them.
constexpr unsigned pixels_per_thread = 4;

struct PostForward {
  PostView view;
  unsigned pixels;  // of the output, all images
  const float* x;
  float* y;
  uint8_t* argmax;  // may be null
};

template <int V>
struct Best {
  float value[V];
  int index[V];
};

// The largest of act(norm(x)) within the window that starts at (top, left) of an image whose channels `x`
// points to.
template <PoolKind Pool, int V>
FCDD_GPU Best<V> window_max(const PostView& v, const Affine<V>& affine, const float* x, int top, int left) {
  const int kernel = window_of<Pool>(v).kernel;
  Best<V> best;
  FCDD_UNROLL
  for (int i = 0; i < V; i++) best.value[i] = 0, best.index[i] = -1;
  FCDD_UNROLL
  for (int r = 0; r < kernel; r++) {
    FCDD_UNROLL
    for (int q = 0; q < kernel; q++) {
      const int row = top + r, column = left + q;
      if (row < 0 || row >= v.h || column < 0 || column >= v.w) continue;
      float values[V];
      load(x + (int64_t{row} * v.w + column) * v.channels, values);
      FCDD_UNROLL
      for (int i = 0; i < V; i++) {
        const float n = norm(affine, i, values[i]), value = n > 0 ? n : v.slope * n;
        const bool wins = best.index[i] < 0 || value > best.value[i] || value != value;
        best.value[i] = wins ? value : best.value[i];
        best.index[i] = wins ? r * kernel + q : best.index[i];
      }
    }
  }
  return best;
}

template <PoolKind Pool, int V>
FCDD_KERNEL void normalise_activate_pool(PostForward a) {
  const PostView& v = a.view;
  const int64_t channel = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * V;
  if (channel >= v.channels) return;
  const Affine<V> affine = affine_of<V>(v, channel);
  const unsigned step = gridDim.x * blockDim.y;
  for (unsigned o = blockIdx.x * blockDim.y + threadIdx.y; o < a.pixels; o += step) {
    const int64_t to = int64_t{o} * v.channels + channel;
    if constexpr (Pool == no_pool) {
      float values[V];
      load(a.x + to, values);
      FCDD_UNROLL
      for (int i = 0; i < V; i++) {
        const float n = norm(affine, i, values[i]);
        values[i] = n > 0 ? n : v.slope * n;
      }
      store(a.y + to, values);
    } else {
      const FcddPool pool = window_of<Pool>(v);
      const unsigned line = o / v.ow, image = line / v.oh;
      const int top = static_cast<int>(line - image * v.oh) * pool.stride - pool.padding;
      const int left = static_cast<int>(o - line * v.ow) * pool.stride - pool.padding;
      const float* x = a.x + int64_t{image} * v.h * v.w * v.channels + channel;
      const Best<V> best = window_max<Pool>(v, affine, x, top, left);
      store(a.y + to, best.value);
      if (a.argmax != nullptr) store_bytes(a.argmax + to, best.index);
    }
  }
}

template <int V>
auto kernel_for(PoolKind kind) {
  return kind == no_pool      ? normalise_activate_pool<no_pool, V>
         : kind == pool_2_2_0 ? normalise_activate_pool<pool_2_2_0, V>
         : kind == pool_3_2_1 ? normalise_activate_pool<pool_3_2_1, V>
                              : normalise_activate_pool<any_pool, V>;
}

}  // namespace

void post_forward(CudaDevice& device, const FcddPostForward& a) {
  const PostShape s = shape_of(a.p);
  PostForward k{};
  k.view = view_of(a.p, s);
  k.pixels = static_cast<unsigned>(s.n * s.oh * s.ow);
  k.x = at<float>(device, a.x, s.inputs(), "post_forward: x");
  k.y = at<float>(device, a.y, s.outputs(), "post_forward: y");
  k.argmax = at_or_null<uint8_t>(device, a.argmax, s.outputs(), "post_forward: argmax");
  if (s.norm) {
    k.view.mean = at<float>(device, a.mean, s.channels(), "post_forward: mean");
    k.view.spread = at<float>(device, a.inv_std, s.channels(), "post_forward: inv_std");
    k.view.gamma = at_or_null<float>(device, a.gamma, s.channels(), "post_forward: gamma");
    k.view.beta = at_or_null<float>(device, a.beta, s.channels(), "post_forward: beta");
  }
  const bool vectors = s.c % 4 == 0 && aligned_for_vectors(k.x, k.y, k.argmax, k.view.mean, k.view.spread,
                                                           k.view.gamma, k.view.beta);
  const ChannelTile tile = channel_tile(s.c, vectors ? 4 : 1);
  const unsigned per_block = tile.rows * pixels_per_thread;
  launch("post_forward", vectors ? kernel_for<4>(pool_kind(a.p.pool)) : kernel_for<1>(pool_kind(a.p.pool)),
         {{(k.pixels + per_block - 1) / per_block, tile.channel_blocks}, {tile.columns, tile.rows}},
         device.stream, k);
}

}  // namespace fcdd::cuda
