// The gradient of act(norm(x)) and of pooling at the pixels of an input, for the two passes of
// post_backward.cu.
//
// The gradient of pooling is gathered: an input pixel looks at the windows that contain it and takes dy where
// it was the winner, in row-major order of the windows. A pixel belongs to one thread, which reads it before
// body sees it: body may overwrite it.
#pragma once

#include "cuda/post_shape.h"

namespace fcdd::cuda {

// A thread takes cells of the input: one pixel, or the 2x2 pixels of a window that overlaps no other, which
// share the loads of dy and of the winner.
template <PoolKind Pool>
constexpr int cell_extent = Pool == pool_2_2_0 ? 2 : 1;

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

// Adds dy of output (oy, ox) where tap won its window.
template <int V>
FCDD_GPU void add_if_won(const PostBackward& a, unsigned image, int oy, int ox, int tap, int64_t channel,
                         float (&sum)[V]) {
  const int64_t at = ((int64_t{image} * a.view.oh + oy) * a.view.ow + ox) * a.view.channels + channel;
  float dy[V];
  int winner[V];
  load(a.dy + at, dy);
  load_bytes(a.argmax + at, winner);
  FCDD_UNROLL
  for (int i = 0; i < V; i++) sum[i] += winner[i] == tap ? dy[i] : 0;
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

// Gradient of act(norm(x)) at input pixel (y, x) under windows that may overlap.
template <PoolKind Pool, int V>
FCDD_GPU void gather(const PostBackward& a, unsigned image, int y, int x, int64_t channel, float (&g)[V]) {
  const PostView& v = a.view;
  FCDD_UNROLL
  for (int i = 0; i < V; i++) g[i] = 0;
  const FcddPool pool = window_of<Pool>(v);
  const Span rows = windows_over(pool, y, v.oh), columns = windows_over(pool, x, v.ow);
  for (int oy = rows.first; oy < rows.last; oy++) {
    for (int ox = columns.first; ox < columns.last; ox++) {
      const int tap =
          (y + pool.padding - oy * pool.stride) * pool.kernel + x + pool.padding - ox * pool.stride;
      add_if_won(a, image, oy, ox, tap, channel, g);
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
  float dy[V] = {};
  int winner[V] = {};
  // At an odd edge there is a cell without a window.
  if (extent == 2 && cell.y / 2 < v.oh && cell.x / 2 < v.ow) {
    const int64_t at = ((int64_t{cell.image} * v.oh + cell.y / 2) * v.ow + cell.x / 2) * v.channels + channel;
    load(a.dy + at, dy);
    load_bytes(a.argmax + at, winner);
  }
  FCDD_UNROLL
  for (int tap = 0; tap < extent * extent; tap++) {
    const int y = cell.y + tap / extent, x = cell.x + tap % extent;
    if (extent == 2 && (y >= v.h || x >= v.w)) continue;
    const int64_t at = ((int64_t{cell.image} * v.h + y) * v.w + x) * v.channels + channel;
    float values[V], g[V];
    load(a.x + at, values);
    if constexpr (Pool == no_pool) {
      load(a.dy + at, g);
    } else if constexpr (extent == 2) {
      FCDD_UNROLL
      for (int i = 0; i < V; i++) g[i] = winner[i] == tap ? dy[i] : 0;
    } else {
      gather<Pool>(a, cell.image, y, x, channel, g);
    }
    FCDD_UNROLL
    for (int i = 0; i < V; i++) g[i] = norm(affine, i, values[i]) > 0 ? g[i] : v.slope * g[i];
    body(at, values, g);
  }
}

}  // namespace fcdd::cuda
