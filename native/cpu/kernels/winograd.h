// Winograd's transforms for tiles of 4x4 outputs (Lavin and Gray, "Fast algorithms for convolutional neural
// networks", 2016): F(4x4, 3x3) on 6x6 inputs with the points 0, 5/8, -5/8, 3/2, -3/2 and infinity, which
// round to less than half the error of the usual 1, -1, 2, -2 (docs/performance.md); F(4x4, 5x5) on 8x8
// inputs with 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, where no others are much better.
//
//   y = A^T [ (G w G^T) . (B^T x B) ] A,    and its adjoint in w:    dw = G^T [ (A dy A^T) . (B^T x B) ] G
//
// All run over channels (or filters), one register at a time. Pixels are given by pointers, so that a border
// costs a pointer to zeros (or to a place nobody reads) instead of a branch. Points of opposite sign share
// their even and odd parts.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/conv.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

// The points of F(4x4, 3x3). Their rows of A are divided by p1 and by p2^2, those of G multiplied: A^T then
// needs no more instructions than with the points 1 and 2.
constexpr float p1 = 5.0f / 8, p2 = 3.0f / 2;
constexpr float p1_square = p1 * p1, p2_square = p2 * p2;

// B^T d.
FCDD_INLINE void input_1d(const vec (&d)[6], vec (&t)[6]) {
  const vec even1 = fma(splat(-p2_square), d[2], d[4]), odd1 = fma(splat(-p2_square), d[1], d[3]);
  const vec even2 = fma(splat(-p1_square), d[2], d[4]), odd2 = fma(splat(-p1_square), d[1], d[3]);
  const vec product = splat(p1_square * p2_square), sum = splat(-p1_square - p2_square);
  t[0] = fma(product, d[0], fma(sum, d[2], d[4]));
  t[1] = fma(splat(p1), odd1, even1);
  t[2] = fma(splat(-p1), odd1, even1);
  t[3] = fma(splat(p2), odd2, even2);
  t[4] = fma(splat(-p2), odd2, even2);
  t[5] = fma(product, d[1], fma(sum, d[3], d[5]));
}

FCDD_INLINE void input_1d(const vec (&d)[8], vec (&t)[8]) {
  const vec even1 = fma(splat(-4.25f), d[4], d[2] + d[6]), odd1 = fma(splat(-4.25f), d[3], d[1] + d[5]);
  const vec even2 = fma(splat(0.25f), d[2], fma(splat(-1.25f), d[4], d[6]));
  const vec odd2 = fma(splat(0.5f), d[1], fma(splat(-2.5f), d[3], 2 * d[5]));
  const vec even3 = fma(splat(4), d[2], fma(splat(-5), d[4], d[6]));
  const vec odd3 = fma(splat(2), d[1], fma(splat(-2.5f), d[3], 0.5f * d[5]));
  t[0] = fma(splat(5.25f), d[4] - d[2], d[0] - d[6]);
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = even3 + odd3;
  t[6] = even3 - odd3;
  t[7] = fma(splat(5.25f), d[3] - d[5], d[7] - d[1]);
}

// A^T t.
FCDD_INLINE void output_1d(const vec (&t)[6], vec (&y)[4]) {
  const vec sum1 = t[1] + t[2], difference1 = t[1] - t[2], sum2 = t[3] + t[4], difference2 = t[3] - t[4];
  y[0] = fma(splat(1 / p1), sum1, fma(splat(1 / p2_square), sum2, t[0]));
  y[1] = fma(splat(1 / p2), difference2, difference1);
  y[2] = fma(splat(p1), sum1, sum2);
  y[3] = fma(splat(p1_square), difference1, fma(splat(p2), difference2, t[5]));
}

FCDD_INLINE void output_1d(const vec (&t)[8], vec (&y)[4]) {
  const vec sum1 = t[1] + t[2], difference1 = t[1] - t[2], sum2 = t[3] + t[4], difference2 = t[3] - t[4];
  const vec sum3 = t[5] + t[6], difference3 = t[5] - t[6];
  y[0] = t[0] + sum1 + sum2 + sum3;
  y[1] = fma(splat(2), difference2, fma(splat(0.5f), difference3, difference1));
  y[2] = fma(splat(4), sum2, fma(splat(0.25f), sum3, sum1));
  y[3] = fma(splat(8), difference2, fma(splat(0.125f), difference3, difference1)) + t[7];
}

// A g.
FCDD_INLINE void gradient_1d(const vec (&g)[4], vec (&t)[6]) {
  const vec even1 = fma(splat(p1), g[2], (1 / p1) * g[0]), odd1 = fma(splat(p1_square), g[3], g[1]);
  const vec even2 = fma(splat(1 / p2_square), g[0], g[2]), odd2 = fma(splat(p2), g[3], (1 / p2) * g[1]);
  t[0] = g[0];
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = g[3];
}

