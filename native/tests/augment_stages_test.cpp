// What each stage of the input pipeline does, on images small enough to check by hand. Every test runs on
// both devices.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "augment_harness.h"
#include "check.h"
#include "fcdd/squares.h"

namespace fcdd::test {
namespace {

void on_both(const std::function<void(const DeviceChoice&)>& body) {
  body({"reference", "", 1});
  body({"cpu", "", 2});
}

// One image of `channels` channels, shown `batch` times.
AugmentCase one_image(int channels, int height, int width, const std::function<int(int, int, int)>& value,
                      int batch) {
  AugmentCase c;
  c.settings.pipeline = plain_pipeline(channels, height, width);
  c.settings.supervision.probability = 1;
  c.settings.batch = batch;
  c.settings.seed = 31;
  c.images.channels = channels;
  c.images.add(height, width, 0, value);
  return c;
}

int ramp(int y, int x, int c) {
  return (y * 31 + x * 7 + c * 80) % 256;
}

std::string message_of(const AugmentCase& c, const DeviceChoice& device) {
  try {
    run_augment(c, device);
  } catch (const Error& error) {
    return error.code == "FCDD_INVALID_ARGUMENT" ? error.what() : "wrong code " + error.code;
  }
  return "no error";
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(augment_plain_pipeline_changes_nothing) {
  on_both([](const DeviceChoice& device) {
    const AugmentCase c = one_image(3, 5, 7, ramp, 2);
    const Augmented got = run_augment(c, device);
    for (size_t i = 0; i < got.bytes.size(); i++) {
      CHECK(got.bytes[i] == c.images.bytes[i % 105]);
      CHECK_LESS(std::abs(got.x[i] - got.bytes[i] / 255.0), 1e-6);
    }
    CHECK(got.labels == (std::vector<uint8_t>{0, 0}) && got.masks == std::vector<uint8_t>(70, 0));
  });
}

TEST(augment_affine_is_per_channel) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(3, 4, 4, ramp, 1);
    for (int k = 0; k < 3; k++) {
      c.settings.pipeline.offset[k] = 0.1 * (k + 1);
      c.settings.pipeline.scale[k] = 0.2 + k;
    }
    const Augmented got = run_augment(c, device);
    for (size_t i = 0; i < got.x.size(); i++) {
      const double k = static_cast<double>(i % 3);
      CHECK_LESS(std::abs(got.x[i] - (got.bytes[i] / 255.0 - 0.1 * (k + 1)) / (0.2 + k)), 2e-6);
    }
  });
}

TEST(augment_crop_pads_with_zeros_and_flips) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        1, 4, 4, [](int y, int x, int) { return 1 + y * 10 + x; }, 200);
    c.settings.pipeline.pad = 1;
    c.settings.pipeline.random_crop = 1;
    c.settings.pipeline.flip = 1;
    c.images.images[0].mask = c.images.bytes.size();
    for (int i = 0; i < 16; i++) c.images.bytes.push_back(1);
    const Augmented got = run_augment(c, device);
    std::vector<std::vector<uint8_t>> seen;
    for (int n = 0; n < 200; n++) {
      const std::vector<uint8_t> image(got.bytes.begin() + n * 16, got.bytes.begin() + n * 16 + 16);
      bool found = false;
      for (int top = -1; top <= 1; top++) {
        for (int left = -1; left <= 1; left++) {
          for (const bool flip : {false, true}) {
            bool equal = true;
            for (int y = 0; y < 4; y++) {
              for (int x = 0; x < 4; x++) {
                const int row = y + top, column = (flip ? 3 - x : x) + left;
                const bool inside = row >= 0 && row < 4 && column >= 0 && column < 4;
                const size_t at = static_cast<size_t>(y * 4 + x);
                equal = equal && image[at] == (inside ? 1 + row * 10 + column : 0);
                if (image[at] != 0 || !inside)
                  CHECK(got.masks[static_cast<size_t>(n) * 16 + at] == (image[at] != 0));
              }
            }
            found = found || equal;
          }
        }
      }
      CHECK(found);
      if (std::find(seen.begin(), seen.end(), image) == seen.end()) seen.push_back(image);
    }
    CHECK(seen.size() == 18);  // nine crops, flipped or not
  });
}

// A missing mask is the label everywhere, in the padding too.
TEST(augment_missing_mask_is_the_label) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(1, 4, 4, ramp, 3);
    c.settings.pipeline.pad = 2;
    c.settings.pipeline.random_crop = 1;
    c.images.images[0].label = 1;
    const Augmented got = run_augment(c, device);
    CHECK(got.masks == std::vector<uint8_t>(48, 1) && got.labels == std::vector<uint8_t>(3, 1));
  });
}

TEST(augment_resizes_image_and_mask_alike) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        1, 15, 15, [](int y, int x, int) { return y * 15 + x; }, 1);
    c.settings.pipeline.height = c.settings.pipeline.width = 14;
    c.settings.pipeline.resize_height = c.settings.pipeline.resize_width = 14;
    c.images.images[0].mask = c.images.bytes.size();
    for (int i = 0; i < 225; i++)
      c.images.bytes.push_back(i % 2 == 0 ? 0 : 255);  // any value but 0 counts as 1
    const Augmented got = run_augment(c, device);
    for (int y = 0; y < 14; y++) {
      for (int x = 0; x < 14; x++) {
        const int source = (2 * y + 1) * 15 / 28 * 15 + (2 * x + 1) * 15 / 28;
        CHECK(got.bytes[static_cast<size_t>(y * 14 + x)] == source);
        CHECK(got.masks[static_cast<size_t>(y * 14 + x)] == source % 2);
      }
    }
  });
}

