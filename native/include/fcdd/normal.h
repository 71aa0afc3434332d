// Standard normal draws: 32 random bits -> float, the same bits on every IEEE machine.
//
// The inverse distribution function in the form of Giles ("Approximating the erfinv function", GPU Computing
// Gems Jade, 2010), z = x P(w) with x = 2p - 1 and w = -log(1 - x^2), with our own minimax polynomials and
// logarithm: only +, -, * and the correctly rounded square root, in a fixed order, without a branch, so that
// it vectorises. Must be compiled without contraction (-ffp-contract=off; CUDA: -fmad=false) and without
// flushing to zero. Relative error of z below 1e-6 (tests); |z| <= 6.23; symmetric: the bits' complement
// gives exactly -z.
#pragma once

#include <stdint.h>

#include "fcdd/rng.h"

namespace fcdd {

FCDD_SHARED uint32_t bits_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

FCDD_SHARED float float_of(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// -log(y) for 2^-31 <= y <= 1: y = 2^e m with m in [sqrt(1/2), sqrt(2)), minimax polynomial in m - 1.
FCDD_SHARED float minus_log(float y) {
  constexpr int32_t bits_of_sqrt_half = 0x3f3504f3;
  const int32_t bits = static_cast<int32_t>(bits_of(y));
  const int32_t e = (bits - bits_of_sqrt_half) >> 23;
  const float f = float_of(static_cast<uint32_t>(bits - e * (1 << 23))) - 1.0f;
  float r = 0.08700435f;
  r = r * f - 0.14267486f;
  r = r * f + 0.14914769f;
  r = r * f - 0.16577585f;
  r = r * f + 0.19963063f;
  r = r * f - 0.25001338f;
  r = r * f + 0.3333391f;
  const float log_m = f - f * f * (0.5f - f * r);
  return static_cast<float>(-e) * 0.693147181f - log_m;
}

FCDD_SHARED float normal_from_bits(uint32_t bits) {
  // x = (i + 1/2) / 2^31 for the signed integer i of these bits; m = 2^31 (|x|) - 1/2 without the sign.
  const int32_t i = static_cast<int32_t>(bits);
  const int32_t m = i ^ (i >> 31);
  constexpr float unit = 1.0f / 2147483648.0f;
  const float x = (static_cast<float>(m) + 0.5f) * unit;
  const float one_minus_x = (static_cast<float>(0x7fffffff - m) + 0.5f) * unit;
  const float w = minus_log(one_minus_x * (2.0f - one_minus_x));

  // w < 5: |z| below 2.94, all but 0.34 % of the draws.
  const float t = w - 2.5f;
  float central = 4.0354337e-08f;
  central = central * t + 4.8610417e-07f;
  central = central * t - 4.9905616e-06f;
  central = central * t - 6.217995e-06f;
  central = central * t + 0.0003091502f;
  central = central * t - 0.0017730101f;
  central = central * t - 0.005908171f;
  central = central * t + 0.34880266f;
  central = central * t + 2.1233137f;

  // The tails, to w = 21.6.
  const float s = __builtin_sqrtf(w) - 3.25f;
  float tail = -2.7951088e-05f;
  tail = tail * s - 0.00021836707f;
  tail = tail * s + 0.0012902409f;
  tail = tail * s - 0.0026448625f;
  tail = tail * s + 0.003599756f;
  tail = tail * s - 0.005214312f;
  tail = tail * s + 0.007576776f;
  tail = tail * s + 1.4216416f;
  tail = tail * s + 4.3612733f;

  // A selection by masks: with ?: compilers move the rarer polynomial behind a branch, which stops
  // vectorisation.
  const uint32_t in_tail = 0u - static_cast<uint32_t>(w >= 5.0f);
  const float ratio = float_of((bits_of(central) & ~in_tail) | (bits_of(tail) & in_tail));
  return float_of(bits_of(x * ratio) | (bits & 0x80000000u));
}

// floor(64 z): the grey levels of the noise source "gaussian".
FCDD_SHARED int32_t gaussian_level(uint32_t bits) {
  const float level = 64.0f * normal_from_bits(bits);
  const int32_t towards_zero = static_cast<int32_t>(level);
  return towards_zero - (static_cast<float>(towards_zero) > level);
}

}  // namespace fcdd
