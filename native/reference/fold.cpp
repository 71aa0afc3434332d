// Folds a batch normalisation with running statistics into the convolution before it (inference):
// w' = w g/sqrt(v+eps), b' = (b-m) g/sqrt(v+eps) + beta, filter by filter.
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {

void conv_fold(ReferenceDevice& device, const FcddConvFold& a) {
  const int64_t K = a.filters, fan_in = a.fan_in;
  const double* w = device.need<double>(a.w, count(K, fan_in), "w");
  const double* bias = device.maybe<double>(a.bias, count(K), "bias");
  const double* gamma = device.maybe<double>(a.gamma, count(K), "gamma");
  const double* beta = device.maybe<double>(a.beta, count(K), "beta");
  const double* mean = device.need<double>(a.running_mean, count(K), "running_mean");
  const double* var = device.need<double>(a.running_var, count(K), "running_var");
  double* folded_w = device.need<double>(a.folded_w, count(K, fan_in), "folded_w");
  double* folded_bias = device.need<double>(a.folded_bias, count(K), "folded_bias");
  for (int64_t k = 0; k < K; k++) {
    const double scale = (gamma == nullptr ? 1 : gamma[k]) / std::sqrt(var[k] + a.eps);
    for (int64_t i = 0; i < fan_in; i++) folded_w[k * fan_in + i] = w[k * fan_in + i] * scale;
    folded_bias[k] = ((bias == nullptr ? 0 : bias[k]) - mean[k]) * scale + (beta == nullptr ? 0 : beta[k]);
  }
}

}  // namespace fcdd::reference
