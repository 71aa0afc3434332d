// SGD with Nesterov momentum and Adam, both with L2 weight decay added to the gradient, as PyTorch's.
#include <algorithm>
#include <cmath>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

void update(CpuDevice& device, const FcddUpdate& a) {
  require(a.kind == FCDD_SGD || a.kind == FCDD_ADAM, "update: unknown optimiser");
  require(a.step >= 1, "update: steps count from 1");
  float* w = at<float>(device, a.w, a.count, "update: w");
  const float* grad = at<float>(device, a.grad, a.count, "update: grad");
  float* m = at<float>(device, a.m, a.count, "update: m");
  float* v = a.kind == FCDD_ADAM ? at<float>(device, a.v, a.count, "update: v") : nullptr;
  const double t = static_cast<double>(a.step);
  const AdamConstants adam{static_cast<float>(a.beta1),
                           static_cast<float>(1 - a.beta1),
                           static_cast<float>(a.beta2),
                           static_cast<float>(1 - a.beta2),
                           static_cast<float>(a.eps),
                           static_cast<float>(1 / std::sqrt(1 - std::pow(a.beta2, t))),
                           static_cast<float>(a.lr / (1 - std::pow(a.beta1, t))),
                           static_cast<float>(a.weight_decay)};
  constexpr uint64_t piece = 1 << 14;  // fixed, so that the vector tails stand where they stand
  parallel(device.threads, static_cast<int64_t>((a.count + piece - 1) / piece), [&](int64_t index, int) {
    const uint64_t first = static_cast<uint64_t>(index) * piece;
    const auto n = static_cast<int>(std::min(piece, a.count - first));
    if (a.kind == FCDD_ADAM) {
      device.isa->adam(n, adam, w + first, grad + first, m + first, v + first);
    } else {
      device.isa->sgd(n, static_cast<float>(a.lr), static_cast<float>(a.weight_decay),
                      static_cast<float>(a.momentum), a.step == 1, w + first, grad + first, m + first);
    }
  });
}

}  // namespace fcdd::cpu
