// Winograd's transforms on tiles of 6x6 with the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray, "Fast
// algorithms for convolutional neural networks", 2016): F(4x4, 3x3) and F(2x2, 5x5) share the input's
// transform.
//
//   y = A^T [ (G w G^T) . (B^T x B) ] A,    and its adjoint in w:    dw = G^T [ (A dy A^T) . (B^T x B) ] G
//
// All run over channels (or filters), one register at a time. Pixels are given by pointers, so that a border
// costs a pointer to zeros (or to a place nobody reads) instead of a branch.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/post.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

// B^T d for six values.
FCDD_INLINE void input_1d(const vec (&d)[6], vec (&t)[6]) {
  const vec even = fma(splat(-4), d[2], d[4]), odd = fma(splat(-4), d[1], d[3]);
  const vec even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
  t[0] = fma(splat(4), d[0], fma(splat(-5), d[2], d[4]));
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = fma(splat(4), d[1], fma(splat(-5), d[3], d[5]));
}

// A^T t: six values -> M outputs.
template <int M>
FCDD_INLINE void output_1d(const vec (&t)[6], vec (&y)[M]) {
  const vec sum1 = t[1] + t[2], difference1 = t[1] - t[2], sum2 = t[3] + t[4], difference2 = t[3] - t[4];
  y[0] = t[0] + sum1 + sum2;
  if (M == 2) {
    y[1] = fma(splat(2), difference2, difference1) + t[5];
  } else {
    y[1] = fma(splat(2), difference2, difference1);
    y[M - 2] = fma(splat(4), sum2, sum1);
    y[M - 1] = fma(splat(8), difference2, difference1) + t[5];
  }
}

// A g: M gradients -> six values.
template <int M>
FCDD_INLINE void gradient_1d(const vec (&g)[M], vec (&t)[6]) {
  const vec even1 = M == 2 ? g[0] : g[0] + g[M - 2], odd1 = M == 2 ? g[1] : g[1] + g[M - 1];
  const vec even2 = M == 2 ? g[0] : fma(splat(4), g[M - 2], g[0]);
  const vec odd2 = M == 2 ? 2 * g[1] : fma(splat(8), g[M - 1], 2 * g[1]);
  t[0] = g[0];
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = g[M - 1];
}

// G w: R weights -> six values. Row i of G is the i-th point's powers, scaled.
template <int R>
FCDD_INLINE void weights_1d(const vec (&w)[R], vec (&t)[6]) {
  vec even1 = w[0] + w[2], odd1 = w[1], even2 = fma(splat(4), w[2], w[0]), odd2 = 2 * w[1];
  if (R == 5) {
    even1 += w[R - 1];
    odd1 += w[R - 2];
    even2 = fma(splat(16), w[R - 1], even2);
    odd2 = fma(splat(8), w[R - 2], odd2);
  }
  t[0] = 0.25f * w[0];
  t[1] = (-1.0f / 6) * (even1 + odd1);
  t[2] = (-1.0f / 6) * (even1 - odd1);
  t[3] = (1.0f / 24) * (even2 + odd2);
  t[4] = (1.0f / 24) * (even2 - odd2);
  t[5] = w[R - 1];
}

// G^T t: six values -> R gradients of weights.
template <int R>
FCDD_INLINE void weights_adjoint_1d(const vec (&t)[6], vec (&w)[R]) {
  const vec sum1 = (-1.0f / 6) * (t[1] + t[2]), difference1 = (-1.0f / 6) * (t[1] - t[2]);
  const vec sum2 = (1.0f / 24) * (t[3] + t[4]), difference2 = (1.0f / 24) * (t[3] - t[4]);
  w[0] = fma(splat(0.25f), t[0], sum1 + sum2);
  w[1] = fma(splat(2), difference2, difference1);
  w[2] = fma(splat(4), sum2, sum1);
  if (R == 5) {
    w[R - 2] = fma(splat(8), difference2, difference1);
    w[R - 1] = fma(splat(16), sum2, sum1) + t[5];
  } else {
    w[2] += t[5];
  }
}

