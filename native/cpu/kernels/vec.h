// One SIMD register of floats of the instruction set this file is being built for, by GCC's vector extension,
// which also covers processors without a branch of their own here. Everything has internal linkage: a
// function that the linker may merge with another file's could bring AVX-512 code into the baseline path.
#pragma once

#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace fcdd::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

#define FCDD_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * lanes)));
typedef int32_t ivec __attribute__((vector_size(4 * lanes)));

FCDD_INLINE vec load(const float* p) {
  vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

FCDD_INLINE void store(float* p, vec v) {
  __builtin_memcpy(p, &v, sizeof v);
}

FCDD_INLINE vec splat(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#else
  return vec{x, x, x, x};
#endif
}

#if defined(__AVX512F__)
FCDD_INLINE vec fma(vec a, vec b, vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
// The masked form: gcc 12 warns about an undefined operand inside _mm512_sqrt_ps.
FCDD_INLINE vec square_root(vec a) {
  return _mm512_maskz_sqrt_ps(0xffff, a);
}
FCDD_INLINE vec load_n(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
FCDD_INLINE void store_n(float* p, vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
#else
#if defined(__AVX2__)
FCDD_INLINE vec fma(vec a, vec b, vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
FCDD_INLINE vec square_root(vec a) {
  return _mm256_sqrt_ps(a);
}
#else
FCDD_INLINE vec fma(vec a, vec b, vec c) {
  return a * b + c;
}
FCDD_INLINE vec square_root(vec a) {
  vec r;
  for (int i = 0; i < lanes; i++) r[i] = __builtin_sqrtf(a[i]);
  return r;
}
#endif
// The first n of a register's lanes, 0 <= n < lanes; the others are read as zero and not written.
FCDD_INLINE vec load_n(const float* p, int n) {
  vec v = {};
  __builtin_memcpy(&v, p, 4u * static_cast<unsigned>(n));
  return v;
}
FCDD_INLINE void store_n(float* p, vec v, int n) {
  __builtin_memcpy(p, &v, 4u * static_cast<unsigned>(n));
}
#endif

// Sum of the lanes, by halves.
FCDD_INLINE float sum_lanes(vec v) {
  float x[lanes];
  store(x, v);
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) x[i] += x[i + half];
  }
  return x[0];
}

}  // namespace
}  // namespace fcdd::cpu
