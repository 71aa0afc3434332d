// Weight gradient of a gathered block: register tiles of `tile_pixels` consecutive values under a kernel row
// x two registers of filters, reduced over the block's pixels. The tile starts from and returns to memory, so
// that blocks add up in the order in which they are given.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/conv.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

template <int P, int V>
void weight_grad_tile(const WeightGradBlock& b, int j) {
  float* dw = b.dw + int64_t{j} * panel_width;
  vec acc[P][V];
  FCDD_UNROLL
  for (int i = 0; i < P; i++) {
    FCDD_UNROLL
    for (int v = 0; v < V; v++) acc[i][v] = b.fresh ? vec{} : load(dw + i * panel_width + v * lanes);
  }
  const int64_t stride = b.x_pixel, dy_stride = b.dy_pixel;
  for (int row = 0; row < b.rows; row++) {
    const float* x = b.x + row * b.x_row + j;
    const float* dy = b.dy + row * b.dy_row;
    for (int pixel = 0; pixel < b.width; pixel++) {
      vec gradient[V];
      FCDD_UNROLL
      for (int v = 0; v < V; v++) gradient[v] = load(dy + v * lanes);
      FCDD_UNROLL
      for (int i = 0; i < P; i++) {
        const vec value = splat(x[i]);
        FCDD_UNROLL
        for (int v = 0; v < V; v++) acc[i][v] = fma(value, gradient[v], acc[i][v]);
      }
      dy += dy_stride;
      x += stride;
    }
  }
  FCDD_UNROLL
  for (int i = 0; i < P; i++) {
    FCDD_UNROLL
    for (int v = 0; v < V; v++) store(dw + i * panel_width + v * lanes, acc[i][v]);
  }
}

using WeightGradTile = void (*)(const WeightGradBlock&, int);

template <int V, int... P>
struct WeightGradTiles {
  static constexpr WeightGradTile of[] = {nullptr, weight_grad_tile<P, V>...};
};
#if defined(__AVX512F__) || defined(__aarch64__)
template <int V>
using AllWeightGradTiles = WeightGradTiles<V, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#else
template <int V>
using AllWeightGradTiles = WeightGradTiles<V, 1, 2, 3, 4, 5, 6>;
#endif

void weight_grad_panel(const WeightGradBlock& b) {
  const WeightGradTile* tiles = b.filters > lanes ? AllWeightGradTiles<2>::of : AllWeightGradTiles<1>::of;
  const int count = (b.run + tile_pixels - 1) / tile_pixels;
  for (int t = 0, done = 0; t < count; t++) {
    const int values = (b.run - done) / (count - t);
    tiles[values](b, done);
    done += values;
  }
}

}  // namespace
}  // namespace fcdd::cpu
