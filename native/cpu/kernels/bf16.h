// Winograd's products in bf16 (AVX-512 BF16): operands are rounded to nearest even after their transform,
// sums are float32. vdpbf16ps multiplies two channels at a time, so a place of four bytes holds a pair of
// them.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/conv.h"
#include "cpu/kernels/winograd_transforms.h"

namespace fcdd::cpu {
namespace {

struct PairedProduct {
  FCDD_INLINE vec add(vec value, vec weight, vec acc) {
    return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(weight), reinterpret_cast<__m512bh>(value));
  }
};

FCDD_INLINE __m256i rounded(vec v) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v));
}

// In the lower half of a place. The masked form: gcc 12 warns about an undefined operand inside the other.
FCDD_INLINE ivec lower(vec v) {
  return reinterpret_cast<ivec>(_mm512_maskz_cvtepu16_epi32(0xffff, rounded(v)));
}

// Of a tile of F(4x4, 3x3). The second of an odd last pair is zero.
void winograd_input_bf16(const float* const* pixels, int channels, float* v, int64_t plane) {
  constexpr int N = 6;
  for_channels(
      channels, [&](int c, int n) __attribute__((always_inline)) {
        transform_2d<N, N>(
            [](const vec(&d)[N], vec(&t)[N]) __attribute__((always_inline)) { input_1d(d, t); },
            [&](int i, int j) __attribute__((always_inline)) { return load_some(pixels[i * N + j] + c, n); },
            [&](int i, int j, vec value) __attribute__((always_inline)) {
              float* to = v + (i * N + j) * plane + c / 2;
              if (n == lanes) {
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded(value));
              } else {
                _mm256_mask_storeu_epi32(to, static_cast<__mmask8>((1u << (n + 1) / 2) - 1), rounded(value));
              }
            });
      });
}

void winograd_weights_bf16(const float* w, float* u, int64_t plane) {
  constexpr int R = 3, N = 6;
  const float* second = w + R * R * panel_width;
  for (int c = 0; c < panel_width; c += lanes) {
    ivec even[N * N];
    const auto transform = [](const vec(&g)[R], vec(&t)[N]) __attribute__((always_inline)) {
      weights_1d(g, t);
    };
    transform_2d<R, N>(
        transform,
        [&](int i, int j) __attribute__((always_inline)) { return load(w + (i * R + j) * panel_width + c); },
        [&](int i, int j, vec value) __attribute__((always_inline)) { even[i * N + j] = lower(value); });
    transform_2d<R, N>(
        transform,
        [&](int i, int j)
            __attribute__((always_inline)) { return load(second + (i * R + j) * panel_width + c); },
        [&](int i, int j, vec value) __attribute__((always_inline)) {
          const ivec pair = even[i * N + j] | lower(value) << 16;
          store(u + (i * N + j) * plane + c, reinterpret_cast<vec>(pair));
        });
  }
}

}  // namespace
}  // namespace fcdd::cpu
