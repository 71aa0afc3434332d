// The kernels of one instruction set. Included by the files that are built for an instruction set, so it must
// pull in nothing with inline functions.
#pragma once

#include <stdint.h>

namespace fcdd::cpu {

// Adam's constants as the update kernel wants them (PyTorch's formulation).
struct AdamConstants {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
  float inv_sqrt_correction2;  // 1 / sqrt(1 - beta2^t)
  float rate;                  // lr / (1 - beta1^t)
  float weight_decay;
};

struct IsaTable {
  const char* name;  // "baseline", "avx2", "avx512"

  void (*axpy)(int n, float a, const float* x, float* y);  // y += a x
  float (*dot)(int n, const float* x, const float* y);     // fixed order of summation
  void (*sgd)(int n, float lr, float weight_decay, float momentum, bool first, float* w, const float* grad,
              float* buffer);
  void (*adam)(int n, const AdamConstants& k, float* w, const float* grad, float* m, float* v);
};

extern const IsaTable isa_baseline, isa_avx2, isa_avx512;

// The table called `name`, or the best that this machine has when name is null or empty.
// Throws FCDD_INVALID_ARGUMENT for an unknown name and FCDD_NO_DEVICE when the machine (or this build) lacks
// it.
const IsaTable* choose_isa(const char* name);

}  // namespace fcdd::cpu
