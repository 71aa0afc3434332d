// Direct convolution of a gathered block: register tiles of `tile_pixels` pixels x two registers of filters.
//
// Per value under the kernel two registers of weights are read once and multiplied into every pixel of the
// tile, so that a tile of P pixels does 2P FMA for 2 + P loads. A row is cut into tiles of nearly equal size:
// a row of 32 takes 11 + 11 + 10 rather than 14 + 14 + 4, because small tiles cannot hide the latency of an
// FMA. Every output is one chain of FMA in the order kernel row, column, channel: its bits do not depend on
// the tiling. Products of matrices (kernel 1) may be sums of several shorter chains, because the rounding of
// a long sum grows with what it has added up.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

constexpr int panel_width = 2 * lanes;

// Accumulators + two weights + one broadcast must fit the register file: 32 with AVX-512 and arm64, else 16.
#if defined(__AVX512F__)
constexpr int tile_pixels = 14;
#elif defined(__aarch64__)
constexpr int tile_pixels = 12;
#elif defined(__AVX2__)
constexpr int tile_pixels = 6;
#else
constexpr int tile_pixels = 5;
#endif

// The loops over a tile must be unrolled, or its accumulators live on the stack instead of in registers.
#define FCDD_UNROLL _Pragma("GCC unroll 16")

template <int P, int V, bool Leaky>
FCDD_INLINE void store_tile(const ConvBlock& b, const vec (&acc)[P][V], float* y) {
  const vec slope = splat(b.slope);
  const int64_t step = b.y_pixel;
  FCDD_UNROLL
  for (int i = 0; i < P; i++) {
    FCDD_UNROLL
    for (int v = 0; v < V; v++) {
      const vec value = acc[i][v];
      store(y + i * step + v * lanes, Leaky ? (value > 0 ? value : slope * value) : value);
    }
  }
}

template <int P, int V>
FCDD_INLINE void finish_tile(const ConvBlock& b, const vec (&acc)[P][V], float* y) {
  if (b.filters >= V * lanes) {
    if (b.leaky) {
      store_tile<P, V, true>(b, acc, y);
    } else {
      store_tile<P, V, false>(b, acc, y);
    }
    return;
  }
  float whole[P * V * lanes];  // the last panel, partly filled
  ConvBlock narrow = b;
  narrow.y_pixel = V * lanes;
  if (b.leaky) {
    store_tile<P, V, true>(narrow, acc, whole);
  } else {
    store_tile<P, V, false>(narrow, acc, whole);
  }
  for (int i = 0; i < P; i++) {
    for (int f = 0; f < b.filters; f++) y[i * b.y_pixel + f] = whole[i * V * lanes + f];
  }
}

struct FloatProduct {
  FCDD_INLINE vec add(vec value, vec weight, vec acc) { return fma(value, weight, acc); }
};

// Groups of three pixels share a pointer: base, base + stride and base + 2 stride are x86 addressing modes.
template <class Product, bool Chains, int P, int V>
void conv_tile(const ConvBlock& b, const float* x, float* y) {
  constexpr int groups = (P + 2) / 3;
  vec acc[P][V];
  FCDD_UNROLL
  for (int v = 0; v < V; v++) {
    const int left = b.filters - v * lanes;
    const vec start = b.bias == nullptr ? vec{}
                      : left >= lanes   ? load(b.bias + v * lanes)
                                        : load_n(b.bias + v * lanes, left);
    FCDD_UNROLL
    for (int i = 0; i < P; i++) acc[i][v] = start;
  }
  const float* w = b.w;
  const int64_t stride = b.x_pixel;
  const int rounds = Chains ? (b.run + b.chain - 1) / b.chain : b.kernel;  // chains, or kernel rows
  float done[Chains ? P * V * lanes : 1] = {};                             // sum of the chains before
  for (int r = 0; r < rounds; r++) {
    if (Chains && r > 0) {
      FCDD_UNROLL
      for (int i = 0; i < P; i++) {
        FCDD_UNROLL
        for (int v = 0; v < V; v++) {
          float* sum = done + (i * V + v) * lanes;
          store(sum, load(sum) + acc[i][v]);
          acc[i][v] = vec{};
        }
      }
    }
    const int first = Chains ? r * b.chain : 0;
    const int count = Chains && b.run - first > b.chain ? b.chain : b.run - first;
    const float* base[groups];
    for (int g = 0; g < groups; g++) base[g] = x + (Chains ? first : r * b.x_tap) + 3 * g * stride;
#pragma GCC unroll 4
    for (int j = 0; j < count; j++) {
      vec weight[V];
      FCDD_UNROLL
      for (int v = 0; v < V; v++) weight[v] = load(w + v * lanes);
      FCDD_UNROLL
      for (int i = 0; i < P; i++) {
        const vec value = splat(base[i / 3][(i % 3) * stride + j]);
        FCDD_UNROLL
        for (int v = 0; v < V; v++) acc[i][v] = Product::add(value, weight[v], acc[i][v]);
      }
      w += panel_width;
    }
  }
  if (Chains && rounds > 1) {
    FCDD_UNROLL
    for (int i = 0; i < P; i++) {
      FCDD_UNROLL
      for (int v = 0; v < V; v++) acc[i][v] += load(done + (i * V + v) * lanes);
    }
  }
  finish_tile<P, V>(b, acc, y);
}

using ConvTile = void (*)(const ConvBlock&, const float*, float*);

// `of[P]` does P pixels.
template <class Product, bool Chains, int V, int... P>
struct ConvTiles {
  static constexpr ConvTile of[] = {nullptr, conv_tile<Product, Chains, P, V>...};
};
#if defined(__AVX512F__) || defined(__aarch64__)
template <class Product, bool Chains, int V>
using AllConvTiles = ConvTiles<Product, Chains, V, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#else
template <class Product, bool Chains, int V>
using AllConvTiles = ConvTiles<Product, Chains, V, 1, 2, 3, 4, 5, 6>;
#endif

template <class Product, bool Chains>
void conv_panel_of(const ConvBlock& b) {
  const ConvTile* tiles =
      b.filters > lanes ? AllConvTiles<Product, Chains, 2>::of : AllConvTiles<Product, Chains, 1>::of;
  const int count = (b.width + tile_pixels - 1) / tile_pixels;
  for (int row = 0; row < b.rows; row++) {
    for (int t = 0, done = 0; t < count; t++) {
      const int pixels = (b.width - done) / (count - t);
      tiles[pixels](b, b.x + row * b.x_row + done * b.x_pixel, b.y + row * b.y_row + done * b.y_pixel);
      done += pixels;
    }
  }
}

}  // namespace
}  // namespace fcdd::cpu
