// Dropout in training, forward and backward alike: image by image, by draws of seed, epoch and position.
#include "fcdd/dropout.h"

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

void dropout(CpuDevice& device, const FcddDropout& a) {
  require(a.batch > 0 && a.size <= kDropoutValues && a.layer >= 0 && a.layer < kDropoutLayers,
          "dropout: expected at most 2^28 values in each of at most 64 layers");
  require(a.probability >= 0 && a.probability < 1, "dropout: expected a probability from 0 to below 1");
  const uint64_t values = static_cast<uint64_t>(a.batch) * a.size;
  const float* from = at<float>(device, a.from, values, "dropout: from");
  float* to = at<float>(device, a.to, values, "dropout: to");
  const auto scale = static_cast<float>(1 / (1 - a.probability));
  parallel(device.threads, a.batch, [&](int64_t image, int) {
    const uint64_t start = static_cast<uint64_t>(image) * a.size;
    const uint32_t position = a.first + static_cast<uint32_t>(image);
    for (uint64_t i = 0; i < a.size; i++) {
      const bool drop = dropped(a.seed, a.epoch, position, a.layer, i, a.probability);
      to[start + i] = drop ? 0 : from[start + i] * scale;
    }
  });
}

}  // namespace fcdd::cpu
