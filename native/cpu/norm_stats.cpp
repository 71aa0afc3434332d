// Batch statistics from per-image sums, combined in double in the order of the images, and the running
// statistics (unbiased variance, as PyTorch).
#include <cmath>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

struct Moments {
  double mean, squares;  // squares: sum of squared deviations from the mean
};

// Chan's formula over images in order, each with `pixels` values.
Moments combine(const double* sums, int batch, int channels, int channel, double pixels) {
  Moments total{0, 0};
  for (int n = 0; n < batch; n++) {
    const double* image = sums + static_cast<int64_t>(n) * 2 * channels;
    const double delta = image[channel] / pixels - total.mean;
    total.squares += image[channels + channel] + delta * delta * pixels * n / (n + 1);
    total.mean += delta / (n + 1);
  }
  return total;
}

}  // namespace

void norm_stats(CpuDevice& device, const FcddNormStats& a) {
  const FcddPostProblem& p = a.p;
  require(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0,
          "norm_stats: expected positive extents");
  require(p.batch > 1 || p.height > 1 || p.width > 1,
          "norm_stats: batch statistics need more than one value per channel");
  const auto c = static_cast<uint64_t>(p.channels);
  const double* sums = at<double>(device, a.sums, 2 * c * static_cast<uint64_t>(p.batch), "norm_stats: sums");
  float* mean = at<float>(device, a.mean, c, "norm_stats: mean");
  float* inv_std = at<float>(device, a.inv_std, c, "norm_stats: inv_std");
  float* running_mean = at<float>(device, a.running_mean, c, "norm_stats: running_mean");
  float* running_var = at<float>(device, a.running_var, c, "norm_stats: running_var");
  const double pixels = static_cast<double>(p.height) * p.width;
  const double count = pixels * p.batch;
  for (int i = 0; i < p.channels; i++) {
    const Moments m = combine(sums, p.batch, p.channels, i, pixels);
    mean[i] = static_cast<float>(m.mean);
    inv_std[i] = static_cast<float>(1 / std::sqrt(m.squares / count + p.eps));
    running_mean[i] = static_cast<float>((1 - p.momentum) * running_mean[i] + p.momentum * m.mean);
    running_var[i] =
        static_cast<float>((1 - p.momentum) * running_var[i] + p.momentum * m.squares / (count - 1));
  }
}

}  // namespace fcdd::cpu
