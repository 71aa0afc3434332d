// Loops over channels, one register at a time, with a partial register at the end.
#pragma once

#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

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

}  // namespace
}  // namespace fcdd::cpu