// Applies a 1-D transform of IN to OUT values along both axes of an IN x IN tile, for one register of
// channels.
template <int IN, int OUT, class Transform, class Load, class Store>
FCDD_INLINE void transform_2d(Transform transform, Load load_at, Store store_at) {
  vec half[OUT][IN];
  for (int j = 0; j < IN; j++) {
    vec column[IN], out[OUT];
    for (int i = 0; i < IN; i++) column[i] = load_at(i, j);
    transform(column, out);
    for (int i = 0; i < OUT; i++) half[i][j] = out[i];
  }
  for (int i = 0; i < OUT; i++) {
    vec out[OUT];
    transform(half[i], out);
    for (int j = 0; j < OUT; j++) store_at(i, j, out[j]);
  }
}

void winograd_input(const float* const* pixels, int channels, float* v, int64_t plane) {
  for_channels(
      channels, [&](int c, int n) __attribute__((always_inline)) {
        transform_2d<6, 6>(
            [](const vec(&d)[6], vec(&t)[6]) __attribute__((always_inline)) { input_1d(d, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * 6 + j] + c, n); },
            [&](int i, int j, vec value)
                __attribute__((always_inline)) { store_some(v + (i * 6 + j) * plane + c, value, n); });
      });
}

template <int M>
void winograd_output_of(const WinogradOutput& o) {
  for_channels(
      o.filters, [&](int c, int n) __attribute__((always_inline)) {
        const vec bias = o.bias != nullptr ? load_some(o.bias + c, n) : vec{};
        transform_2d<6, M>(
            [](const vec(&t)[6], vec(&y)[M]) __attribute__((always_inline)) { output_1d<M>(t, y); },
            [&](int i, int j) __attribute__((always_inline)) {
              return load_some(o.products + (i * 6 + j) * o.plane + c, n);
            },
            [&](int i, int j, vec value) __attribute__((always_inline)) {
              value += bias;
              if (o.leaky) value = value > 0 ? value : o.slope * value;
              store_some(o.pixels[i * M + j] + c, value, n);
            });
      });
}

void winograd_output(int m, const WinogradOutput& o) {
  (m == 4 ? winograd_output_of<4> : winograd_output_of<2>)(o);
}

// Panels of filters, whole registers: the last one is filled up with zeros.
template <int M>
void winograd_gradient_of(const float* const* pixels, int filters, float* d, int64_t plane,
                          int64_t panel_plane) {
  for_channels(
      filters, [&](int c, int n) __attribute__((always_inline)) {
        float* to = d + c / panel_width * panel_plane + c % panel_width;
        transform_2d<M, 6>(
            [](const vec(&g)[M], vec(&t)[6]) __attribute__((always_inline)) { gradient_1d<M>(g, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * M + j] + c, n); },
            [&](int i, int j, vec value)
                __attribute__((always_inline)) { store(to + (i * 6 + j) * plane, value); });
      });
}

void winograd_gradient(int m, const float* const* pixels, int filters, float* d, int64_t plane,
                       int64_t panel_plane) {
  (m == 4 ? winograd_gradient_of<4> : winograd_gradient_of<2>)(pixels, filters, d, plane, panel_plane);
}

template <int R>
void winograd_weights_of(const float* w, float* u, int64_t plane) {
  for (int c = 0; c < panel_width; c += lanes) {
    transform_2d<R, 6>(
        [](const vec(&g)[R], vec(&t)[6]) __attribute__((always_inline)) { weights_1d<R>(g, t); },
        [&](int i, int j) __attribute__((always_inline)) { return load(w + (i * R + j) * panel_width + c); },
        [&](int i, int j, vec value)
            __attribute__((always_inline)) { store(u + (i * 6 + j) * plane + c, value); });
  }
}

void winograd_weights(int kernel, const float* w, float* u, int64_t plane) {
  (kernel == 3 ? winograd_weights_of<3> : winograd_weights_of<5>)(w, u, plane);
}

template <int R>
void winograd_weights_adjoint_of(const float* u, int64_t plane, float* w) {
  for (int c = 0; c < panel_width; c += lanes) {
    transform_2d<6, R>(
        [](const vec(&t)[6], vec(&g)[R]) __attribute__((always_inline)) { weights_adjoint_1d<R>(t, g); },
        [&](int i, int j) __attribute__((always_inline)) { return load(u + (i * 6 + j) * plane + c); },
        [&](int i, int j, vec value)
            __attribute__((always_inline)) { store(w + (i * R + j) * panel_width + c, value); });
  }
}

void winograd_weights_adjoint(int kernel, const float* u, int64_t plane, float* w) {
  (kernel == 3 ? winograd_weights_adjoint_of<3> : winograd_weights_adjoint_of<5>)(u, plane, w);
}

}  // namespace
}  // namespace fcdd::cpu
