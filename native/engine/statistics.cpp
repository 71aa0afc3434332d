// Constants of a user's own data over all images of a store, after the test transform: mean and unbiased
// standard deviation per channel of the pixels in [0,1], and per channel the extremes after L1 local contrast
// normalisation.
//
// The device brings the images to the network's size as bytes, which are the same on every device; everything
// else follows from counts of bytes, in float64. So the constants depend on neither device, chunk size nor
// order.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/transfer.h"

namespace fcdd {
namespace {

constexpr int32_t chunk = 16;  // images per call of the device

// How often each byte occurs, per channel.
using Counts = std::array<std::array<uint64_t, 256>, 3>;

// What of the pipeline matters here: the spatial stage.
FcddPipeline spatial_part(FcddPipeline p) {
  p.jitter_count = 0;
  p.noise_sigma = 0;
  p.lcn = 0;
  std::fill_n(p.offset, 3, 0.0);
  std::fill_n(p.scale, 3, 1.0);
  return p;
}

Counts counts_of(const uint8_t* bytes, size_t pixels, size_t channels) {
  Counts counts{};
  for (size_t i = 0; i < pixels; i++) {
    for (size_t c = 0; c < channels; c++) counts[c][*bytes++]++;
  }
  return counts;
}

// Calls visit(counts) for every image, in order.
template <class Visit>
void for_each_image(const ImageStore& store, const FcddPipeline& pipeline, Visit visit) {
  const Device& device = *store.device();
  const size_t pixels = static_cast<size_t>(pipeline.height) * static_cast<size_t>(pipeline.width);
  const size_t channels = static_cast<size_t>(pipeline.channels), image = pixels * channels;
  FcddAugment a{};
  a.pipeline = pipeline;
  a.images = store.store();
  a.batch = std::min(chunk, store.store().count);
  const Arena bytes(store.device(), image * static_cast<uint64_t>(a.batch));
  const Arena workspace(store.device(), device.table().augment_workspace_bytes(device.handle(), &a));
  a.workspace = workspace.slice(0, workspace.bytes());
  a.bytes = bytes.slice(0, bytes.bytes());
  for (int32_t first = 0; first < store.store().count; first += chunk) {
    a.first = static_cast<uint32_t>(first);
    a.batch = std::min(chunk, store.store().count - first);
    const size_t batch = static_cast<size_t>(a.batch);
    device.check(device.table().augment(device.handle(), &a), "preparing images");
    const std::vector<uint8_t> values = download<uint8_t>(device, a.bytes, image * batch);
    for (size_t i = 0; i < batch; i++) visit(counts_of(values.data() + i * image, pixels, channels));
  }
}

// Sum over a channel's bytes of f(byte).
template <class F>
double sum_over(const std::array<uint64_t, 256>& counts, F f) {
  double sum = 0;
  for (int byte = 0; byte < 256; byte++) {
    sum += static_cast<double>(counts[static_cast<size_t>(byte)]) * f(static_cast<double>(byte));
  }
  return sum;
}

// Widens the extremes by one image: (byte - mean) / mean absolute deviation, over all channels (1 if
// constant).
void add_contrast(const Counts& counts, size_t channels, double pixels, ImageStatistics& result) {
  const double values = pixels * static_cast<double>(channels);
  double mean = 0, deviation = 0;
  for (size_t c = 0; c < channels; c++) mean += sum_over(counts[c], [](double b) { return b; });
  mean /= values;
  for (size_t c = 0; c < channels; c++) {
    deviation += sum_over(counts[c], [&](double b) { return std::abs(b - mean); });
  }
  deviation = deviation > 0 ? deviation / values : 1;
  for (size_t c = 0; c < channels; c++) {
    for (int byte = 0; byte < 256; byte++) {
      if (counts[c][static_cast<size_t>(byte)] == 0) continue;
      const double level = (byte - mean) / deviation;
      result.lcn_min[c] = std::min(result.lcn_min[c], level);
      result.lcn_max[c] = std::max(result.lcn_max[c], level);
    }
  }
}

}  // namespace

ImageStatistics image_statistics(const ImageStore& store, FcddPipeline test_pipeline) {
  const FcddPipeline p = spatial_part(test_pipeline);
  if (p.height < 1 || p.width < 1 || (p.channels != 1 && p.channels != 3)) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a pipeline needs a positive height and width and 1 or 3 channels, got " +
                    std::to_string(p.height) + "x" + std::to_string(p.width) + "x" +
                    std::to_string(p.channels));
  }
  store.check_crops(p, 0, store.store().count);
  const size_t channels = static_cast<size_t>(p.channels);
  const double pixels = static_cast<double>(p.height) * p.width;
  ImageStatistics result{std::vector<double>(channels, 0), std::vector<double>(channels, 0),
                         std::vector<double>(channels, std::numeric_limits<double>::infinity()),
                         std::vector<double>(channels, -std::numeric_limits<double>::infinity())};
  Counts all{};
  for_each_image(store, p, [&](const Counts& counts) {
    add_contrast(counts, channels, pixels, result);
    for (size_t c = 0; c < channels; c++) {
      for (size_t byte = 0; byte < 256; byte++) all[c][byte] += counts[c][byte];
    }
  });
  const double count = static_cast<double>(store.store().count) * pixels;
  for (size_t c = 0; c < channels; c++) {
    const double mean = sum_over(all[c], [](double b) { return b; }) / count;
    const double squares = sum_over(all[c], [&](double b) { return (b - mean) * (b - mean); });
    result.mean[c] = mean / 255;
    result.std[c] = std::sqrt(squares / std::max(count - 1, 1.0)) / 255;
  }
  return result;
}

}  // namespace fcdd
