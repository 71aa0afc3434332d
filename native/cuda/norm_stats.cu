// Batch statistics from per-image sums, combined in double by the formula of Chan, Golub and LeVeque (1979),
// and the running statistics (unbiased variance, as PyTorch). Images are combined in order within eight runs
// of the batch, then the runs in order: an order that depends on the size of the batch alone.
#include "cuda/instructions.h"
#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

constexpr int channels_per_block = 32, runs = 8;

struct NormStats {
  int batch, channels;
  double pixels, eps, momentum;  // pixels: of one image
  const double* sums;
  float *mean, *inv_std, *running_mean, *running_var;
};

struct Moments {
  double mean = 0, squares = 0;  // squares: sum of squared deviations from the mean
};

// Moments of images first..last-1 of one channel. All images have the same number of pixels, so that weights
// are ratios of numbers of images.
FCDD_GPU Moments of_images(const NormStats& a, int channel, int first, int last) {
  Moments all;
  const double per_pixel = 1 / a.pixels;
  for (int n = first; n < last; n++) {
    const double* image = a.sums + int64_t{n} * 2 * a.channels + channel;
    const double share = 1.0 / (n - first + 1);
    const double delta = image[0] * per_pixel - all.mean;
    all.squares += image[a.channels] + delta * delta * a.pixels * (n - first) * share;
    all.mean += delta * share;
  }
  return all;
}

FCDD_GPU void finish(const NormStats& a, int channel, Moments all) {
  const double count = a.pixels * a.batch;
  a.mean[channel] = static_cast<float>(all.mean);
  a.inv_std[channel] = static_cast<float>(1 / sqrt(all.squares / count + a.eps));
  const double mean = static_cast<double>(a.running_mean[channel]);
  const double var = static_cast<double>(a.running_var[channel]);
  a.running_mean[channel] = static_cast<float>((1 - a.momentum) * mean + a.momentum * all.mean);
  a.running_var[channel] =
      static_cast<float>((1 - a.momentum) * var + a.momentum * all.squares / (count - 1));
}

// Block: channels_per_block x runs threads.
FCDD_KERNEL void combine_images(NormStats a) {
  FCDD_SHARED_ARRAY(double, mean, [runs][channels_per_block]);
  FCDD_SHARED_ARRAY(double, squares, [runs][channels_per_block]);
  const int column = static_cast<int>(threadIdx.x), run = static_cast<int>(threadIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * channels_per_block + column;
  const int length = (a.batch + runs - 1) / runs;
  const bool inside = channel < a.channels;
  if (inside) {
    const Moments own = of_images(a, channel, run * length, min(run * length + length, a.batch));
    mean[run][column] = own.mean;
    squares[run][column] = own.squares;
  }
  sync_block();
  if (run > 0 || !inside) return;
  Moments all{mean[0][column], squares[0][column]};
  for (int r = 1; r * length < a.batch; r++) {
    const double before = r * length, added = min(length, a.batch - r * length);
    const double delta = mean[r][column] - all.mean, share = added / (before + added);
    all.squares += squares[r][column] + delta * delta * a.pixels * before * share;
    all.mean += delta * share;
  }
  finish(a, channel, all);
}

}  // namespace

void norm_stats(CudaDevice& device, const FcddNormStats& a) {
  const FcddPostProblem& p = a.p;
  require(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0,
          "norm_stats: expected positive extents");
  require(p.batch > 1 || p.height > 1 || p.width > 1,
          "norm_stats: batch statistics need more than one value per channel");
  const auto c = static_cast<uint64_t>(p.channels);
  NormStats k{};
  k.batch = p.batch, k.channels = p.channels;
  k.pixels = static_cast<double>(p.height) * p.width, k.eps = p.eps, k.momentum = p.momentum;
  k.sums = at<double>(device, a.sums, 2 * c * static_cast<uint64_t>(p.batch), "norm_stats: sums");
  k.mean = at<float>(device, a.mean, c, "norm_stats: mean");
  k.inv_std = at<float>(device, a.inv_std, c, "norm_stats: inv_std");
  k.running_mean = at<float>(device, a.running_mean, c, "norm_stats: running_mean");
  k.running_var = at<float>(device, a.running_var, c, "norm_stats: running_var");
  const unsigned blocks = (static_cast<unsigned>(p.channels) + channels_per_block - 1) / channels_per_block;
  launch("norm_stats", combine_images, {{blocks}, {channels_per_block, runs}}, device.stream, k);
}

}  // namespace fcdd::cuda
