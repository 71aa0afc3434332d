// Stages 5 to 7: bytes -> noise, local contrast normalisation, affine scaling, in float64.
#include <algorithm>
#include <cmath>

#include "fcdd/normal.h"
#include "reference/augment_stages.h"

namespace fcdd::reference {
namespace {

// Mean over all channels and pixels, taken from the first value so that a constant image has exactly its
// value.
double mean_of(const double* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] - x[0];
  return x[0] + sum / static_cast<double>(n);
}

// The unbiased standard deviation, as torch.std; 0 for a single value.
double standard_deviation(const double* x, int64_t n) {
  const double mean = mean_of(x, n);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
  return n > 1 ? std::sqrt(sum / static_cast<double>(n - 1)) : 0;
}

void add_noise(const FcddPipeline& p, const DrawKey& key, double* x, int64_t n) {
  const double sigma = p.noise_relative ? p.noise_sigma * standard_deviation(x, n) : p.noise_sigma;
  const Draws draws = key.stream(Purpose::PixelNormals);
  for (int64_t i = 0; i < n; i++)
    x[i] += sigma * double{normal_from_bits(draws.word(static_cast<uint64_t>(i)))};
}

// LCN-L1: the sample's mean becomes 0, its mean absolute value 1 (unless it is constant).
void normalise_contrast(double* x, int64_t n) {
  const double mean = mean_of(x, n);
  double deviation = 0;
  for (int64_t i = 0; i < n; i++) {
    x[i] -= mean;
    deviation += std::abs(x[i]);
  }
  deviation /= static_cast<double>(n);
  if (deviation == 0) deviation = 1;
  for (int64_t i = 0; i < n; i++) x[i] /= deviation;
}

}  // namespace

void normalise(const FcddPipeline& p, const SamplePlan& plan, const uint8_t* bytes, double* x) {
  const int64_t n = int64_t{p.height} * p.width * p.channels;
  for (int64_t i = 0; i < n; i++) x[i] = bytes[i] / 255.0;
  if (plan.pixel_noise) add_noise(p, plan.key, x, n);
  if (p.noise_clamp) {
    for (int64_t i = 0; i < n; i++) x[i] = std::clamp(x[i], 0.0, 1.0);
  }
  if (p.lcn) normalise_contrast(x, n);
  for (int64_t i = 0; i < n; i++) x[i] = (x[i] - p.offset[i % p.channels]) / p.scale[i % p.channels];
}

}  // namespace fcdd::reference
