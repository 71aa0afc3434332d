// What the forward and the backward pass of y = pool(act(norm(x))) share. norm(x) is fma(x - mean, scale,
// shift) in both directions: the sign that decides the activation's slope is the one that the forward pass
// saw.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

// n <= lanes bytes from or to one register of integers. By hand: gcc 12 converts such vectors one by one.
#if defined(__AVX512F__)
FCDD_INLINE void store_bytes(uint8_t* p, ivec v, int n) {
  const __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  _mm_mask_storeu_epi8(p, mask, _mm512_maskz_cvtepi32_epi8(mask, reinterpret_cast<__m512i>(v)));
}

FCDD_INLINE ivec load_bytes(const uint8_t* p, int n) {
  const __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  return reinterpret_cast<ivec>(_mm512_maskz_cvtepu8_epi32(mask, _mm_maskz_loadu_epi8(mask, p)));
}
#else
FCDD_INLINE void store_bytes(uint8_t* p, ivec v, int n) {
#if defined(__AVX2__)
  const __m256i wide = reinterpret_cast<__m256i>(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
#else
  uint8_t bytes[lanes];
  for (int i = 0; i < lanes; i++) bytes[i] = static_cast<uint8_t>(v[i]);
#endif
  if (n == lanes) {
    __builtin_memcpy(p, &bytes, lanes);
  } else {
    __builtin_memcpy(p, &bytes, static_cast<unsigned>(n));
  }
}

FCDD_INLINE ivec load_bytes(const uint8_t* p, int n) {
  uint8_t bytes[lanes] = {};
  if (n == lanes) {
    __builtin_memcpy(bytes, p, lanes);
  } else {
    __builtin_memcpy(bytes, p, static_cast<unsigned>(n));
  }
#if defined(__AVX2__)
  int64_t all;
  __builtin_memcpy(&all, bytes, 8);
  return reinterpret_cast<ivec>(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(all)));
#else
  return ivec{bytes[0], bytes[1], bytes[2], bytes[3]};
#endif
}
#endif

template <bool Norm>
FCDD_INLINE vec normalise(const PostRows& p, vec x, int c, int n) {
  if (!Norm) return x;
  return fma(x - load_some(p.mean + c, n), load_some(p.scale + c, n), load_some(p.shift + c, n));
}

template <bool Leaky>
FCDD_INLINE vec activate(const PostRows& p, vec x) {
  return Leaky ? (x > 0 ? x : p.slope * x) : x;
}

}  // namespace
}  // namespace fcdd::cpu
