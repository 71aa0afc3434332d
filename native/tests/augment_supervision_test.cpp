// What each stage of the input pipeline does, on images small enough to check by hand. Every test runs on
// both devices.
#include <algorithm>
#include <functional>
#include <set>

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

}  // namespace

// Confetti darkens what is not black; its mask holds the changed pixels, or everything.
TEST(augment_malformed_darkens_and_marks) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        3, 90, 90, [](int y, int, int) { return y < 20 ? 0 : 200; }, 6);
    for (const int mode : {FCDD_MALFORMED, FCDD_MALFORMED_GT}) {
      c.settings.supervision.mode = mode;
      const Augmented got = run_augment(c, device);
      CHECK(got.labels == std::vector<uint8_t>(6, 1));
      int64_t changed = 0;
      for (size_t i = 0; i < got.masks.size(); i++) {
        bool differs = false;
        for (size_t k = 0; k < 3; k++) {
          const uint8_t before = c.images.bytes[(i * 3 + k) % c.images.bytes.size()];
          CHECK(got.bytes[i * 3 + k] <= before);
          differs = differs || got.bytes[i * 3 + k] != before;
        }
        CHECK(got.masks[i] == (mode == FCDD_MALFORMED || differs));
        changed += differs;
      }
      CHECK(changed > 1000);
    }
  });
}

// Nothing can be darker than black: then the noise is inverted.
TEST(augment_inverts_noise_that_changes_nothing) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        1, 80, 80, [](int, int, int) { return 0; }, 4);
    c.settings.supervision.mode = FCDD_MALFORMED_GT;
    const Augmented black = run_augment(c, device);
    CHECK(*std::max_element(black.bytes.begin(), black.bytes.end()) > 100);
    for (size_t i = 0; i < black.masks.size(); i++) CHECK(black.masks[i] == (black.bytes[i] > 0));
    // As a picture of its own, confetti is the same light squares on black.
    c.settings.supervision.mode = FCDD_NOISE;
    CHECK(run_augment(c, device).bytes == black.bytes);
    // A hundredth of a level is next to nothing too.
    c = one_image(
        1, 80, 80, [](int y, int x, int) { return (y * 80 + x) % 100 == 0 ? 1 : 0; }, 4);
    c.settings.supervision.mode = FCDD_MALFORMED;
    const Augmented specks = run_augment(c, device);
    for (size_t n = 0; n < 4; n++) {
      CHECK(*std::max_element(specks.bytes.begin() + static_cast<int64_t>(n) * 6400,
                              specks.bytes.begin() + static_cast<int64_t>(n + 1) * 6400) > 50);
    }
    // A change of 0.025 levels on average is enough to leave the noise as it is.
    c = one_image(
        1, 80, 80, [](int, int, int) { return 1; }, 4);
    c.settings.supervision.mode = FCDD_MALFORMED;
    const Augmented dark = run_augment(c, device);
    CHECK(*std::max_element(dark.bytes.begin(), dark.bytes.end()) == 1);
    CHECK(*std::min_element(dark.bytes.begin(), dark.bytes.end()) == 0);
    // White is darkened by sources that brighten everything else.
    c = one_image(
        1, 80, 80, [](int, int, int) { return 255; }, 4);
    c.settings.supervision = {FCDD_MALFORMED, FCDD_UNIFORM, 0, 0, 1, 0};
    const Augmented white = run_augment(c, device);
    CHECK(*std::min_element(white.bytes.begin(), white.bytes.end()) == 0);
  });
}

// Offline, noise is inverted pixel by pixel where the image is bright: the dark half cannot change, the
// bright one becomes brighter. The anomaly is the same in every epoch and at every position.
TEST(augment_offline_inverts_bright_pixels) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        3, 90, 90, [](int, int x, int) { return x < 45 ? 28 : 29; }, 3);
    c.settings.supervision = {FCDD_MALFORMED, FCDD_CONFETTI, 1, 0, 0.5, 0};
    c.settings.normals = 1;
    c.order = {1, 0, 1};
    const Augmented got = run_augment(c, device);
    CHECK(got.labels == (std::vector<uint8_t>{1, 0, 1}));
    const int64_t image = 90 * 90 * 3;
    CHECK(std::equal(got.bytes.begin(), got.bytes.begin() + image, got.bytes.begin() + 2 * image));
    CHECK(std::equal(c.images.bytes.begin(), c.images.bytes.end(), got.bytes.begin() + image));
    bool darker = false, brighter = false;
    for (int64_t i = 0; i < image; i++) {
      const int before = i / 3 % 90 < 45 ? 28 : 29, after = got.bytes[static_cast<size_t>(i)];
      CHECK(before == 28 ? after <= 28 : after >= 29);  // 0.11 * 255 = 28.05
      darker = darker || after < 28;
      brighter = brighter || after > 29;
    }
    CHECK(darker && brighter);
    c.settings.epoch = 9;
    CHECK(run_augment(c, device).bytes == got.bytes);
  });
}

