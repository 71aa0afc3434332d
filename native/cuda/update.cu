// One optimiser step over all trainable parameters: SGD with Nesterov momentum (the first momentum buffer is
// the gradient itself) and Adam, both with L2 weight decay added to the gradient, as PyTorch's.
#include <cmath>

#include "cuda/steps.h"
#include "cuda/values.h"

namespace fcdd::cuda {
namespace {

struct Sgd {
  float lr, weight_decay, momentum;
  bool first;
};

struct Adam {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, inv_sqrt_correction2, rate, weight_decay;
};

struct Parameters {
  uint64_t count;
  float* w;
  const float* grad;
  float *m, *v;
};

FCDD_GPU void step(const Sgd& k, float grad, float& w, float& m, float&) {
  const float g = fmaf(k.weight_decay, w, grad);
  m = k.first ? g : fmaf(k.momentum, m, g);
  w -= k.lr * fmaf(k.momentum, m, g);
}

FCDD_GPU void step(const Adam& k, float grad, float& w, float& m, float& v) {
  const float g = fmaf(k.weight_decay, w, grad);
  m = fmaf(k.beta1, m, k.one_minus_beta1 * g);
  v = fmaf(k.beta2, v, k.one_minus_beta2 * g * g);
  w -= k.rate * m / fmaf(sqrtf(v), k.inv_sqrt_correction2, k.eps);
}

template <class Optimiser, int V>
FCDD_GPU void step_at(const Optimiser& k, const Parameters& p, uint64_t i) {
  constexpr bool second_moment = std::is_same_v<Optimiser, Adam>;
  float w[V], grad[V], m[V], v[V] = {};
  load(p.w + i, w);
  load(p.grad + i, grad);
  load(p.m + i, m);
  if constexpr (second_moment) load(p.v + i, v);
  FCDD_UNROLL
  for (int j = 0; j < V; j++) step(k, grad[j], w[j], m[j], v[j]);
  store(p.w + i, w);
  store(p.m + i, m);
  if constexpr (second_moment) store(p.v + i, v);
}

// Each thread takes V neighbouring values; the last one what is left.
template <class Optimiser, int V>
FCDD_KERNEL void update_parameters(Optimiser k, Parameters p) {
  uint64_t i = (uint64_t{blockIdx.x} * block_threads + threadIdx.x) * V;
  if (i + V <= p.count) {
    step_at<Optimiser, V>(k, p, i);
  } else {
    for (; i < p.count; i++) step_at<Optimiser, 1>(k, p, i);
  }
}

template <class Optimiser>
void run(const CudaDevice& device, const Optimiser& k, const Parameters& p) {
  const bool vectors = aligned_for_vectors(p.w, p.grad, p.m, p.v);
  const uint64_t per_block = uint64_t{block_threads} * (vectors ? 4 : 1);
  const uint64_t blocks = (p.count + per_block - 1) / per_block;
  require(blocks < uint64_t{1} << 31, "update: too many parameters");
  launch("update", vectors ? update_parameters<Optimiser, 4> : update_parameters<Optimiser, 1>,
         {{static_cast<unsigned>(blocks)}, {block_threads}}, device.stream, k, p);
}

}  // namespace

void update(CudaDevice& device, const FcddUpdate& a) {
  require(a.kind == FCDD_SGD || a.kind == FCDD_ADAM, "update: unknown optimiser");
  require(a.step >= 1, "update: steps count from 1");
  Parameters p{};
  p.count = a.count;
  p.w = at<float>(device, a.w, a.count, "update: w");
  p.grad = at<float>(device, a.grad, a.count, "update: grad");
  p.m = at<float>(device, a.m, a.count, "update: m");
  if (a.kind == FCDD_ADAM) p.v = at<float>(device, a.v, a.count, "update: v");
  if (a.count == 0) return;
  if (a.kind == FCDD_SGD) {
    return run(device,
               Sgd{static_cast<float>(a.lr), static_cast<float>(a.weight_decay),
                   static_cast<float>(a.momentum), a.step == 1},
               p);
  }
  const double t = static_cast<double>(a.step);
  run(device,
      Adam{static_cast<float>(a.beta1), static_cast<float>(1 - a.beta1), static_cast<float>(a.beta2),
           static_cast<float>(1 - a.beta2), static_cast<float>(a.eps),
           static_cast<float>(1 / std::sqrt(1 - std::pow(a.beta2, t))),
           static_cast<float>(a.lr / (1 - std::pow(a.beta1, t))), static_cast<float>(a.weight_decay)},
      p);
}

}  // namespace fcdd::cuda
