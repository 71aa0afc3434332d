// Batch statistics from per-image sums, combined image by image in order with the formula of Chan, Golub and
// LeVeque
// ("Updating formulae and a pairwise algorithm for computing sample variances", 1979): no cancellation, and
// an order that depends on nothing but the batch. Running statistics follow PyTorch: the running variance is
// the unbiased one.
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {

void norm_stats(ReferenceDevice& device, const FcddNormStats& a) {
  const int64_t N = a.p.batch, C = a.p.channels;
  const double pixels = static_cast<double>(a.p.height) * a.p.width;
  const double total = pixels * static_cast<double>(N);
  if (total < 2) {
    throw Error(
        "FCDD_INVALID_ARGUMENT",
        "batch statistics need more than one value per channel, got a batch of one image of 1x1 pixels");
  }
  const double* sums = device.need<double>(a.sums, count(N, 2, C), "sums");
  double* mean = device.need<double>(a.mean, count(C), "mean");
  double* inv_std = device.need<double>(a.inv_std, count(C), "inv_std");
  double* running_mean = device.need<double>(a.running_mean, count(C), "running_mean");
  double* running_var = device.need<double>(a.running_var, count(C), "running_var");
  for (int64_t c = 0; c < C; c++) {
    double seen = 0, m = 0, squares = 0;  // of the images so far: values, mean, sum of squared deviations
    for (int64_t n = 0; n < N; n++) {
      const double delta = sums[n * 2 * C + c] / pixels - m;
      const double both = seen + pixels;
      m += delta * pixels / both;
      squares += sums[(n * 2 + 1) * C + c] + delta * delta * seen * pixels / both;
      seen = both;
    }
    mean[c] = m;
    inv_std[c] = 1 / std::sqrt(squares / total + a.p.eps);
    running_mean[c] = (1 - a.p.momentum) * running_mean[c] + a.p.momentum * m;
    running_var[c] = (1 - a.p.momentum) * running_var[c] + a.p.momentum * squares / (total - 1);
  }
}

}  // namespace fcdd::reference
