// Sums over pixels, per channel: floats within runs of `run_pixels`, doubles across them. A run is short
// enough that its rounding does not matter and long enough that the conversion does not.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

constexpr int64_t run_pixels = 32;

// sum over pixels of term(value), for n <= lanes channels; totals in double.
template <class Term>
FCDD_INLINE void sum_column(const float* x, int64_t pixels, int64_t stride, int n, Term term, double* total) {
  double sum[lanes] = {};
  for (int64_t first = 0; first < pixels; first += run_pixels) {
    const int64_t last = first + run_pixels < pixels ? first + run_pixels : pixels;
    vec part = {};
    if (n == lanes) {
      for (int64_t i = first; i < last; i++) part += term(load(x + i * stride));
    } else {
      for (int64_t i = first; i < last; i++) part += term(load_n(x + i * stride, n));
    }
    for (int i = 0; i < lanes; i++) sum[i] += static_cast<double>(part[i]);
  }
  for (int i = 0; i < n; i++) total[i] = sum[i];
}

void sums(const float* x, int64_t pixels, int64_t stride, int channels, double* total) {
  for (int c = 0; c < channels; c += lanes) {
    const int n = channels - c < lanes ? channels - c : lanes;
    sum_column(
        x + c, pixels, stride, n, [](vec v) __attribute__((always_inline)) { return v; }, total + c);
  }
}

// The mean that is subtracted is rounded to float; the correction pixels * (mean - rounded)^2 makes that
// exact.
void moments(const float* x, int64_t pixels, int64_t stride, int channels, double* total, double* squares) {
  sums(x, pixels, stride, channels, total);
  for (int c = 0; c < channels; c += lanes) {
    const int n = channels - c < lanes ? channels - c : lanes;
    float centre[lanes] = {};
    for (int i = 0; i < n; i++) centre[i] = static_cast<float>(total[c + i] / static_cast<double>(pixels));
    const vec mean = load(centre);
    sum_column(
        x + c, pixels, stride,
        n, [mean](vec v) __attribute__((always_inline)) { return (v - mean) * (v - mean); }, squares + c);
    for (int i = 0; i < n; i++) {
      const double error = total[c + i] / static_cast<double>(pixels) - static_cast<double>(centre[i]);
      squares[c + i] -= error * error * static_cast<double>(pixels);
      if (squares[c + i] < 0) squares[c + i] = 0;
    }
  }
}

}  // namespace
}  // namespace fcdd::cpu
