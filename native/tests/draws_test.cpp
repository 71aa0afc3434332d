// The decisions of the input pipeline: their distributions and their bounds. Fixed seeds; bounds of four
// standard deviations.
#include "fcdd/draws.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "augment_harness.h"
#include "check.h"

namespace fcdd::test {
namespace {

// |observed share - p| in standard deviations.
double deviation(int64_t hits, int64_t n, double p) {
  const double count = static_cast<double>(n);
  return std::abs(static_cast<double>(hits) - count * p) / std::sqrt(count * p * (1 - p));
}

// Largest deviation of counts that should all be equal; `values` of them must occur.
double worst_deviation(const std::map<int, int64_t>& counts, size_t values, int64_t n) {
  if (counts.size() != values) return INFINITY;
  double worst = 0;
  for (const auto& [value, hits] : counts) {
    worst = std::max(worst, deviation(hits, n, 1.0 / static_cast<double>(values)));
  }
  return worst;
}

DrawKey key_at(uint32_t position) {
  return {77, position, 4};
}

FcddAugment settings(int mode, int source) {
  FcddAugment a{};
  a.pipeline = plain_pipeline(3, 28, 28);
  a.supervision = {mode, source, 0, 0, 0.5, 0};
  a.images.count = 10;
  a.exposure.count = 7;
  a.seed = 5;
  a.batch = 1;
  a.normals = 10;
  return a;
}

const std::vector<FcddImage> ten_images(10, FcddImage{0, FCDD_NO_MASK, 28, 28, 0, 0, FCDD_NO_MASK});
const std::vector<FcddImage> seven_images(7, FcddImage{0, FCDD_NO_MASK, 28, 28, 1, 0, FCDD_NO_MASK});

}  // namespace

TEST(draws_crops_are_uniform) {
  FcddPipeline p = plain_pipeline(3, 28, 28);
  p.pad = 2;
  p.random_crop = 1;
  p.flip = 1;
  std::map<int, int64_t> tops, lefts;
  int64_t flips = 0, same = 0;
  const int64_t n = 20000;
  for (uint32_t i = 0; i < n; i++) {
    const Placement place = draw_placement(p, key_at(i), 28, 30);
    tops[place.top]++;
    lefts[place.left]++;
    flips += place.flip;
    same += place.top == place.left;
  }
  CHECK_LESS(worst_deviation(tops, 5, n), 4);
  CHECK(tops.begin()->first == -2 && tops.rbegin()->first == 2);
  CHECK_LESS(worst_deviation(lefts, 7, n), 4);
  CHECK(lefts.begin()->first == -2 && lefts.rbegin()->first == 4);
  CHECK_LESS(deviation(flips, n, 0.5), 4);
  CHECK_LESS(deviation(same, n, 1.0 / 7), 4);  // independent: 5 equal pairs of 35
}

TEST(draws_resize_or_crop_is_even) {
  FcddPipeline p = plain_pipeline(3, 224, 224);
  p.random_crop = 1;
  p.or_resize = 1;
  int64_t resized = 0;
  for (uint32_t i = 0; i < 5000; i++) {
    const Placement place = draw_placement(p, key_at(i), 240, 240);
    resized += place.height == 224;
    CHECK(place.height == 224 ? place.top == 0 && place.left == 0 : place.height == 240 && place.top <= 16);
    CHECK(place.flip == 0);
  }
  CHECK_LESS(deviation(resized, 5000, 0.5), 4);
}

// torchvision: int(round(margin / 2)), Python's round.
TEST(draws_centre_crop_is_torchvisions) {
  const int expected[] = {0, 0, 1, 2, 2, 2, 3, 4, 4};
  for (int margin = 0; margin < 9; margin++) CHECK(centre_offset(margin) == expected[margin]);
  FcddPipeline p = plain_pipeline(3, 224, 224);
  p.resize_height = 256;
  p.resize_width = 341;
  const Placement place = draw_placement(p, key_at(0), 500, 666);
  CHECK(place.top == 16 && place.left == 58 && place.height == 256 && place.width == 341);
}

TEST(draws_replace_at_the_asked_rate) {
  for (const double probability : {0.0, 0.25, 0.5, 1.0}) {
    FcddAugment a = settings(FCDD_MALFORMED, FCDD_CONFETTI);
    a.supervision.probability = probability;
    int64_t replaced = 0;
    for (int32_t i = 0; i < 20000; i++)
      replaced += plan_sample(a, ten_images.data(), seven_images.data(), nullptr, i).mode != 0;
    if (probability == 0 || probability == 1) {
      CHECK(replaced == static_cast<int64_t>(probability * 20000));
    } else {
      CHECK_LESS(deviation(replaced, 20000, probability), 4);
    }
  }
  FcddAugment none = settings(FCDD_UNSUPERVISED, FCDD_CONFETTI);
  none.supervision.probability = 1;
  for (int32_t i = 0; i < 100; i++)
    CHECK(plan_sample(none, ten_images.data(), seven_images.data(), nullptr, i).mode == 0);
}

TEST(draws_exposure_images_are_uniform) {
  FcddAugment a = settings(FCDD_NOISE, FCDD_EXPOSURE);
  std::map<int, int64_t> images;
  int64_t replaced = 0;
  for (int32_t i = 0; i < 30000; i++) {
    const SamplePlan plan = plan_sample(a, ten_images.data(), seven_images.data(), nullptr, i);
    CHECK(plan.image == i % 10);
    CHECK((plan.exposure >= 0) == (plan.mode == FCDD_NOISE));
    if (plan.exposure < 0) continue;
    images[plan.exposure]++;
    replaced++;
  }
  CHECK_LESS(worst_deviation(images, 7, replaced), 4);
}

// Online, anomalies change from epoch to epoch; offline they stay with their index, wherever it stands in the
// epoch.
TEST(draws_offline_anomalies_stay) {
  FcddAugment a = settings(FCDD_NOISE, FCDD_EXPOSURE);
  a.supervision.offline = 1;
  const std::vector<int32_t> order = {3, 14, 17, 9, 10}, shuffled = {17, 3, 10, 14, 9};
  std::map<int32_t, int32_t> exposure;
  for (uint32_t epoch = 0; epoch < 3; epoch++) {
    a.epoch = epoch;
    const auto& list = epoch == 1 ? shuffled : order;
    for (int32_t i = 0; i < 5; i++) {
      const int32_t index = list[static_cast<size_t>(i)];
      const SamplePlan plan = plan_sample(a, ten_images.data(), seven_images.data(), list.data(), i);
      CHECK((plan.mode == FCDD_NOISE) == (index >= 10));
      CHECK(plan.image == index % 10);
      CHECK(plan.key.epoch == epoch && plan.key.position == static_cast<uint32_t>(i));
      if (index < 10) continue;
      CHECK(plan.anomaly.epoch == offline_epoch && plan.anomaly.position == static_cast<uint32_t>(index));
      CHECK(exposure.try_emplace(index, plan.exposure).first->second == plan.exposure);
    }
  }
}

TEST(draws_jitter_has_every_order_and_range) {
  FcddPipeline p = plain_pipeline(3, 28, 28);
  p.jitter_count = 1;
  p.jitter[0] = {0.1, 0.2, 1.5, 0.04};
  std::map<int, int64_t> orders;
  std::set<int> shifts;
  double least[3] = {9, 9, 9}, greatest[3] = {}, sum[3] = {};
  const int n = 48000;
  for (uint32_t i = 0; i < n; i++) {
    const JitterPlan plan = draw_jitter(p, key_at(i));
    CHECK(plan.count == 4);
    orders[plan.order[0] * 64 + plan.order[1] * 16 + plan.order[2] * 4 + plan.order[3]]++;
    shifts.insert(static_cast<int8_t>(plan.hue_shift));
    for (int k = 0; k < 3; k++) {
      least[k] = std::min(least[k], static_cast<double>(plan.factor[k]));
      greatest[k] = std::max(greatest[k], static_cast<double>(plan.factor[k]));
      sum[k] += static_cast<double>(plan.factor[k]);
    }
  }
  CHECK_LESS(worst_deviation(orders, 24, n), 4.2);
  const double low[3] = {0.9, 0.8, 0}, high[3] = {1.1, 1.2, 2.5};
  for (int k = 0; k < 3; k++) {
    CHECK(least[k] >= low[k] - 1e-7 && greatest[k] <= high[k] + 1e-7);
    CHECK_LESS(least[k] - low[k], 1e-3 * (high[k] - low[k]));
    CHECK_LESS(high[k] - greatest[k], 1e-3 * (high[k] - low[k]));
    CHECK_LESS(std::abs(sum[k] / n - (low[k] + high[k]) / 2), 4 * (high[k] - low[k]) / std::sqrt(12.0 * n));
  }
  CHECK(*shifts.begin() == -10 && *shifts.rbegin() == 10 && shifts.size() == 21);  // trunc(255 * 0.04)
}

TEST(draws_jitter_leaves_out_what_is_zero) {
  FcddPipeline p = plain_pipeline(3, 28, 28);
  CHECK(draw_jitter(p, key_at(1)).count == 0);
  p.jitter_count = 2;
  p.jitter[0] = {0, 0.1, 0, 0};
  p.jitter[1] = {0, 0, 0.1, 0.1};
  int64_t first = 0;
  for (uint32_t i = 0; i < 4000; i++) {
    const JitterPlan plan = draw_jitter(p, key_at(i));
    first += plan.count == 1;
    CHECK(plan.count == 1 ? plan.order[0] == jitter_contrast : plan.order[0] + plan.order[1] == 5);
  }
  CHECK_LESS(deviation(first, 4000, 0.5), 4);
}

}  // namespace fcdd::test