FCDD_INLINE void gradient_1d(const vec (&g)[4], vec (&t)[8]) {
  const vec even1 = g[0] + g[2], odd1 = g[1] + g[3];
  const vec even2 = fma(splat(4), g[2], g[0]), odd2 = fma(splat(8), g[3], 2 * g[1]);
  const vec even3 = fma(splat(0.25f), g[2], g[0]), odd3 = fma(splat(0.125f), g[3], 0.5f * g[1]);
  t[0] = g[0];
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = even3 + odd3;
  t[6] = even3 - odd3;
  t[7] = g[3];
}

// G w. A row of G is a point's powers, divided by the product of its distances to the other points.
constexpr float g0 = 1 / (p1_square * p2_square);
constexpr float g1 = 1 / (2 * p1 * (p1_square - p2_square));  // times p1
constexpr float g2 = 1 / (2 * (p2_square - p1_square));       // times p2^2

FCDD_INLINE void weights_1d(const vec (&w)[3], vec (&t)[6]) {
  const vec even1 = fma(splat(p1_square), w[2], w[0]), even2 = fma(splat(p2_square), w[2], w[0]);
  t[0] = g0 * w[0];
  t[1] = g1 * fma(splat(p1), w[1], even1);
  t[2] = g1 * fma(splat(-p1), w[1], even1);
  t[3] = g2 * fma(splat(p2), w[1], even2);
  t[4] = g2 * fma(splat(-p2), w[1], even2);
  t[5] = w[2];
}

FCDD_INLINE void weights_1d(const vec (&w)[5], vec (&t)[8]) {
  const vec even1 = w[0] + w[2] + w[4], odd1 = w[1] + w[3];
  const vec even2 = fma(splat(16), w[4], fma(splat(4), w[2], w[0])), odd2 = fma(splat(8), w[3], 2 * w[1]);
  const vec even3 = fma(splat(0.0625f), w[4], fma(splat(0.25f), w[2], w[0]));
  const vec odd3 = fma(splat(0.125f), w[3], 0.5f * w[1]);
  t[0] = w[0];
  t[1] = (-2.0f / 9) * (even1 + odd1);
  t[2] = (-2.0f / 9) * (even1 - odd1);
  t[3] = (1.0f / 90) * (even2 + odd2);
  t[4] = (1.0f / 90) * (even2 - odd2);
  t[5] = (32.0f / 45) * (even3 + odd3);
  t[6] = (32.0f / 45) * (even3 - odd3);
  t[7] = w[4];
}

// G^T t.
FCDD_INLINE void weights_adjoint_1d(const vec (&t)[6], vec (&w)[3]) {
  const vec sum1 = g1 * (t[1] + t[2]), difference1 = g1 * (t[1] - t[2]);
  const vec sum2 = g2 * (t[3] + t[4]), difference2 = g2 * (t[3] - t[4]);
  w[0] = fma(splat(g0), t[0], sum1 + sum2);
  w[1] = fma(splat(p1), difference1, p2 * difference2);
  w[2] = fma(splat(p1_square), sum1, fma(splat(p2_square), sum2, t[5]));
}

FCDD_INLINE void weights_adjoint_1d(const vec (&t)[8], vec (&w)[5]) {
  const vec sum1 = (-2.0f / 9) * (t[1] + t[2]), difference1 = (-2.0f / 9) * (t[1] - t[2]);
  const vec sum2 = (1.0f / 90) * (t[3] + t[4]), difference2 = (1.0f / 90) * (t[3] - t[4]);
  const vec sum3 = (32.0f / 45) * (t[5] + t[6]), difference3 = (32.0f / 45) * (t[5] - t[6]);
  w[0] = t[0] + sum1 + sum2 + sum3;
  w[1] = fma(splat(2), difference2, fma(splat(0.5f), difference3, difference1));
  w[2] = fma(splat(4), sum2, fma(splat(0.25f), sum3, sum1));
  w[3] = fma(splat(8), difference2, fma(splat(0.125f), difference3, difference1));
  w[4] = fma(splat(16), sum2, fma(splat(0.0625f), sum3, sum1)) + t[7];
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

// N: inputs of a tile per axis, 6 for kernel 3 and 8 for kernel 5. R: the kernel.
template <int N>
void winograd_input_of(const float* const* pixels, int channels, float* v, int64_t plane) {
  for_channels(
      channels, [&](int c, int n) __attribute__((always_inline)) {
        transform_2d<N, N>(
            [](const vec(&d)[N], vec(&t)[N]) __attribute__((always_inline)) { input_1d(d, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * N + j] + c, n); },
            [&](int i, int j, vec value)
                __attribute__((always_inline)) { store_some(v + (i * N + j) * plane + c, value, n); });
      });
}

