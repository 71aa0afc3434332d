// Stages 5 to 7 in float32: bytes -> noise, LCN, affine scaling (explained in reference/augment_values.cpp).
//
// Statistics of bytes are exact integers. Without noise the three stages are one affine function of a byte;
// with noise, values are kept as distances from an integer centre near the mean, so that nothing cancels in
// float32.
#include <algorithm>
#include <cmath>

#include "cpu/augment_stages.h"

namespace fcdd::cpu {
namespace {

// x -> (x - mean) / deviation, in units of [0,1]; the identity without LCN.
struct Contrast {
  double mean = 0, deviation = 1;
};

// Of an image without noise. Deviations above the mean are half of all deviations.
Contrast contrast_of_bytes(const AugmentKernels& k, const uint8_t* bytes, int64_t n, uint64_t total) {
  const double mean = static_cast<double>(total) / static_cast<double>(n);
  uint64_t count = 0, sum = 0;
  k.above(bytes, n, static_cast<uint8_t>(mean), &count, &sum);
  const double above = static_cast<double>(sum) - static_cast<double>(count) * mean;
  const double deviation = 2 * above / static_cast<double>(n) / 255;
  return {mean / 255, deviation > 0 ? deviation : 1};
}

// gain and bias that finish a value v given in `unit`s from `centre`: ((v unit + centre - mean) / deviation -
// offset) / scale, per channel.
void finish(const FcddPipeline& p, const Contrast& contrast, double centre, double unit, ValueScale& s) {
  for (int c = 0; c < p.channels; c++) {
    s.gain[c] = static_cast<float>(unit / contrast.deviation / p.scale[c]);
    s.bias[c] =
        static_cast<float>(((centre - contrast.mean) / contrast.deviation - p.offset[c]) / p.scale[c]);
  }
}

// The standard deviation of the image in [0,1], unbiased.
double standard_deviation(uint64_t total, uint64_t squares, int64_t n) {
  if (n < 2) return 0;
  const double sum = static_cast<double>(total);
  const double variance =
      (static_cast<double>(squares) - sum / static_cast<double>(n) * sum) / static_cast<double>(n - 1);
  return std::sqrt(std::max(variance, 0.0)) / 255;
}

void with_noise(const AugmentKernels& k, const FcddPipeline& p, const DrawKey& key, const uint8_t* bytes,
                int64_t n, AugmentScratch& scratch, float* x) {
  uint64_t total = 0, squares = 0;
  k.moments(bytes, n, &total, &squares);
  const double sigma =
      p.noise_relative ? p.noise_sigma * standard_deviation(total, squares, n) : p.noise_sigma;
  ValueScale s = {};
  s.centre = static_cast<int32_t>(total / static_cast<uint64_t>(n));
  s.unit = 1.0f / 255;
  s.sigma = static_cast<float>(sigma);
  s.clamp = p.noise_clamp != 0;
  s.low = static_cast<float>(-s.centre / 255.0);
  s.high = static_cast<float>((255 - s.centre) / 255.0);
  const StreamKey stream = stream_key(key, Purpose::PixelNormals);
  double sum = 0;
  for (int64_t first = 0; first < n; first += words_of_tile) {
    const int64_t count = std::min<int64_t>(words_of_tile, n - first);
    k.words(stream, static_cast<uint32_t>(first / 4), static_cast<int>((count + 63) / 64 * 16),
            scratch.words);
    k.normals(scratch.words, static_cast<int>(count), scratch.normals);
    sum += k.noisy(s, bytes + first, scratch.normals, count, x + first);
  }
  Contrast contrast;
  const double centre = s.centre / 255.0;
  if (p.lcn) {
    const double mean = sum / static_cast<double>(n);
    const double deviation = k.deviation(x, n, static_cast<float>(mean)) / static_cast<double>(n);
    contrast = {centre + mean, deviation > 0 ? deviation : 1};
  }
  finish(p, contrast, centre, 1, s);
  k.scale(s, n / p.channels, p.channels, x);
}

}  // namespace

void normalise(const AugmentKernels& k, const FcddPipeline& p, const SamplePlan& plan, const uint8_t* bytes,
               AugmentScratch& scratch, float* x) {
  const int64_t pixels = int64_t{p.height} * p.width, n = pixels * p.channels;
  if (plan.pixel_noise) return with_noise(k, p, plan.key, bytes, n, scratch, x);
  ValueScale s = {};
  Contrast contrast;
  if (p.lcn) {
    const uint64_t total = k.sum(bytes, n);
    contrast = contrast_of_bytes(k, bytes, n, total);
    s.centre = static_cast<int32_t>(total / static_cast<uint64_t>(n));
  } else {
    s.centre = static_cast<int32_t>(std::clamp(p.offset[0], 0.0, 1.0) * 255);
  }
  finish(p, contrast, s.centre / 255.0, 1.0 / 255, s);
  k.scale_bytes(s, bytes, pixels, p.channels, x);
}

}  // namespace fcdd::cpu
