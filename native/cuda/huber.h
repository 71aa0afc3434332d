// The pseudo-Huber map A = sqrt(z^2+1) - 1 (FCDD, Liznerski et al., ICLR 2021, section 3) without
// cancellation: z^2 / (sqrt(z^2+1) + 1). The plain form loses all digits below z = 3e-4 in float32.
#pragma once

#include "cuda/kernel.h"

namespace fcdd::cuda {

FCDD_GPU double huber(float z) {
  const double square = static_cast<double>(z) * static_cast<double>(z);
  return square / (sqrt(square + 1) + 1);
}

FCDD_GPU double huber_slope(float z) {
  const double wide = static_cast<double>(z);
  return wide / sqrt(wide * wide + 1);
}

}  // namespace fcdd::cuda
