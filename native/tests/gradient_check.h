// Central differences of a scalar function, for comparing with a gradient computed by hand.
#pragma once

#include <functional>
#include <vector>

#include "check.h"
#include "tolerances.h"

namespace fcdd::test {

using Scalar = std::function<double(const std::vector<double>&)>;

// (f(x + h e_i) - f(x - h e_i)) / 2h for every i. With h = 1e-5 the error is about 1e-10 relative where f is
// smooth, and random inputs almost never stand within h of a kink.
inline std::vector<double> finite_differences(const Scalar& f, std::vector<double> x, double h = 1e-5) {
  std::vector<double> gradient(x.size());
  for (size_t i = 0; i < x.size(); i++) {
    const double value = x[i];
    x[i] = value + h;
    const double above = f(x);
    x[i] = value - h;
    gradient[i] = (above - f(x)) / (2 * h);
    x[i] = value;
  }
  return gradient;
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

// Fails the running case, naming `label`, unless `gradient` is that of f at x.
inline void check_gradient(const std::string& label, const Scalar& f, const std::vector<double>& x,
                           const std::vector<double>& gradient) {
  const double distance = relative_l2(gradient, finite_differences(f, x));
  if (distance < tolerance::finiteDifference) return;
  fail(__FILE__, __LINE__, label + " differs from finite differences by " + std::to_string(distance));
}

}  // namespace fcdd::test
