// Winograd's transforms for tiles of 4x4 outputs (Lavin and Gray, "Fast algorithms for convolutional neural
// networks", 2016): F(4x4, 3x3) on 6x6 inputs with the points 0, 5/8, -5/8, 3/2, -3/2 and infinity, which
// round to less than half the error of the usual 1, -1, 2, -2 (docs/performance.md); F(4x4, 5x5) on 8x8
// inputs with 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, where no others are much better.
//
//   y = A^T [ (G w G^T) . (B^T x B) ] A,    and its adjoint in w:    dw = G^T [ (A dy A^T) . (B^T x B) ] G
//
// Here for one register of channels or filters. Points of opposite sign share their even and odd parts.
#pragma once

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

}  // namespace
}  // namespace fcdd::cpu
