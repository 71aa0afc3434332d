// axpy, dot and the optimisers' updates. The tail of a range goes through the same vector operations with a
// partial load, so that a value's bits do not depend on where it stands.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/vec.h"

namespace fcdd::cpu {
namespace {

constexpr int fma_chain_count = 10;  // at least latency x units

void fma_chains(int64_t iterations) {
  vec acc[fma_chain_count];
  for (int c = 0; c < fma_chain_count; c++) acc[c] = splat(static_cast<float>(c));  // or one chain would do
  vec a = splat(0.999f), b = splat(0.5f);
  for (int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 10
    for (int c = 0; c < fma_chain_count; c++) acc[c] = fma(acc[c], a, b);
    asm volatile("");
  }
  vec sum = {};
  for (int c = 0; c < fma_chain_count; c++) sum += acc[c];
  volatile float sink = sum_lanes(sum);
  (void)sink;
}

void axpy(int n, float a, const float* x, float* y) {
  const vec va = splat(a);
  int i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, fma(va, load(x + i), load(y + i)));
  if (i < n) store_n(y + i, fma(va, load_n(x + i, n - i), load_n(y + i, n - i)), n - i);
}

float dot(int n, const float* x, const float* y) {
  vec sum = {};
  int i = 0;
  for (; i + lanes <= n; i += lanes) sum = fma(load(x + i), load(y + i), sum);
  if (i < n) sum = fma(load_n(x + i, n - i), load_n(y + i, n - i), sum);
  return sum_lanes(sum);
}

struct SgdStep {
  vec lr, weight_decay, momentum;
  bool first;
  FCDD_INLINE void apply(const SgdStep& k, vec& w, vec grad, vec& buffer) {
    grad = fma(k.weight_decay, w, grad);
    buffer = k.first ? grad : fma(k.momentum, buffer, grad);
    w -= k.lr * fma(k.momentum, buffer, grad);
  }
};

void sgd(int n, float lr, float weight_decay, float momentum, bool first, float* w, const float* grad,
         float* buffer) {
  const SgdStep k{splat(lr), splat(weight_decay), splat(momentum), first};
  int i = 0;
  for (; i + lanes <= n; i += lanes) {
    vec vw = load(w + i), vb = load(buffer + i);
    SgdStep::apply(k, vw, load(grad + i), vb);
    store(w + i, vw);
    store(buffer + i, vb);
  }
  if (const int rest = n - i; rest > 0) {
    vec vw = load_n(w + i, rest), vb = load_n(buffer + i, rest);
    SgdStep::apply(k, vw, load_n(grad + i, rest), vb);
    store_n(w + i, vw, rest);
    store_n(buffer + i, vb, rest);
  }
}

FCDD_INLINE void adam_step(const AdamConstants& k, vec& w, vec grad, vec& m, vec& v) {
  grad = fma(splat(k.weight_decay), w, grad);
  m = fma(splat(k.beta1), m, k.one_minus_beta1 * grad);
  v = fma(splat(k.beta2), v, k.one_minus_beta2 * grad * grad);
  w -= k.rate * m / fma(square_root(v), splat(k.inv_sqrt_correction2), splat(k.eps));
}

void adam(int n, const AdamConstants& k, float* w, const float* grad, float* m, float* v) {
  int i = 0;
  for (; i + lanes <= n; i += lanes) {
    vec vw = load(w + i), vm = load(m + i), vv = load(v + i);
    adam_step(k, vw, load(grad + i), vm, vv);
    store(w + i, vw);
    store(m + i, vm);
    store(v + i, vv);
  }
  if (const int rest = n - i; rest > 0) {
    vec vw = load_n(w + i, rest), vm = load_n(m + i, rest), vv = load_n(v + i, rest);
    adam_step(k, vw, load_n(grad + i, rest), vm, vv);
    store_n(w + i, vw, rest);
    store_n(m + i, vm, rest);
    store_n(v + i, vv, rest);
  }
}

}  // namespace
}  // namespace fcdd::cpu
