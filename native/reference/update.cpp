// One optimiser step over all trainable parameters, as PyTorch 1.13 computes it: SGD with Nesterov momentum
// (dampening 0) and Adam. Weight decay is L2: it is added to the gradient.
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

void sgd(const FcddUpdate& a, double* w, const double* grad, double* momentum) {
  for (uint64_t i = 0; i < a.count; i++) {
    const double d = grad[i] + a.weight_decay * w[i];
    momentum[i] = a.step == 1 ? d : a.momentum * momentum[i] + d;
    w[i] -= a.lr * (d + a.momentum * momentum[i]);
  }
}

void adam(const FcddUpdate& a, double* w, const double* grad, double* m, double* v) {
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  for (uint64_t i = 0; i < a.count; i++) {
    const double d = grad[i] + a.weight_decay * w[i];
    m[i] = a.beta1 * m[i] + (1 - a.beta1) * d;
    v[i] = a.beta2 * v[i] + (1 - a.beta2) * d * d;
    w[i] -= a.lr / correction1 * m[i] / (std::sqrt(v[i]) / std::sqrt(correction2) + a.eps);
  }
}

}  // namespace

void update(ReferenceDevice& device, const FcddUpdate& a) {
  if (a.step < 1)
    throw Error("FCDD_INVALID_ARGUMENT", "the first update is step 1, got " + std::to_string(a.step));
  double* w = device.need<double>(a.w, a.count, "w");
  const double* grad = device.need<double>(a.grad, a.count, "grad");
  double* m = device.need<double>(a.m, a.count, "m");
  if (a.kind == FCDD_SGD) {
    sgd(a, w, grad, m);
  } else {
    adam(a, w, grad, m, device.need<double>(a.v, a.count, "v"));
  }
}

}  // namespace fcdd::reference
