// Sizes of a post step (norm, activation, pooling), checked once on the host, and its kernels' view of them.
//
// Normalisation and activation are always there in the kernels: without them they are x * 1 + 0 and slope 1,
// which cost nothing beside the memory traffic. norm(x) is fmaf(x - mean, scale, shift) in both directions,
// so that the sign that decides the activation's slope is the one that the forward pass saw.
#pragma once

#include "cuda/values.h"
#include "fcdd/problems.h"

namespace fcdd::cuda {

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
  // Pixels are counted in 32 bits on the device, elements in 64.
  require((s.h + 1) * (s.w + 1) < (int64_t{1} << 31) / s.n, "post: expected less than 2^31 pixels");
  const FcddPool& pool = p.pool;
  if (pool.kernel == 0) return s;
  require(
      pool.kernel > 0 && pool.kernel <= 16 && pool.stride > 0 && pool.padding >= 0 &&
          2 * pool.padding <= pool.kernel && pool.kernel <= p.height + 2 * pool.padding &&
          pool.kernel <= p.width + 2 * pool.padding,
      "post: expected a pooling window of 1 to 16 that fits into the input, padded by at most half of it");
  s.oh = fcdd_out_extent(p.height, pool.kernel, pool.stride, pool.padding);
  s.ow = fcdd_out_extent(p.width, pool.kernel, pool.stride, pool.padding);
  require((s.oh + 1) * (s.ow + 1) < (int64_t{1} << 31) / s.n, "post: expected less than 2^31 pixels");
  return s;
}

// The pooling windows of the published networks as constants; the rest at run time.
enum PoolKind { no_pool, pool_2_2_0, pool_3_2_1, any_pool };  // kernel, stride, padding

inline PoolKind pool_kind(const FcddPool& pool) {
  if (pool.kernel == 0) return no_pool;
  if (pool.kernel == 2 && pool.stride == 2 && pool.padding == 0) return pool_2_2_0;
  return pool.kernel == 3 && pool.stride == 2 && pool.padding == 1 ? pool_3_2_1 : any_pool;
}

struct PostView {
  int h, w, oh, ow;
  FcddPool pool;
  int64_t channels;
  const float *mean, *spread;  // null without normalisation; spread: inv_std, or the variance when `running`
  const float *gamma, *beta;   // may be null
  float eps, slope;
  bool running;
};

// mean, spread, gamma and beta are left null.
inline PostView view_of(const FcddPostProblem& p, const PostShape& s) {
  PostView v{};
  v.h = p.height, v.w = p.width, v.oh = static_cast<int>(s.oh), v.ow = static_cast<int>(s.ow);
  v.pool = p.pool;
  v.channels = s.c;
  v.eps = static_cast<float>(p.eps);
  v.slope = p.activation == FCDD_ACT_LEAKY ? static_cast<float>(p.slope) : 1;
  v.running = p.norm == FCDD_NORM_RUNNING;
  return v;
}

template <PoolKind Pool>
FCDD_GPU FcddPool window_of(const PostView& v) {
  if constexpr (Pool == pool_2_2_0) return {2, 2, 0};
  if constexpr (Pool == pool_3_2_1) return {3, 2, 1};
  return v.pool;
}

// The affine map of V channels: norm(x) = (x - mean) scale + shift.
template <int V>
struct Affine {
  float mean[V], scale[V], shift[V];
};

template <int V>
FCDD_GPU Affine<V> affine_of(const PostView& view, int64_t channel) {
  Affine<V> a;
  FCDD_UNROLL
  for (int i = 0; i < V; i++) a.mean[i] = 0, a.scale[i] = 1, a.shift[i] = 0;
  if (view.mean == nullptr) return a;
  load(view.mean + channel, a.mean);
  load(view.spread + channel, a.scale);
  if (view.running) {
    FCDD_UNROLL
    for (int i = 0; i < V; i++) a.scale[i] = 1 / sqrtf(a.scale[i] + view.eps);
  }
  if (view.gamma != nullptr) {
    float gamma[V];
    load(view.gamma + channel, gamma);
    FCDD_UNROLL
    for (int i = 0; i < V; i++) a.scale[i] *= gamma[i];
  }
  if (view.beta != nullptr) load(view.beta + channel, a.shift);
  return a;
}

template <int V>
FCDD_GPU float norm(const Affine<V>& a, int i, float x) {
  return fmaf(x - a.mean[i], a.scale[i], a.shift[i]);
}

}  // namespace fcdd::cuda
