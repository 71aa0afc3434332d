// The input pipeline of the cuda device: bytes, labels and masks equal those of `reference` bit by bit, x
// within augmentFloat32, and no order of threads changes a bit. A sample that cannot be made is zeros, and
// the next wait says which one it was.
#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "augment_harness.h"
#include "check.h"
#include "cuda_harness.h"
#include "tolerances.h"

namespace fcdd::test {
namespace {

const char* const source_names[] = {"confetti", "gaussian",   "uniform", "solid",
                                    "blob",     "mixed-blob", "exposure"};
const char* const mode_names[] = {"unsupervised", "noise", "malformed", "malformed-gt"};

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

// A case in a device's memory, with every output full of NaN or 255.
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

struct Result {
  std::vector<double> x, labels, masks, bytes;
  bool operator==(const Result& other) const {
    return x.size() == other.x.size() &&
           std::memcmp(x.data(), other.x.data(), x.size() * sizeof(double)) == 0 && labels == other.labels &&
           masks == other.masks && bytes == other.bytes;
  }
};

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

// `orders` of the harness's orders, others for every case.
void check_augment_case(const std::string& label, const AugmentCase& c, size_t orders = 2) {
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
  c.settings.supervision = {mode, source, 0, 0, 0.7};
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

AugmentCase random_case(std::mt19937& random) {
  const FcddPipeline p = random_pipeline(random);
  AugmentCase c = case_of(p, several_sizes(random, uniform(random, 0, 1) * 2 + 1, p.height, p.width, 0),
                          uniform(random, 0, 3), uniform(random, 0, 6), random());
  c.exposure = several_sizes(random, uniform(random, 0, 1) * 2 + 1, 1, 1, uniform(random, 0, 1));
  FcddAugment& s = c.settings;
  s.supervision.offline = uniform(random, 0, 1);
  s.supervision.grey = uniform(random, 0, 1);
  s.batch = uniform(random, 1, 5);
  s.first = static_cast<uint32_t>(uniform(random, 0, 20));
  s.normals = uniform(random, 1, 24);
  if (uniform(random, 0, 1)) {
    for (int i = 0; i < 26; i++) c.order.push_back(uniform(random, 0, 40));
  }
  return c;
}

// What the next wait says after a step; the step itself must not fail.
std::string wait_after(Bench& bench, const FcddAugment& a) {
  bench.run(bench.table->augment(bench.device, &a));
  return bench.table->synchronise(bench.device) == FCDD_OK ? "" : bench.table->last_error(bench.device);
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

template <class T>
bool all_zero(const std::vector<T>& values, size_t first, size_t count) {
  return std::all_of(values.begin() + static_cast<int64_t>(first),
                     values.begin() + static_cast<int64_t>(first + count), [](T v) { return v == 0; });
}

// Sample `failed` of a batch is refused and zeros, all others are what they are without it.
// `indices`: how many of the order belong to it.
void check_refused(const std::string& label, const AugmentCase& bad, const AugmentCase& good, size_t failed,
                   uint64_t indices = 4) {
  const Result expected = run(fcdd_cuda_table(), good);
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddAugment a = prepared(bench, bad);
  a.order.bytes = indices * sizeof(int32_t);
  const std::string said = wait_after(bench, a);
  check_that(mentions(said, "sample " + std::to_string(failed) + " "), label, "the wait said: " + said);
  const Result got = results(bench, a);  // the word is cleared: these waits pass
  const size_t n = got.labels.size(), area = got.masks.size() / n, values = got.bytes.size() / n;
  for (size_t i = 0; i < n; i++) {
    const auto same = [&](const std::vector<double>& x, const std::vector<double>& y, size_t size) {
      return std::equal(x.begin() + static_cast<int64_t>(i * size),
                        x.begin() + static_cast<int64_t>((i + 1) * size),
                        y.begin() + static_cast<int64_t>(i * size));
    };
    const bool ok = i == failed
                        ? all_zero(got.x, i * values, values) && all_zero(got.bytes, i * values, values) &&
                              all_zero(got.masks, i * area, area) && got.labels[i] == 0
                        : same(got.x, expected.x, values) && same(got.bytes, expected.bytes, values) &&
                              same(got.masks, expected.masks, area) && got.labels[i] == expected.labels[i];
    check_that(ok, label, "sample " + std::to_string(i) + " is not what it should be");
  }
}

}  // namespace

TEST(cuda_augment_every_source_and_mode) {
  for (const int channels : {1, 3}) {
    FcddPipeline p = plain_pipeline(channels, 40, 36);
    p.pad = 2;
    p.random_crop = 1;
    p.flip = 1;
    p.lcn = 1;
    for (int source = FCDD_CONFETTI; source <= FCDD_EXPOSURE; source++) {
      for (int mode = FCDD_NOISE; mode <= FCDD_MALFORMED_GT; mode++) {
        for (const int offline : {0, 1}) {
          AugmentCase c = case_of(p, pictures(channels, 5, 41, 37), mode, source, 7);
          c.exposure = pictures(channels, 3, 41, 37, 1, source == FCDD_EXPOSURE && offline);
          c.settings.supervision.offline = offline;
          c.settings.supervision.grey = offline;
          c.settings.normals = 13;  // the batch holds positions on both sides
          check_augment_case(std::string(source_names[source]) + " " + mode_names[mode] +
                                 (offline ? " offline" : "") + " " + std::to_string(channels),
                             c, 1);
        }
      }
    }
  }
}

TEST(cuda_augment_published_pipelines) {
  uint64_t seed = 100;
  for (const NamedPipeline& named : published_pipelines()) {
    const FcddPipeline& p = named.pipeline;
    const int source = static_cast<int>(seed % 6), mode = 1 + static_cast<int>(seed % 3);
    AugmentCase c =
        case_of(p, pictures(p.channels, 5, named.height, named.width, 0, seed % 2 == 0), mode, source, seed);
    c.settings.batch = p.height > 100 ? 2 : 8;
    check_augment_case(named.name, c);
    c.settings.supervision.mode = FCDD_UNSUPERVISED;
    check_augment_case(named.name + " unsupervised", c, 1);
    seed++;
  }
}

TEST(cuda_augment_random_pipelines) {
  std::mt19937 random(17);
  for (int i = 0; i < 80; i++)
    check_augment_case("random pipeline " + std::to_string(i), random_case(random));
}

// Extents of a pixel, and exposure images of another size and with other channels.
TEST(cuda_augment_odd_shapes) {
  for (const int channels : {1, 3}) {
    for (const int source : {FCDD_CONFETTI, FCDD_MIXED_BLOB, FCDD_EXPOSURE}) {
      FcddPipeline p = plain_pipeline(channels, 30, 20);
      p.resize_height = 33;
      p.resize_width = 20;
      p.random_crop = 1;
      StoreData images = pictures(4 - channels, 2, 31, 22, 0, true);
      images.add(1, 1, 1, [](int, int, int c) { return 60 + c; });
      images.add(
          3, 90, 1, [](int y, int x, int) { return y * 80 + x; }, [](int, int x) { return x > 40; });
      images.add(70, 1, 0, ramp);
      AugmentCase c = case_of(p, images, FCDD_MALFORMED_GT, source, 5);
      c.exposure.channels = 4 - channels;
      c.exposure.add(
          9, 12, 1, [](int y, int x, int v) { return y * 20 + x * 5 + v; }, [](int y, int) { return y > 4; });
      c.settings.batch = 12;
      check_augment_case(std::string("odd shapes ") + source_names[source] + std::to_string(channels), c);
    }
  }
}

// More tiles than blocks, more squares than are looked at together, slices of more than one pixel per thread.
TEST(cuda_augment_large_images) {
  AugmentCase c =
      case_of(plain_pipeline(3, 210, 230), pictures(3, 1, 210, 230), FCDD_MALFORMED, FCDD_CONFETTI, 2);
  c.settings.supervision.probability = 1;
  c.settings.batch = 2;
  check_augment_case("large, confetti", c, 6);
  c.settings.supervision.source = FCDD_BLOB;
  c.settings.pipeline = plain_pipeline(3, 350, 250);
  c.images = pictures(3, 1, 350, 250);
  check_augment_case("large, blob", c, 6);
}

// Noise that changes next to nothing is inverted, over many slices.
TEST(cuda_augment_inverts_noise_that_changes_nothing) {
  for (const int level : {0, 1, 255}) {
    AugmentCase c = case_of(plain_pipeline(1, 80, 80), {}, FCDD_MALFORMED_GT,
                            level == 255 ? FCDD_UNIFORM : FCDD_CONFETTI, 31);
    c.images.channels = 1;
    c.images.add(80, 80, 0, [&](int y, int x, int) { return level == 1 ? (y * 80 + x) % 100 == 0 : level; });
    c.settings.supervision.probability = 1;
    c.settings.batch = 3;
    check_augment_case("inverted " + std::to_string(level), c);
  }
}

TEST(cuda_augment_low_contrast) {
  FcddPipeline p = plain_pipeline(3, 64, 64);
  p.lcn = 1;
  p.noise_probability = 0.5;
  p.noise_sigma = 0.1;
  p.noise_relative = 1;
  p.noise_clamp = 1;
  StoreData images;
  images.add(64, 64, 0, [](int y, int x, int c) { return 200 + (y * 7 + x * 3 + c) % 3; });
  images.add(64, 64, 0, [](int y, int x, int) { return y == 5 && x == 6 ? 1 : 0; });
  images.add(64, 64, 0, [](int, int, int) { return 77; });  // stays constant, whatever its level
  AugmentCase c = case_of(p, images, FCDD_UNSUPERVISED, FCDD_CONFETTI, 9);
  c.settings.batch = 12;
  check_augment_case("low contrast", c);
}

// A batch cut in two, other images in the store's tail, a larger workspace: the same bits.
TEST(cuda_augment_depends_on_position_alone) {
  std::mt19937 random(5);
  FcddPipeline p = published_pipelines()[4].pipeline;
  p.lcn = 1;
  AugmentCase whole = case_of(p, pictures(3, 7, 33, 35), FCDD_MALFORMED, FCDD_CONFETTI, 21);
  whole.settings.first = 0;
  whole.settings.batch = 6;
  for (int i = 0; i < 6; i++) whole.order.push_back((i * 5 + 2) % 6);
  const Result all = run(fcdd_cuda_table(), whole);
  const int64_t values = static_cast<int64_t>(all.x.size() / 6);
  for (const int first : {0, 4}) {
    AugmentCase part = whole;
    part.settings.first = static_cast<uint32_t>(first);
    part.settings.batch = 2;
    part.images.add(150, 90, 0, ramp);  // never shown
    const Result got = run(fcdd_cuda_table(), part);
    CHECK(std::equal(got.x.begin(), got.x.end(), all.x.begin() + first * values));
    CHECK(std::equal(got.bytes.begin(), got.bytes.end(), all.bytes.begin() + first * values));
  }
}

// Outputs that nobody wants are not made, the others are what they are with all of them.
TEST(cuda_augment_makes_what_is_asked_for) {
  AugmentCase c =
      case_of(published_pipelines()[2].pipeline, pictures(1, 3, 28, 28), FCDD_NOISE, FCDD_GAUSSIAN, 4);
  const Result all = run(fcdd_cuda_table(), c);
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddAugment only_x = prepared(bench, c);
  only_x.labels = only_x.masks = only_x.bytes = {};
  bench.run(bench.table->augment(bench.device, &only_x));
  CHECK(bench.read_real(only_x.x) == all.x);
  FcddAugment only_bytes = prepared(bench, c);
  only_bytes.x = only_bytes.labels = only_bytes.masks = {};
  bench.run(bench.table->augment(bench.device, &only_bytes));
  CHECK(bench.read_bytes(only_bytes.bytes) == all.bytes);
}

TEST(cuda_augment_reports_what_cannot_be_made) {
  FcddPipeline p = plain_pipeline(3, 20, 30);
  p.lcn = 1;
  p.noise_sigma = 0.1;
  p.noise_probability = 1;
  p.jitter_count = 1;
  p.jitter[0] = {0.2, 0.2, 0.2, 0.2};
  AugmentCase good = case_of(p, pictures(3, 5, 20, 30), FCDD_MALFORMED_GT, FCDD_EXPOSURE, 3);
  good.exposure = pictures(3, 1, 9, 9, 1);
  good.settings.first = 0;
  good.order = {4, 3, 2, 1};
  AugmentCase bad = good;
  bad.order = {4, 3, -1, 1};
  check_refused("negative index", bad, good, 2);
  bad.order = good.order;
  check_refused("missing index", bad, good, 3, 3);
  bad.images.images[3].height = 19;
  check_refused("small image", bad, good, 1);
  bad.images.images[3].height = 20;
  bad.images.images[3].pixels = bad.images.bytes.size() - 1799;
  check_refused("outside of the store", bad, good, 1);
  bad.images.images[3] = good.images.images[3];
  bad.images.images[3].mask = UINT64_MAX - 1;
  check_refused("mask outside of the store", bad, good, 1);
  bad.images.images[3] = good.images.images[3];
  bad.images.images[3].width = 1 << 15;
  check_refused("too wide", bad, good, 1);
  bad = good;
  bad.exposure.images[0].height = -9;
  bad.settings.supervision.probability = 1;
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  const FcddAugment a = prepared(bench, bad);
  CHECK(mentions(wait_after(bench, a), "sample 0 "));
  CHECK(all_zero(bench.read_bytes(a.bytes), 0, 4 * 1800));
}

// A workspace made for smaller images is refused, not overrun.
TEST(cuda_augment_refuses_a_small_workspace) {
  AugmentCase c = case_of(plain_pipeline(1, 9, 9), pictures(1, 2, 20, 20), FCDD_NOISE, FCDD_UNIFORM, 3);
  c.settings.supervision.probability = 1;
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddAugment a = prepared(bench, c);
  a.workspace.bytes -= 8;
  CHECK(mentions(wait_after(bench, a), "workspace"));
  a.workspace.bytes = 64;
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  a.workspace = {};
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  a.pipeline.scale[0] = 0;
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  CHECK(mentions(bench.table->last_error(bench.device), "pipeline.scale"));
}

}  // namespace fcdd::test
