// The gradient of act(norm(x)) and of pooling at the pixels of an input, for the two passes of
// post_backward.cu.
//
// The gradient of pooling is gathered: an input pixel looks at the windows that contain it and takes dy where
// it was the winner, in row-major order of the windows. A pixel belongs to one thread, which reads it before
// body sees it: body may overwrite it.
#pragma once

#include "cuda/post_shape.h"

namespace fcdd::cuda {

// A thread takes cells of the input: one pixel, or 2x2 pixels under windows with stride 2, which share the
// loads of dy and of the winners.
template <PoolKind Pool>
constexpr int cell_extent = Pool == pool_2_2_0 || Pool == pool_3_2_1 ? 2 : 1;

struct PostBackward {
  PostView view;
  unsigned cells, cells_per_slice;
  int cells_high, cells_wide;  // of one image
  const float *x, *dy;
  const uint8_t* argmax;  // null without pooling
};

struct Cell {
  unsigned image;
  int y, x;  // first pixel
};

template <PoolKind Pool>
FCDD_GPU Cell cell_at(const PostBackward& a, unsigned index) {
  const unsigned line = index / a.cells_wide, image = line / a.cells_high;
  return {image, static_cast<int>(line - image * a.cells_high) * cell_extent<Pool>,
          static_cast<int>(index - line * a.cells_wide) * cell_extent<Pool>};
}

// dy and the winners of output (oy, ox).
template <int V>
struct Output {
  float dy[V];
  int winner[V];
};

template <int V>
FCDD_GPU Output<V> output_at(const PostBackward& a, unsigned image, int oy, int ox, int64_t channel) {
  const int64_t at = ((int64_t{image} * a.view.oh + oy) * a.view.ow + ox) * a.view.channels + channel;
  Output<V> output;
  load(a.dy + at, output.dy);
  load_bytes(a.argmax + at, output.winner);
  return output;
}

template <int V>
FCDD_GPU void add_if_won(const Output<V>& output, int tap, float (&sum)[V]) {
  FCDD_UNROLL
  for (int i = 0; i < V; i++) sum[i] += output.winner[i] == tap ? output.dy[i] : 0;
}

// Adds the gradient of pooling at the pixels of a 2x2 cell.
template <PoolKind Pool, int V>
FCDD_GPU void unpool_cell(const PostBackward& a, const Cell& cell, int64_t channel, float (&g)[4][V]) {
  const FcddPool pool = window_of<Pool>(a.view);
  constexpr int windows = Pool == pool_2_2_0 ? 1 : 2;  // over a cell, per axis
  FCDD_UNROLL
  for (int w = 0; w < windows * windows; w++) {
    const int oy = cell.y / 2 + w / windows, ox = cell.x / 2 + w % windows;
    if (oy >= a.view.oh || ox >= a.view.ow) continue;
    const Output<V> output = output_at<V>(a, cell.image, oy, ox, channel);
    FCDD_UNROLL
    for (int pixel = 0; pixel < 4; pixel++) {
      const int row = pixel / 2 + pool.padding - w / windows * 2,
                column = pixel % 2 + pool.padding - w % windows * 2;
      if (row >= 0 && column >= 0) add_if_won(output, row * pool.kernel + column, g[pixel]);
    }
  }
}

// Windows first..last-1 (of `outputs`) that contain input position i of one axis.
struct Span {
  int first, last;
};

FCDD_GPU Span windows_over(const FcddPool& pool, int i, int outputs) {
  const unsigned stride = static_cast<unsigned>(pool.stride), reach = static_cast<unsigned>(i + pool.padding);
  const int before = i + pool.padding - pool.kernel;
  return {before < 0 ? 0 : static_cast<int>(static_cast<unsigned>(before) / stride) + 1,
          min(outputs, static_cast<int>(reach / stride) + 1)};
}

// Adds the gradient of pooling at input pixel (y, x) under any windows.
template <int V>
FCDD_GPU void unpool_pixel(const PostBackward& a, unsigned image, int y, int x, int64_t channel,
                           float (&g)[V]) {
  const FcddPool& pool = a.view.pool;
  const Span rows = windows_over(pool, y, a.view.oh), columns = windows_over(pool, x, a.view.ow);
  for (int oy = rows.first; oy < rows.last; oy++) {
    for (int ox = columns.first; ox < columns.last; ox++) {
      const int row = y + pool.padding - oy * pool.stride, column = x + pool.padding - ox * pool.stride;
      add_if_won(output_at<V>(a, image, oy, ox, channel), row * pool.kernel + column, g);
    }
  }
}

// Calls body(offset of the pixel's V values, x, gradient of norm(x)) for the pixels of a cell.
template <PoolKind Pool, int V, class Body>
FCDD_GPU void for_cell(const PostBackward& a, const Affine<V>& affine, unsigned index, int64_t channel,
                       Body body) {
  constexpr int extent = cell_extent<Pool>;
  const PostView& v = a.view;
  const Cell cell = cell_at<Pool>(a, index);
  float g[extent * extent][V] = {};
  if constexpr (extent == 2) unpool_cell<Pool>(a, cell, channel, g);
  FCDD_UNROLL
  for (int pixel = 0; pixel < extent * extent; pixel++) {
    const int y = cell.y + pixel / extent, x = cell.x + pixel % extent;
    if (extent == 2 && (y >= v.h || x >= v.w)) continue;  // at an odd edge
    const int64_t at = ((int64_t{cell.image} * v.h + y) * v.w + x) * v.channels + channel;
    if constexpr (Pool == no_pool) load(a.dy + at, g[pixel]);
    if constexpr (Pool == any_pool) unpool_pixel(a, cell.image, y, x, channel, g[pixel]);
    float values[V];
    load(a.x + at, values);
    FCDD_UNROLL
    for (int i = 0; i < V; i++) {
      g[pixel][i] = norm(affine, i, values[i]) > 0 ? g[pixel][i] : v.slope * g[pixel][i];
    }
    body(at, values, g[pixel]);
  }
}

}  // namespace fcdd::cuda
