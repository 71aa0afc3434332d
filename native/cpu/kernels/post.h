// y = pool(act(norm(x))) and its gradient for rows of one image: pixels outside, channels (one register at a
// time) inside, so that memory is read in order.
//
// norm(x) is fma(x - mean, scale, shift) in both directions: the sign that decides the activation's slope is
// the one that the forward pass saw. The gradient of pooling is gathered: an input pixel looks at the windows
// that contain it and takes dy where it was the winner, so that rows are independent and the order of
// addition is fixed.
#pragma once

#include "cpu/isa.h"
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

FCDD_INLINE int min_int(int a, int b) {
  return a < b ? a : b;
}
FCDD_INLINE int max_int(int a, int b) {
  return a > b ? a : b;
}

// Calls body(c, n) for each register of channels: n is the compile-time constant `lanes` except at the end.
template <class Body>
FCDD_INLINE void for_channels(int channels, Body body) {
  int c = 0;
  for (; c + lanes <= channels; c += lanes) body(c, lanes);
  if (c < channels) body(c, channels - c);
}

FCDD_INLINE vec load_some(const float* p, int n) {
  return n == lanes ? load(p) : load_n(p, n);
}
FCDD_INLINE void store_some(float* p, vec v, int n) {
  if (n == lanes) {
    store(p, v);
  } else {
    store_n(p, v, n);
  }
}

template <bool Norm>
FCDD_INLINE vec normalise(const PostRows& p, vec x, int c, int n) {
  if (!Norm) return x;
  return fma(x - load_some(p.mean + c, n), load_some(p.scale + c, n), load_some(p.shift + c, n));
}

template <bool Leaky>
FCDD_INLINE vec activate(const PostRows& p, vec x) {
  return Leaky ? (x > 0 ? x : p.slope * x) : x;
}

// ---- forward ---------------------------------------------------------------------------------------------

// Window taps r0..r1-1 x q0..q1-1 of the window whose (possibly outside) origin is x.
struct Window {
  const float* x;
  int r0, r1, q0, q1;
};

template <bool Norm, bool Leaky, bool Arg>
FCDD_INLINE void pool_window(const PostRows& p, const Window& w, int kernel, float* y, uint8_t* argmax) {
  for_channels(
      p.channels, [&](int c, int n) __attribute__((always_inline)) {
        vec best = splat(-__builtin_inff());
        ivec index = ivec{} + (w.r0 * kernel + w.q0);
        for (int r = w.r0; r < w.r1; r++) {
          for (int q = w.q0; q < w.q1; q++) {
            const vec x = load_some(w.x + (int64_t{r} * p.w + q) * p.c + c, n);
            const vec value = activate<Leaky>(p, normalise<Norm>(p, x, c, n));
            const ivec wins = (value > best) | (value != value);  // a NaN wins, and so stays
            best = wins ? value : best;
            if (Arg) index = wins ? ivec{} + (r * kernel + q) : index;
          }
        }
        store_some(y + c, best, n);
        if (Arg) store_bytes(argmax + c, index, n);
      });
}

template <bool Norm, bool Leaky, bool Arg>
FCDD_INLINE void pool_row(const PostRows& p, const float* x, int oy, float* y, uint8_t* argmax) {
  const int iy = oy * p.stride - p.padding;
  Window w{};
  w.r0 = max_int(0, -iy), w.r1 = min_int(p.kernel, p.h - iy);
  for (int ox = 0; ox < p.ow; ox++) {
    const int ix = ox * p.stride - p.padding;
    w.q0 = max_int(0, -ix), w.q1 = min_int(p.kernel, p.w - ix);
    w.x = x + (int64_t{iy} * p.w + ix) * p.c;
    const int64_t at = (int64_t{oy} * p.ow + ox) * p.c;
    uint8_t* winner = Arg ? argmax + at : nullptr;
    if (p.kernel == 2 && w.r1 - w.r0 == 2 && w.q1 - w.q0 == 2) {  // the common one, unrolled
      pool_window<Norm, Leaky, Arg>(p, Window{w.x, 0, 2, 0, 2}, 2, y + at, winner);
    } else if (p.kernel == 3 && w.r1 - w.r0 == 3 && w.q1 - w.q0 == 3) {
      pool_window<Norm, Leaky, Arg>(p, Window{w.x, 0, 3, 0, 3}, 3, y + at, winner);
    } else {
      pool_window<Norm, Leaky, Arg>(p, w, p.kernel, y + at, winner);
    }
  }
}

