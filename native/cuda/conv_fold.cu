// Folds running statistics into the convolution before them: w' = w g, b' = (b - mean) g + beta with
// g = gamma / sqrt(var + eps), in double. A block per filter.
#include "cuda/runtime.h"
#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

constexpr int fold_threads = 128;

struct FoldRun {
  const float *w, *bias, *gamma, *beta, *mean, *var;
  float *folded_w, *folded_bias;
  int32_t fan_in;
  double eps;
};

FCDD_KERNEL void FCDD_BOUNDS(fold_threads, 4) fold(FoldRun run) {
  const auto k = static_cast<int64_t>(blockIdx.x);
  const double scale = (run.gamma != nullptr ? run.gamma[k] : 1.0) / sqrt(run.var[k] + run.eps);
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < run.fan_in; i += fold_threads) {
    const int64_t at = k * run.fan_in + i;
    run.folded_w[at] = static_cast<float>(run.w[at] * scale);
  }
  if (threadIdx.x != 0) return;
  const double shift = (run.bias != nullptr ? run.bias[k] : 0.0) - run.mean[k];
  run.folded_bias[k] = static_cast<float>(shift * scale + (run.beta != nullptr ? run.beta[k] : 0.0));
}

}  // namespace

void conv_fold(CudaDevice& device, const FcddConvFold& a) {
  require(a.filters > 0 && a.fan_in > 0, "conv_fold: expected positive extents");
  const auto k = static_cast<uint64_t>(a.filters), fan_in = static_cast<uint64_t>(a.fan_in);
  const FoldRun run{at<float>(device, a.w, k * fan_in, "conv_fold: w"),
                    at_or_null<float>(device, a.bias, k, "conv_fold: bias"),
                    at_or_null<float>(device, a.gamma, k, "conv_fold: gamma"),
                    at_or_null<float>(device, a.beta, k, "conv_fold: beta"),
                    at<float>(device, a.running_mean, k, "conv_fold: running_mean"),
                    at<float>(device, a.running_var, k, "conv_fold: running_var"),
                    at<float>(device, a.folded_w, k * fan_in, "conv_fold: folded_w"),
                    at<float>(device, a.folded_bias, k, "conv_fold: folded_bias"),
                    a.fan_in,
                    a.eps};
  launch("conv_fold", fold, {dim3(static_cast<unsigned>(a.filters)), dim3(fold_threads)}, device.stream, run);
}

}  // namespace fcdd::cuda
