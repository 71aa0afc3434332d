// Folds running statistics into the convolution before them: w' = w g, b' = (b - mean) g + beta with
// g = gamma / sqrt(var + eps), in double.
#include <cmath>

#include "cpu/steps.h"

namespace fcdd::cpu {

void conv_fold(CpuDevice& device, const FcddConvFold& a) {
  require(a.filters > 0 && a.fan_in > 0, "conv_fold: expected positive extents");
  const auto k = static_cast<uint64_t>(a.filters), fan_in = static_cast<uint64_t>(a.fan_in);
  const float* w = at<float>(device, a.w, k * fan_in, "conv_fold: w");
  const float* bias = at_or_null<float>(device, a.bias, k, "conv_fold: bias");
  const float* gamma = at_or_null<float>(device, a.gamma, k, "conv_fold: gamma");
  const float* beta = at_or_null<float>(device, a.beta, k, "conv_fold: beta");
  const float* mean = at<float>(device, a.running_mean, k, "conv_fold: running_mean");
  const float* var = at<float>(device, a.running_var, k, "conv_fold: running_var");
  float* folded_w = at<float>(device, a.folded_w, k * fan_in, "conv_fold: folded_w");
  float* folded_bias = at<float>(device, a.folded_bias, k, "conv_fold: folded_bias");
  for (uint64_t i = 0; i < k; i++) {
    const double scale = (gamma != nullptr ? gamma[i] : 1.0) / std::sqrt(var[i] + a.eps);
    const double shift = (bias != nullptr ? bias[i] : 0.0) - mean[i];
    for (uint64_t j = i * fan_in; j < (i + 1) * fan_in; j++) folded_w[j] = static_cast<float>(w[j] * scale);
    folded_bias[i] = static_cast<float>(shift * scale + (beta != nullptr ? beta[i] : 0.0));
  }
}

}  // namespace fcdd::cpu