TEST(augment_lcn_has_mean_zero_and_deviation_one) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(3, 20, 20, ramp, 1);
    c.settings.pipeline.lcn = 1;
    const Augmented got = run_augment(c, device);
    double mean = 0, deviation = 0;
    for (const double v : got.x) mean += v / 1200;
    for (const double v : got.x) deviation += std::abs(v) / 1200;
    CHECK_LESS(std::abs(mean), 1e-6);
    CHECK_LESS(std::abs(deviation - 1), 1e-6);
  });
}

TEST(augment_lcn_of_a_constant_image_is_zero) {
  for (const int level : {0, 1, 77, 254, 255}) {
    on_both([&](const DeviceChoice& device) {
      AugmentCase c = one_image(
          3, 13, 11, [&](int, int, int) { return level; }, 2);
      c.settings.pipeline.lcn = 1;
      c.settings.pipeline.noise_sigma = 0.1;  // relative: of a constant image it is none
      c.settings.pipeline.noise_probability = 0.5;
      c.settings.pipeline.noise_relative = 1;
      for (const double v : run_augment(c, device).x) CHECK(v == 0);
      c.settings.pipeline.offset[1] = -2;
      c.settings.pipeline.scale[1] = 4;
      CHECK(run_augment(c, device).x[1] == 0.5);
    });
  }
}

TEST(augment_noise_has_its_strength) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        3, 50, 50, [](int y, int, int) { return y % 2 == 0 ? 100 : 150; }, 8);
    FcddPipeline& p = c.settings.pipeline;
    const double n = 60000;
    for (const bool relative : {false, true}) {
      p.noise_sigma = 0.1;
      p.noise_relative = relative;
      p.noise_probability = 1;
      const double sigma = relative ? 0.1 * 25.0 / 255 * std::sqrt(7500.0 / 7499) : 0.1;
      const Augmented got = run_augment(c, device);
      double sum = 0, squares = 0;
      for (size_t i = 0; i < got.x.size(); i++) {
        const double d = got.x[i] - got.bytes[i] / 255.0;
        sum += d;
        squares += d * d;
      }
      CHECK_LESS(std::abs(sum / n), 4 * sigma / std::sqrt(n));
      CHECK_LESS(std::abs(std::sqrt(squares / n) / sigma - 1), 4 / std::sqrt(2 * n));
    }
    p.noise_sigma = 3;
    p.noise_clamp = 1;
    for (const double v : run_augment(c, device).x) CHECK(v > -1e-6 && v < 1 + 1e-6);
    p.noise_probability = 0;
    const Augmented none = run_augment(c, device);
    for (size_t i = 0; i < none.x.size(); i++) CHECK_LESS(std::abs(none.x[i] - none.bytes[i] / 255.0), 1e-6);
  });
}

TEST(augment_converts_channels) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        3, 4, 4, [](int, int x, int k) { return x * 60 + k * 20; }, 1);
    c.settings.pipeline.channels = 1;
    const Augmented grey = run_augment(c, device);
    for (int i = 0; i < 16; i++) {
      const uint8_t* p = c.images.bytes.data() + i * 3;
      const double level = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];  // ITU-R 601
      CHECK(grey.bytes[static_cast<size_t>(i)] == static_cast<int>(level + 0.5));
    }
    c = one_image(1, 4, 4, ramp, 1);
    c.settings.pipeline.channels = 3;
    const Augmented three = run_augment(c, device);
    for (size_t i = 0; i < 48; i++) CHECK(three.bytes[i] == c.images.bytes[i / 3]);
  });
}

TEST(augment_refuses_what_cannot_be) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(3, 20, 30, ramp, 1);
    c.settings.pipeline.height = 24;
    c.settings.pipeline.pad = 1;
    std::string text = message_of(c, device);
    CHECK(mentions(text, "24x30") && mentions(text, "22x32") && mentions(text, "images[0]"));
    c = one_image(3, 20, 30, ramp, 1);
    c.settings.supervision = {FCDD_NOISE, FCDD_EXPOSURE, 0, 0, 0.5, 0};
    CHECK(mentions(message_of(c, device), "exposure: expected 1 or 3 channels"));
    c = one_image(3, 20, 30, ramp, 1);
    c.images.images[0].height = 21;
    c.settings.pipeline.height = 21;
    CHECK(mentions(message_of(c, device), "leave the store's 1800 bytes"));
    c.images.images[0].height = -1;
    CHECK(mentions(message_of(c, device), "extents"));
    c = one_image(3, 20, 30, ramp, 2);
    c.order = {0};
    CHECK(mentions(message_of(c, device), "position 1 has no index"));
    c.order = {0, -3};
    CHECK(mentions(message_of(c, device), "position 1 has no index"));
    c = one_image(3, 20, 30, ramp, 1);
    c.settings.pipeline.scale[2] = 0;
    CHECK(mentions(message_of(c, device), "pipeline.scale"));
    c.settings.pipeline.scale[2] = 1;
    c.settings.pipeline.jitter_count = 3;
    CHECK(mentions(message_of(c, device), "pipeline.jitter"));
    c.settings.pipeline.jitter_count = 0;
    c.settings.supervision.mode = 9;
    CHECK(mentions(message_of(c, device), "supervision.mode"));
    c.settings.supervision.mode = FCDD_UNSUPERVISED;
    c.settings.nominal_label = 2;
    CHECK(mentions(message_of(c, device), "nominal_label"));
  });
}

}  // namespace fcdd::test
