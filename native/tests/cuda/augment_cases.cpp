#include "augment_cases.h"

#include <algorithm>
#include <functional>

#include "check.h"
#include "fcdd/patches.h"
#include "tolerances.h"

namespace fcdd::test {
namespace {

template <class T>
FcddBuffer uploaded(Bench& bench, const std::vector<T>& values) {
  if (values.empty()) return {};
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(values.data());
  return bench.bytes(std::vector<uint8_t>(bytes, bytes + values.size() * sizeof(T)));
}

FcddStore uploaded(Bench& bench, const StoreData& data) {
  return {uploaded(bench, data.bytes), uploaded(bench, data.images), static_cast<int32_t>(data.images.size()),
          data.channels};
}

// A store of pictures of several sizes, none smaller than height x width; every other one with a mask.
StoreData several_sizes(std::mt19937& random, int channels, int height, int width, int label) {
  StoreData store;
  store.channels = channels;
  const int count = uniform(random, 1, 4);
  for (int i = 0; i < count; i++) {
    const int salt = uniform(random, 0, 999), dark = uniform(random, 0, 2);
    std::function<bool(int, int)> mask;
    if (i % 2 == 0) mask = [=](int y, int x) { return (y / 4 + x / 3 + salt) % 2 == 0; };
    store.add(
        height + uniform(random, 0, 20), width + uniform(random, 0, 25), label,
        [=](int y, int x, int c) {
          const int value = (y * (3 + salt % 5) + x * 5 + c * 37 + (y * x * salt >> 7)) & 255;
          return dark == 0 ? value / 90 : value;
        },
        mask);
  }
  return store;
}

double strength(std::mt19937& random) {
  return uniform(random, 0, 2) == 0 ? 0 : uniform(random, 1, 50) / 100.0;
}

FcddPipeline random_pipeline(std::mt19937& random) {
  FcddPipeline p =
      plain_pipeline(uniform(random, 0, 1) * 2 + 1, uniform(random, 1, 45), uniform(random, 1, 45));
  if (uniform(random, 0, 2) == 0) {
    p.resize_height = p.height + uniform(random, 0, 12);
    p.resize_width = p.width + uniform(random, 0, 12);
  }
  p.pad = uniform(random, 0, 1) * uniform(random, 0, 4);
  p.random_crop = uniform(random, 0, 1);
  p.or_resize = uniform(random, 0, 1);
  p.flip = uniform(random, 0, 1);
  p.jitter_count = uniform(random, 0, 2);
  for (int i = 0; i < p.jitter_count; i++) {
    p.jitter[i] = {strength(random), strength(random), strength(random), strength(random)};
  }
  p.jitter_first = uniform(random, 0, 1);
  p.noise_sigma = uniform(random, 0, 1) * 0.05;
  p.noise_probability = 0.6;
  p.noise_relative = uniform(random, 0, 1);
  p.noise_clamp = uniform(random, 0, 1);
  p.lcn = uniform(random, 0, 1);
  for (int c = 0; c < p.channels; c++) {
    p.offset[c] = uniform(random, -150, 150) / 100.0;
    p.scale[c] = uniform(random, 20, 250) / 100.0;
  }
  return p;
}

}  // namespace

FcddAugment prepared(Bench& bench, const AugmentCase& c) {
  FcddAugment a = c.settings;
  a.images = uploaded(bench, c.images);
  a.exposure = uploaded(bench, c.exposure);
  a.order = uploaded(bench, c.order);
  const int64_t area = int64_t{a.pipeline.height} * a.pipeline.width, n = a.batch;
  a.x = bench.real_out(n * area * a.pipeline.channels);
  a.labels = bench.bytes_out(n);
  a.masks = bench.bytes_out(n * area);
  a.bytes = bench.bytes_out(n * area * a.pipeline.channels);
  a.workspace = bench.scratch(bench.table->augment_workspace_bytes(bench.device, &a));
  return a;
}

Result results(const Bench& bench, const FcddAugment& a) {
  return {bench.read_real(a.x), bench.read_bytes(a.labels), bench.read_bytes(a.masks),
          bench.read_bytes(a.bytes)};
}

Result run(const FcddDeviceTable* table, const AugmentCase& c) {
  Bench bench(table, cuda_options(FCDD_PRECISION_DEFAULT));
  const FcddAugment a = prepared(bench, c);
  bench.run(bench.table->augment(bench.device, &a));
  return results(bench, a);
}

void check_that(bool ok, const std::string& label, const std::string& what) {
  if (!ok) fail(label.c_str(), 0, what);
}

void check_augment_case(const std::string& label, const AugmentCase& c, size_t orders) {
  static size_t turn = 0;
  const Result truth = run(fcdd_reference_table(), c);
  const std::vector<uint64_t> seeds = thread_orders();
  Result first;
  for (size_t i = 0; i < std::min(orders, seeds.size()); i++) {
    set_thread_order(seeds[turn++ % seeds.size()]);
    const Result got = run(fcdd_cuda_table(), c);
    check_that(got.bytes == truth.bytes, label, "bytes differ");
    check_that(got.labels == truth.labels, label, "labels differ");
    check_that(got.masks == truth.masks, label, "masks differ");
    const double distance = relative_l2(got.x, truth.x);
    check_that(distance < tolerance::augmentFloat32, label,
               "values differ by " + std::to_string(distance * 1e6) + "e-6");
    if (i == 0) first = got;
    check_that(got == first, label, "bits change with the order of threads");
  }
}

AugmentCase case_of(const FcddPipeline& pipeline, StoreData images, int mode, int source, uint64_t seed) {
  AugmentCase c;
  c.settings.pipeline = pipeline;
  c.settings.supervision = {mode, source, 0, 0, 0.7, 0};
  c.settings.seed = seed;
  c.settings.epoch = 3;
  c.settings.first = 11;
  c.settings.batch = 4;
  c.images = std::move(images);
  return c;
}

int ramp(int y, int x, int c) {
  return (y * 31 + x * 7 + c * 80) % 256;
}

AugmentCase random_case(std::mt19937& random) {
  const FcddPipeline p = random_pipeline(random);
  AugmentCase c = case_of(p, several_sizes(random, uniform(random, 0, 1) * 2 + 1, p.height, p.width, 0),
                          uniform(random, 0, 3), uniform(random, 0, 8), random());
  // As often of any size as with room for the crop.
  const bool roomy = uniform(random, 0, 1) != 0;
  c.exposure = several_sizes(random, uniform(random, 0, 1) * 2 + 1, roomy ? p.height : 1, roomy ? p.width : 1,
                             uniform(random, 0, 1));
  FcddAugment& s = c.settings;
  const bool malformed = s.supervision.mode != FCDD_NOISE;
  if (!malformed && is_patch(s.supervision.source)) s.supervision.mode = FCDD_MALFORMED;
  if (malformed && uniform(random, 0, 1)) {
    s.supervision.on_object = 1;
    c.images.add_foreground(0, [](int y, int x) { return (y / 5 + x / 9) % 3 != 0; });
  }
  s.supervision.offline = uniform(random, 0, 1);
  s.supervision.grey = uniform(random, 0, 1);
  s.nominal_label = uniform(random, 0, 1);
  s.batch = uniform(random, 1, 5);
  s.first = static_cast<uint32_t>(uniform(random, 0, 20));
  s.normals = uniform(random, 1, 24);
  if (uniform(random, 0, 1)) {
    for (int i = 0; i < 26; i++) c.order.push_back(uniform(random, 0, 40));
  }
  return c;
}

}  // namespace fcdd::test
