// y = pool(act(norm(x))) for rows of one image: pixels outside, channels (one register at a time) inside, so
// that memory is read in order.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/channels.h"
#include "cpu/kernels/post_values.h"

namespace fcdd::cpu {
namespace {

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

}  // namespace
}  // namespace fcdd::cpu