TEST(augment_exposure_replaces_image_label_and_mask) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(3, 6, 8, ramp, 40);
    c.settings.supervision = {FCDD_NOISE, FCDD_EXPOSURE, 0, 0, 0.5, 0};
    c.exposure.add(6, 8, 1, [](int, int, int k) { return 10 + k; });
    c.exposure.add(
        3, 4, 0, [](int y, int x, int) { return 100 + y * 4 + x; }, [](int y, int) { return y == 1; });
    const Augmented got = run_augment(c, device);
    int whole = 0, resized = 0, normal = 0;
    for (size_t n = 0; n < 40; n++) {
      const uint8_t* bytes = got.bytes.data() + n * 144;
      const uint8_t* mask = got.masks.data() + n * 48;
      if (bytes[0] == 10 && bytes[1] == 11) {
        whole++;
        CHECK(got.labels[n] == 1 && std::count(mask, mask + 48, 1) == 48);
      } else if (bytes[0] == 100) {
        resized++;
        CHECK(got.labels[n] == 0 && std::count(mask, mask + 48, 1) == 16);
        for (int i = 0; i < 48; i++) {
          CHECK(bytes[i * 3] == 100 + i / 8 / 2 * 4 + i % 8 / 2 && mask[i] == (i / 8 / 2 == 1));
        }
      } else {
        normal++;
        CHECK(got.labels[n] == 0 && std::equal(bytes, bytes + 144, c.images.bytes.begin()));
      }
    }
    CHECK(whole > 2 && resized > 2 && normal > 8);
    c.settings.nominal_label = 1;
    const Augmented swapped = run_augment(c, device);
    CHECK(swapped.bytes == got.bytes && swapped.x == got.x);
    for (size_t n = 0; n < 40; n++) CHECK(swapped.labels[n] == 1 - got.labels[n]);
    for (size_t i = 0; i < got.masks.size(); i++) CHECK(swapped.masks[i] == 1 - got.masks[i]);
  });
}

// An exposure image with room for the crop is cropped at its own size; the sample's size plays no part.
TEST(augment_exposure_keeps_its_size) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(3, 6, 8, ramp, 40);
    c.settings.pipeline = plain_pipeline(3, 5, 6);
    c.settings.pipeline.random_crop = 1;
    c.settings.supervision = {FCDD_NOISE, FCDD_EXPOSURE, 0, 0, 0.5, 0};
    c.exposure.add(
        12, 7, 1, [](int y, int x, int) { return 100 + y * 7 + x; }, [](int y, int) { return y % 2 == 1; });
    const Augmented got = run_augment(c, device);
    std::set<int> corners;
    for (size_t n = 0; n < 40; n++) {
      if (got.labels[n] == 0) continue;
      const uint8_t* bytes = got.bytes.data() + n * 90;
      const int corner = bytes[0] - 100;
      CHECK(corner / 7 <= 7 && corner % 7 <= 1);
      corners.insert(corner);
      for (int i = 0; i < 30; i++) {
        CHECK(bytes[i * 3] == bytes[0] + i / 6 * 7 + i % 6);
        CHECK(got.masks[n * 30 + static_cast<size_t>(i)] == (corner / 7 + i / 6) % 2);
      }
    }
    CHECK(corners.size() > 5);
    // One row short of the crop: resized to the sample's 6x8 after all.
    c.exposure = {};
    c.exposure.add(4, 20, 1, [](int y, int x, int) { return 100 + y * 20 + x; });
    c.settings.supervision.probability = 1;
    const Augmented resized = run_augment(c, device);
    for (size_t n = 0; n < 40; n++) CHECK(resized.bytes[n * 90 + 3] - resized.bytes[n * 90] >= 2);
  });
}

// A synthetic anomaly of what is pushed up is what is pulled down: in its mask too.
TEST(augment_nominal_label_swaps_synthetic_anomalies) {
  on_both([](const DeviceChoice& device) {
    AugmentCase c = one_image(
        3, 90, 90, [](int, int, int) { return 200; }, 12);
    c.settings.supervision = {FCDD_MALFORMED_GT, FCDD_CONFETTI, 0, 0, 0.5, 0};
    const Augmented plain = run_augment(c, device);
    c.settings.nominal_label = 1;
    const Augmented swapped = run_augment(c, device);
    CHECK(swapped.bytes == plain.bytes);
    for (size_t n = 0; n < 12; n++) CHECK(swapped.labels[n] == 1 - plain.labels[n]);
    for (size_t i = 0; i < plain.masks.size(); i++) CHECK(swapped.masks[i] == 1 - plain.masks[i]);
  });
}

}  // namespace fcdd::test
