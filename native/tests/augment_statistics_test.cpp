// The constants of a user's own data against their definitions, and that they do not depend on the device.
#include <algorithm>
#include <cmath>

#include "augment_harness.h"
#include "check.h"

namespace fcdd::test {
namespace {

ImageStatistics statistics_of(const StoreData& data, const FcddPipeline& pipeline, const char* device,
                              int threads) {
  FcddDeviceOptions options{};
  options.threads = threads;
  const ImageStore store(Device::open(device, options), data.channels, data.images, data.bytes.data(),
                         data.bytes.size());
  return image_statistics(store, pipeline);
}

bool same(const ImageStatistics& a, const ImageStatistics& b) {
  return a.mean == b.mean && a.std == b.std && a.lcn_min == b.lcn_min && a.lcn_max == b.lcn_max;
}

}  // namespace

TEST(augment_statistics_by_definition) {
  const int count = 21, height = 12, width = 10, pixels = height * width;
  const StoreData data = pictures(3, count, height, width);
  FcddPipeline p = plain_pipeline(3, height, width);
  p.lcn = 1;
  p.offset[0] = 5;  // neither constants nor random stages count
  p.noise_sigma = 1;
  p.noise_probability = 1;
  p.jitter_count = 1;
  p.jitter[0] = {0.5, 0.5, 0.5, 0.5};
  const ImageStatistics got = statistics_of(data, p, "cpu", 2);
  for (size_t c = 0; c < 3; c++) {
    double mean = 0, squares = 0, least = INFINITY, greatest = -INFINITY;
    for (size_t i = c; i < data.bytes.size(); i += 3) mean += data.bytes[i] / 255.0 / (count * pixels);
    for (size_t i = c; i < data.bytes.size(); i += 3) squares += std::pow(data.bytes[i] / 255.0 - mean, 2);
    for (int n = 0; n < count; n++) {
      const uint8_t* image = data.bytes.data() + n * pixels * 3;
      double all = 0, deviation = 0;
      for (int i = 0; i < pixels * 3; i++) all += image[i] / 255.0 / (pixels * 3);
      for (int i = 0; i < pixels * 3; i++) deviation += std::abs(image[i] / 255.0 - all) / (pixels * 3);
      for (int i = 0; i < pixels; i++) {
        const double level = (image[i * 3 + static_cast<int>(c)] / 255.0 - all) / deviation;
        least = std::min(least, level);
        greatest = std::max(greatest, level);
      }
    }
    CHECK_LESS(std::abs(got.mean[c] - mean), 1e-12);
    CHECK_LESS(std::abs(got.std[c] - std::sqrt(squares / (count * pixels - 1))), 1e-12);
    CHECK_LESS(std::abs(got.lcn_min[c] - least), 1e-10);
    CHECK_LESS(std::abs(got.lcn_max[c] - greatest), 1e-10);
  }
}

TEST(augment_statistics_are_the_same_everywhere) {
  FcddPipeline p = plain_pipeline(1, 16, 16);
  p.resize_height = 20;
  p.resize_width = 18;
  const StoreData data = pictures(3, 40, 33, 21);
  const ImageStatistics truth = statistics_of(data, p, "reference", 1);
  CHECK(same(statistics_of(data, p, "cpu", 1), truth));
  CHECK(same(statistics_of(data, p, "cpu", 3), truth));
}

TEST(augment_statistics_of_constant_images) {
  StoreData data;
  data.channels = 1;
  for (int i = 0; i < 2; i++) data.add(4, 4, 0, [](int, int, int) { return 51; });
  const ImageStatistics got = statistics_of(data, plain_pipeline(1, 4, 4), "cpu", 1);
  CHECK(got.mean[0] == 0.2 && got.std[0] == 0 && got.lcn_min[0] == 0 && got.lcn_max[0] == 0);
}

}  // namespace fcdd::test
