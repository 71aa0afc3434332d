// Constants of a user's own data over all images of a store, after the test transform: mean and unbiased
// standard deviation per channel of the pixels in [0,1], and per channel the extremes after L1 local contrast
// normalisation. Images are visited in order, in float64, so the constants do not depend on the chunk size.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "engine/transfer.h"

namespace fcdd {
namespace {

constexpr int kChunk = 16;

// Calls visit(channel, value) for every value that the pipeline makes of the store's images.
void for_each_value(const ImageStore& store, const FcddPipeline& pipeline,
                    const std::function<void(int, double)>& visit) {
  const Device& device = *store.device();
  const size_t image = static_cast<size_t>(pipeline.height) * static_cast<size_t>(pipeline.width) *
                       static_cast<size_t>(pipeline.channels);
  FcddAugment a{};
  a.pipeline = pipeline;
  a.images = store.store();
  a.batch = std::min(kChunk, store.store().count);
  const uint64_t bytes =
      image * static_cast<uint64_t>(a.batch) * static_cast<uint64_t>(device.info().real_bytes);
  const Arena x(store.device(), bytes);
  const Arena workspace(store.device(), device.table().augment_workspace_bytes(device.handle(), &a));
  a.x = x.slice(0, bytes);
  a.workspace = workspace.slice(0, workspace.bytes());
  for (int first = 0; first < store.store().count; first += kChunk) {
    a.first = static_cast<uint32_t>(first);
    a.batch = std::min(kChunk, store.store().count - first);
    device.check(device.table().augment(device.handle(), &a), "preparing images");
    const std::vector<double> values =
        download_real<double>(device, a.x, image * static_cast<size_t>(a.batch));
    for (size_t i = 0; i < values.size(); i++)
      visit(static_cast<int>(i % static_cast<size_t>(a.pipeline.channels)), values[i]);
  }
}

}  // namespace

ImageStatistics image_statistics(const ImageStore& store, FcddPipeline test_pipeline) {
  FcddPipeline& p = test_pipeline;
  if (p.height < 1 || p.width < 1 || (p.channels != 1 && p.channels != 3)) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a pipeline needs a positive height and width and 1 or 3 channels, got " +
                    std::to_string(p.height) + "x" + std::to_string(p.width) + "x" +
                    std::to_string(p.channels));
  }
  std::fill_n(p.offset, 3, 0.0);
  std::fill_n(p.scale, 3, 1.0);
  const size_t channels = static_cast<size_t>(p.channels);
  ImageStatistics result{std::vector<double>(channels, 0), std::vector<double>(channels, 0),
                         std::vector<double>(channels, std::numeric_limits<double>::infinity()),
                         std::vector<double>(channels, -std::numeric_limits<double>::infinity())};
  const double count = static_cast<double>(store.store().count) * p.height * p.width;
  p.lcn = 0;
  for_each_value(store, p, [&](int c, double v) { result.mean[c] += v / count; });
  for_each_value(store, p,
                 [&](int c, double v) { result.std[c] += (v - result.mean[c]) * (v - result.mean[c]); });
  for (double& deviation : result.std) deviation = std::sqrt(deviation / std::max(count - 1, 1.0));
  p.lcn = 1;
  for_each_value(store, p, [&](int c, double v) {
    result.lcn_min[c] = std::min(result.lcn_min[c], v);
    result.lcn_max[c] = std::max(result.lcn_max[c], v);
  });
  return result;
}

}  // namespace fcdd