template <bool Norm, bool Leaky>
FCDD_INLINE void map_row(const PostRows& p, const float* x, int row, float* y) {
  for (int64_t i = int64_t{row} * p.w; i < (int64_t{row} + 1) * p.w; i++) {
    for_channels(
        p.channels, [&](int c, int n) __attribute__((always_inline)) {
          const vec value = normalise<Norm>(p, load_some(x + i * p.c + c, n), c, n);
          store_some(y + i * p.c + c, activate<Leaky>(p, value), n);
        });
  }
}

template <bool Norm, bool Leaky>
void post_forward_as(const PostRows& rows, const float* x, int first, int last, float* y, uint8_t* argmax) {
  const PostRows p = rows;  // a copy that no store can change
  for (int row = first; row < last; row++) {
    if (p.kernel == 0) {
      map_row<Norm, Leaky>(p, x, row, y);
    } else if (argmax != nullptr) {
      pool_row<Norm, Leaky, true>(p, x, row, y, argmax);
    } else {
      pool_row<Norm, Leaky, false>(p, x, row, y, argmax);
    }
  }
}

void post_forward(const PostRows& p, const float* x, int first, int last, float* y, uint8_t* argmax) {
  if (p.mean != nullptr) {
    (p.leaky ? post_forward_as<true, true> : post_forward_as<true, false>)(p, x, first, last, y, argmax);
  } else {
    (p.leaky ? post_forward_as<false, true> : post_forward_as<false, false>)(p, x, first, last, y, argmax);
  }
}

// ---- backward --------------------------------------------------------------------------------------------

// Output rows (or columns) first..last-1 whose windows contain input row i.
struct Span {
  int first, last;
};

FCDD_INLINE int divide(int value, int stride) {
  return stride == 2 ? value >> 1 : value / stride;
}

FCDD_INLINE Span windows_over(const PostRows& p, int i, int outputs) {
  const int from = i + p.padding - p.kernel;
  return {from < 0 ? 0 : divide(from, p.stride) + 1, min_int(outputs, divide(i + p.padding, p.stride) + 1)};
}

// What there is between dy and the gradient of act(norm(x)).
enum PoolKind { no_pool, pool_2_2_0, any_pool };

FCDD_INLINE vec won(const float* dy, const uint8_t* argmax, int64_t at, int tap, int n) {
  return load_bytes(argmax + at, n) == tap ? load_some(dy + at, n) : vec{};
}

// Gradient of act(norm(x)) at one input pixel and n channels, from dy and the winners.
template <PoolKind Pool>
FCDD_INLINE vec unpooled(const PostRows& p, const float* dy, const uint8_t* argmax, int iy, int ix, Span rows,
                         Span columns, int c, int n) {
  if (Pool == no_pool) return load_some(dy + (int64_t{iy} * p.w + ix) * p.c + c, n);
  if (Pool == pool_2_2_0) {  // one window, or none at an odd edge
    if (iy / 2 >= p.oh || ix / 2 >= p.ow) return vec{};
    return won(dy, argmax, (int64_t{iy / 2} * p.ow + ix / 2) * p.c + c, iy % 2 * 2 + ix % 2, n);
  }
  vec sum = {};
  for (int oy = rows.first; oy < rows.last; oy++) {
    for (int ox = columns.first; ox < columns.last; ox++) {
      const int tap = (iy + p.padding - oy * p.stride) * p.kernel + ix + p.padding - ox * p.stride;
      sum += won(dy, argmax, (int64_t{oy} * p.ow + ox) * p.c + c, tap, n);
    }
  }
  return sum;
}

// Calls body(pixel offset, c, n, gradient of norm(x)) for every pixel of an input row.
template <bool Norm, bool Leaky, PoolKind Pool, class Body>
FCDD_INLINE void for_row_gradient(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax,
                                  int iy, Body body) {
  const Span rows = Pool == any_pool ? windows_over(p, iy, p.oh) : Span{0, 0};
  for (int ix = 0; ix < p.w; ix++) {
    const Span columns = Pool == any_pool ? windows_over(p, ix, p.ow) : Span{0, 0};
    const int64_t at = (int64_t{iy} * p.w + ix) * p.c;
    for_channels(
        p.channels, [&](int c, int n) __attribute__((always_inline)) {
          const vec value = load_some(x + at + c, n);
          vec gradient = unpooled<Pool>(p, dy, argmax, iy, ix, rows, columns, c, n);
          if (Leaky) gradient = normalise<Norm>(p, value, c, n) > 0 ? gradient : p.slope * gradient;
          body(at, c, n, value, gradient);
        });
  }
}