void winograd_input(int kernel, const float* const* pixels, int channels, float* v, int64_t plane) {
  (kernel == 3 ? winograd_input_of<6> : winograd_input_of<8>)(pixels, channels, v, plane);
}

// Max pooling's choice, as in kernels/post_forward.h: a NaN wins, and so stays.
FCDD_INLINE vec larger(vec best, vec value) {
  return (value > best) | (value != value) ? value : best;
}

template <int N, bool Pooled>
void winograd_output_of(const WinogradOutput& output) {
  const WinogradOutput o = output;  // a copy that no store can change
  for_channels(
      o.filters, [&](int c, int n) __attribute__((always_inline)) {
        const vec bias = o.bias != nullptr ? load_some(o.bias + c, n) : vec{};
        vec window[2][2];
        transform_2d<N, 4>(
            [](const vec(&t)[N], vec(&y)[4]) __attribute__((always_inline)) { output_1d(t, y); },
            [&](int i, int j) __attribute__((always_inline)) {
              return load_some(o.products + (i * N + j) * o.plane + c, n);
            },
            [&](int i, int j, vec value) __attribute__((always_inline)) {
              value += bias;
              if (o.leaky) value = value > 0 ? value : o.slope * value;
              if constexpr (Pooled) {
                window[i / 2][j / 2] = i % 2 + j % 2 == 0 ? value : larger(window[i / 2][j / 2], value);
              } else {
                store_some(o.pixels[i * 4 + j] + c, value, n);
              }
            });
        if constexpr (Pooled) {
          for (int i = 0; i < 4; i++) store_some(o.pixels[i] + c, window[i / 2][i % 2], n);
        }
      });
}

void winograd_output(int kernel, const WinogradOutput& o) {
  if (o.pooled) {
    (kernel == 3 ? winograd_output_of<6, true> : winograd_output_of<8, true>)(o);
  } else {
    (kernel == 3 ? winograd_output_of<6, false> : winograd_output_of<8, false>)(o);
  }
}

// Panels of filters, whole registers: the last one is filled up with zeros.
template <int N>
void winograd_gradient_of(const float* const* pixels, int filters, float* d, int64_t plane,
                          int64_t panel_plane) {
  for_channels(
      filters, [&](int c, int n) __attribute__((always_inline)) {
        float* to = d + c / panel_width * panel_plane + c % panel_width;
        transform_2d<4, N>(
            [](const vec(&g)[4], vec(&t)[N]) __attribute__((always_inline)) { gradient_1d(g, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * 4 + j] + c, n); },
            [&](int i, int j, vec value)
                __attribute__((always_inline)) { store(to + (i * N + j) * plane, value); });
      });
}

void winograd_gradient(int kernel, const float* const* pixels, int filters, float* d, int64_t plane,
                       int64_t panel_plane) {
  (kernel == 3 ? winograd_gradient_of<6> : winograd_gradient_of<8>)(pixels, filters, d, plane, panel_plane);
}

template <int R, int N>
void winograd_weights_of(const float* w, float* u, int64_t plane) {
  for (int c = 0; c < panel_width; c += lanes) {
    transform_2d<R, N>(
        [](const vec(&g)[R], vec(&t)[N]) __attribute__((always_inline)) { weights_1d(g, t); },
        [&](int i, int j) __attribute__((always_inline)) { return load(w + (i * R + j) * panel_width + c); },
        [&](int i, int j, vec value)
            __attribute__((always_inline)) { store(u + (i * N + j) * plane + c, value); });
  }
}

void winograd_weights(int kernel, const float* w, float* u, int64_t plane) {
  (kernel == 3 ? winograd_weights_of<3, 6> : winograd_weights_of<5, 8>)(w, u, plane);
}

template <int R, int N>
void winograd_weights_adjoint_of(const float* u, int64_t plane, float* w) {
  for (int c = 0; c < panel_width; c += lanes) {
    transform_2d<N, R>(
        [](const vec(&t)[N], vec(&g)[R]) __attribute__((always_inline)) { weights_adjoint_1d(t, g); },
        [&](int i, int j) __attribute__((always_inline)) { return load(u + (i * N + j) * plane + c); },
        [&](int i, int j, vec value)
            __attribute__((always_inline)) { store(w + (i * R + j) * panel_width + c, value); });
  }
}

void winograd_weights_adjoint(int kernel, const float* u, int64_t plane, float* w) {
  (kernel == 3 ? winograd_weights_adjoint_of<3, 6> : winograd_weights_adjoint_of<5, 8>)(u, plane, w);
}

}  // namespace
}  // namespace fcdd::cpu
