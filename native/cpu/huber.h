// The pseudo-Huber map A = sqrt(z^2+1) - 1 (FCDD, Liznerski et al., ICLR 2021, section 3) without
// cancellation: z^2 / (sqrt(z^2+1) + 1). The plain form loses all digits below z = 3e-4 in float32.
#pragma once

#include <cmath>
#include <cstdint>

namespace fcdd::cpu {

inline double huber(double z) {
  return z * z / (std::sqrt(z * z + 1) + 1);
}
inline double huber_slope(double z) {
  return z / std::sqrt(z * z + 1);
}

// Mean of the map over n values.
inline double huber_mean(const float* z, uint64_t n) {
  double sum = 0;
  for (uint64_t i = 0; i < n; i++) sum += huber(z[i]);
  return sum / static_cast<double>(n);
}

}  // namespace fcdd::cpu