// Per channel: sums of the gradient and of its product with x - mean; floats within a row, doubles across
// rows.
template <bool Leaky, PoolKind Pool>
void post_sums_as(const PostRows& rows, const float* x, const float* dy, const uint8_t* argmax, int first,
                  int last, double* sum, double* product) {
  const PostRows p = rows;  // a copy that no store can change
  float row_sum[post_channels], row_product[post_channels];
  for (int iy = first; iy < last; iy++) {
    for (int c = 0; c < p.channels; c++) row_sum[c] = row_product[c] = 0;
    for_row_gradient<true, Leaky, Pool>(
        p, x, dy, argmax,
        iy, [&](int64_t, int c, int n, vec value, vec gradient) __attribute__((always_inline)) {
          const vec centred = value - load_some(p.mean + c, n);
          store_some(row_sum + c, load_some(row_sum + c, n) + gradient, n);
          store_some(row_product + c, fma(gradient, centred, load_some(row_product + c, n)), n);
        });
    for (int c = 0; c < p.channels; c++) {
      sum[c] += static_cast<double>(row_sum[c]);
      product[c] += static_cast<double>(row_product[c]);
    }
  }
}

FCDD_INLINE PoolKind pool_kind(const PostRows& p) {
  if (p.kernel == 0) return no_pool;
  return p.kernel == 2 && p.stride == 2 && p.padding == 0 ? pool_2_2_0 : any_pool;
}

template <bool Leaky>
void post_sums_of(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first,
                  int last, double* sum, double* product) {
  const PoolKind kind = pool_kind(p);
  const auto run = kind == no_pool      ? post_sums_as<Leaky, no_pool>
                   : kind == pool_2_2_0 ? post_sums_as<Leaky, pool_2_2_0>
                                        : post_sums_as<Leaky, any_pool>;
  run(p, x, dy, argmax, first, last, sum, product);
}

void post_sums(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first, int last,
               double* sum, double* product) {
  (p.leaky ? post_sums_of<true> : post_sums_of<false>)(p, x, dy, argmax, first, last, sum, product);
}

// dx = scale gradient + factor (x - mean) + offset with normalisation, else the gradient itself.
template <bool Norm, bool Leaky, PoolKind Pool>
void post_gradient_as(const PostRows& rows, const float* x, const float* dy, const uint8_t* argmax, int first,
                      int last, const float* factor, const float* offset, float* dx) {
  const PostRows p = rows;  // a copy that no store can change
  for (int iy = first; iy < last; iy++) {
    for_row_gradient<Norm, Leaky, Pool>(
        p, x, dy, argmax,
        iy, [&](int64_t at, int c, int n, vec value, vec gradient) __attribute__((always_inline)) {
          if (Norm) {
            const vec centred = value - load_some(p.mean + c, n);
            const vec rest = fma(load_some(factor + c, n), centred, load_some(offset + c, n));
            gradient = fma(load_some(p.scale + c, n), gradient, rest);
          }
          store_some(dx + at + c, gradient, n);
        });
  }
}

template <bool Norm, bool Leaky>
void post_gradient_of(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first,
                      int last, const float* factor, const float* offset, float* dx) {
  const PoolKind kind = pool_kind(p);
  const auto run = kind == no_pool      ? post_gradient_as<Norm, Leaky, no_pool>
                   : kind == pool_2_2_0 ? post_gradient_as<Norm, Leaky, pool_2_2_0>
                                        : post_gradient_as<Norm, Leaky, any_pool>;
  run(p, x, dy, argmax, first, last, factor, offset, dx);
}

void post_gradient(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first,
                   int last, const float* factor, const float* offset, float* dx) {
  if (p.mean != nullptr) {
    (p.leaky ? post_gradient_of<true, true> : post_gradient_of<true, false>)(p, x, dy, argmax, first, last,
                                                                             factor, offset, dx);
  } else {
    (p.leaky ? post_gradient_of<false, true> : post_gradient_of<false, false>)(p, x, dy, argmax, first, last,
                                                                               factor, offset, dx);
  }
}

}  // namespace
}  // namespace fcdd::cpu
