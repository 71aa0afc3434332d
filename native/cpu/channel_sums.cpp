#include "cpu/channel_sums.h"

#include <algorithm>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// Channels of one task: whole cache lines, and enough tasks for small batches.
constexpr int64_t piece = 64;

template <class F>
void for_each_piece(const CpuDevice& device, int64_t images, int64_t channels, F body) {
  const int64_t pieces = (channels + piece - 1) / piece;
  parallel(device.threads, images * pieces, [&](int64_t index, int) {
    const int64_t first = index % pieces * piece;
    body(index / pieces, first, static_cast<int>(std::min(piece, channels - first)));
  });
}

}  // namespace

void image_moments(const CpuDevice& device, const float* x, int64_t images, int64_t pixels, int64_t channels,
                   double* sums) {
  for_each_piece(device, images, channels, [&](int64_t image, int64_t first, int count) {
    double* to = sums + image * 2 * channels + first;
    device.isa->moments(x + image * pixels * channels + first, pixels, channels, count, to, to + channels);
  });
}

void channel_totals(const CpuDevice& device, const float* x, int64_t images, int64_t pixels, int64_t channels,
                    double* per_image, float* totals) {
  for_each_piece(device, images, channels, [&](int64_t image, int64_t first, int count) {
    device.isa->sums(x + image * pixels * channels + first, pixels, channels, count,
                     per_image + image * channels + first);
  });
  for (int64_t c = 0; c < channels; c++) {
    double total = 0;
    for (int64_t n = 0; n < images; n++) total += per_image[n * channels + c];
    totals[c] = static_cast<float>(total);
  }
}

}  // namespace fcdd::cpu
