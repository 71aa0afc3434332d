// Winograd's transforms (winograd_transforms.h) of a tile, over all channels or filters. Pixels are given by
// pointers, so that a border costs a pointer to zeros (or to a place nobody reads) instead of a branch.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/conv.h"
#include "cpu/kernels/winograd_transforms.h"

namespace fcdd::cpu {
namespace {

// N: inputs of a tile per axis, 6 for kernel 3 and 8 for kernel 5. R: the kernel.
template <int N>
void winograd_input_of(const float* const* pixels, int channels, float* v, int64_t plane) {
  for_channels(
      channels, [&](int c, int n) __attribute__((always_inline)) {
        transform_2d<N, N>(
            [](const vec(&d)[N], vec(&t)[N]) __attribute__((always_inline)) { input_1d(d, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * N + j] + c, n); },
            [&](int i, int j, vec value) __attribute__((always_inline)) {
              if constexpr (N == 8) __builtin_prefetch(v + (i * N + j) * plane + c + lanes, 1, 2);
              store_some(v + (i * N + j) * plane + c, value, n);
            });
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
            [&](int i, int j, vec value) __attribute__((always_inline)) {
              if constexpr (N == 8) __builtin_prefetch(to + (i * N + j) * plane + panel_width, 1, 2);
              store(to + (i * N + j) * plane, value);
            });
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
