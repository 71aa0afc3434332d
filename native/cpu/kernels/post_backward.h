// Gradient of y = pool(act(norm(x))) for input rows of one image. That of pooling is gathered: an input pixel
// looks at the windows that contain it and takes dy where it was the winner, so that rows are independent and
// the order of addition is fixed. dx may be x itself: a pixel is read before it is written, and by nobody
// else.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/post_values.h"

namespace fcdd::cpu {
namespace {

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
