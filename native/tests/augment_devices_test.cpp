// `cpu` equals `reference`: bytes, labels and masks bit by bit, values within augmentFloat32; and neither the
// batch split, nor the number of threads, nor the instruction set changes a bit on `cpu`.
#include <cstdio>
#include <string>

#include "augment_harness.h"
#include "check.h"
#include "cpu_harness.h"
#include "fcdd/patches.h"
#include "tolerances.h"

namespace fcdd::test {
namespace {

const char* const source_names[] = {"confetti",   "gaussian", "uniform",   "solid",  "blob",
                                    "mixed-blob", "exposure", "cut-paste", "texture"};
const char* const mode_names[] = {"unsupervised", "noise", "malformed", "malformed-gt"};

bool same(const Augmented& a, const Augmented& b) {
  return a.x == b.x && a.labels == b.labels && a.masks == b.masks && a.bytes == b.bytes;
}

void check(bool ok, const std::string& label, const char* what) {
  if (!ok) fail(label.c_str(), 0, what);
}

// Every instruction set against the reference, and several threads against one.
void check_devices(const std::string& label, const AugmentCase& c) {
  const Augmented truth = run_augment(c, {"reference", "", 1});
  Augmented first;
  for (const std::string& isa : isas()) {
    const Augmented got = run_augment(c, {"cpu", isa, 1});
    check(got.bytes == truth.bytes, label + " " + isa, "bytes differ");
    check(got.labels == truth.labels, label + " " + isa, "labels differ");
    check(got.masks == truth.masks, label + " " + isa, "masks differ");
    const double distance = relative_l2(got.x, truth.x);
    if (!(distance < tolerance::augmentFloat32)) {
      fail(label.c_str(), 0, isa + ": values differ by " + std::to_string(distance * 1e6) + "e-6");
    }
    if (first.x.empty()) first = got;
    check(same(got, first), label + " " + isa, "another instruction set gives other bits");
    check(same(run_augment(c, {"cpu", isa, 3}), got), label + " " + isa, "threads change bits");
  }
}

AugmentCase case_of(const FcddPipeline& pipeline, StoreData images, int mode, int source, uint64_t seed) {
  AugmentCase c;
  c.settings.pipeline = pipeline;
  c.settings.supervision = {mode, source, 0, 0, 0.7, 0};
  c.settings.seed = seed;
  c.settings.epoch = 3;
  c.settings.first = 11;
  c.settings.batch = 6;
  c.images = std::move(images);
  return c;
}

}  // namespace

TEST(augment_published_pipelines_agree) {
  uint64_t seed = 100;
  for (const NamedPipeline& named : published_pipelines()) {
    const FcddPipeline& p = named.pipeline;
    const int source = static_cast<int>(seed % 6), mode = 1 + static_cast<int>(seed % 3);
    AugmentCase c =
        case_of(p, pictures(p.channels, 5, named.height, named.width, 0, seed % 2 == 0), mode, source, seed);
    c.settings.batch = p.height > 100 ? 3 : 12;
    check_devices(named.name, c);
    c.settings.supervision.mode = FCDD_UNSUPERVISED;
    check_devices(named.name + " unsupervised", c);
    seed++;
  }
}

TEST(augment_every_source_and_mode_agrees) {
  for (const int channels : {1, 3}) {
    FcddPipeline p = plain_pipeline(channels, 40, 36);
    p.pad = 2;
    p.random_crop = 1;
    p.flip = 1;
    p.lcn = 1;
    for (int source = FCDD_CONFETTI; source <= FCDD_TEXTURE; source++) {
      for (int mode = FCDD_NOISE; mode <= FCDD_MALFORMED_GT; mode++) {
        if (mode == FCDD_NOISE && is_patch(source)) continue;
        for (const int offline : {0, 1}) {
          AugmentCase c = case_of(p, pictures(channels, 5, 41, 37), mode, source, 7);
          c.exposure = pictures(channels, 3, 41, 37, 1, source == FCDD_EXPOSURE && offline);
          c.settings.supervision.offline = offline;
          c.settings.supervision.grey = offline;
          c.settings.nominal_label = (source + mode + offline) % 2;
          c.settings.normals = 14;  // the batch holds positions on both sides
          check_devices(std::string(source_names[source]) + " " + mode_names[mode] +
                            (offline ? " offline" : "") + " " + std::to_string(channels),
                        c);
        }
      }
    }
  }
}

// Sizes and channels that do not match, images of different sizes, extents of one pixel, big ones.
TEST(augment_odd_shapes_agree) {
  for (const int channels : {1, 3}) {
    for (const int stored : {1, 3}) {
      FcddPipeline p = plain_pipeline(channels, 30, 20);
      p.resize_height = 33;
      p.resize_width = 20;
      p.random_crop = 1;
      p.jitter_first = stored == 1;
      p.jitter_count = 1;
      p.jitter[0] = {0.3, 0.3, 0.3, 0.3};
      p.noise_sigma = 0.02;
      p.noise_probability = 0.5;
      for (const int source : {FCDD_CONFETTI, FCDD_EXPOSURE}) {
        StoreData images = pictures(stored, 2, 31, 22, 0, true);
        images.add(17, 50, 0, [](int y, int x, int c) { return (y * 9 + x * 3 + c * 50) % 256; });
        images.add(1, 1, 1, [](int, int, int c) { return 60 + c; });
        images.add(
            3, 90, 1, [](int y, int x, int) { return y * 80 + x; }, [](int, int x) { return x > 40; });
        AugmentCase c =
            case_of(p, images, source == FCDD_EXPOSURE ? FCDD_NOISE : FCDD_MALFORMED_GT, source, 5);
        c.exposure.channels = 4 - channels;
        c.exposure.add(
            9, 12, 1, [](int y, int x, int v) { return y * 20 + x * 5 + v; },
            [](int y, int) { return y > 4; });
        c.exposure.add(64, 70, 0, [](int y, int x, int v) { return (y * x + v * 31) % 256; });
        c.settings.batch = 20;
        check_devices("odd shapes " + std::to_string(channels) + " " + std::to_string(stored), c);
      }
    }
  }
  AugmentCase c =
      case_of(plain_pipeline(3, 700, 600), pictures(3, 1, 700, 600), FCDD_MALFORMED_GT, FCDD_BLOB, 2);
  c.settings.batch = 2;
  check_devices("large", c);
}

// Patches between images of different sizes, and anomalies that are kept to a foreground that some images
// have.
TEST(augment_patches_and_foregrounds_agree) {
  for (const int channels : {1, 3}) {
    for (int source = FCDD_CONFETTI; source <= FCDD_TEXTURE; source++) {
      FcddPipeline p = plain_pipeline(channels, 30, 20);
      p.random_crop = 1;
      p.flip = 1;
      StoreData images = pictures(4 - channels, 3, 41, 37);
      images.add(33, 90, 0, [](int y, int x, int c) { return (y * 9 + x * 3 + c * 50) % 256; });
      images.add(30, 20, 0, [](int y, int x, int) { return y * x % 256; });
      images.add_foreground(0, [](int y, int x) { return (y - 20) * (y - 20) + (x - 18) * (x - 18) < 90; });
      images.add_foreground(3, [](int y, int x) { return y > 5 && x % 7 != 0; });
      images.add_foreground(4, [](int, int) { return false; });
      AugmentCase c = case_of(p, images, FCDD_MALFORMED_GT, source, 11);
      c.settings.supervision.on_object = 1;
      c.settings.batch = 24;
      const std::string label = std::string("on object ") + source_names[source] + std::to_string(channels);
      if (source == FCDD_EXPOSURE) c.exposure = pictures(channels, 3, 50, 20, 1);
      check_devices(label, c);
      if (source != FCDD_TEXTURE) continue;
      c.exposure = pictures(channels, 2, 15, 70, 1);
      c.exposure.add(1, 1, 1, [](int, int, int v) { return 90 + v; });
      check_devices(label + " from another store", c);
    }
  }
}

TEST(augment_low_contrast_agrees) {
  FcddPipeline p = plain_pipeline(3, 64, 64);
  p.lcn = 1;
  p.noise_probability = 0.5;
  p.noise_sigma = 0.1;
  p.noise_relative = 1;
  p.noise_clamp = 1;
  StoreData images;
  images.add(64, 64, 0, [](int y, int x, int c) { return 200 + (y * 7 + x * 3 + c) % 3; });
  images.add(64, 64, 0, [](int y, int x, int) { return y == 5 && x == 6 ? 1 : 0; });
  images.add(64, 64, 0, [](int, int, int) { return 77; });
  AugmentCase c = case_of(p, images, FCDD_UNSUPERVISED, FCDD_CONFETTI, 9);
  c.settings.batch = 12;
  check_devices("low contrast", c);
}

TEST(augment_depends_on_position_alone) {
  const NamedPipeline named = published_pipelines()[4];  // cifar10 aug1
  AugmentCase whole = case_of(named.pipeline, pictures(3, 7, 32, 32), FCDD_MALFORMED_GT, FCDD_CONFETTI, 21);
  whole.settings.first = 0;
  whole.settings.batch = 9;
  for (int i = 0; i < 9; i++) whole.order.push_back((i * 5 + 2) % 9);
  for (const char* name : {"reference", "cpu"}) {
    const Augmented all = run_augment(whole, {name, "", 2});
    const size_t values = all.x.size() / 9, area = all.masks.size() / 9;
    for (const int first : {0, 4, 7}) {
      AugmentCase part = whole;
      part.settings.first = static_cast<uint32_t>(first);
      part.settings.batch = 2;
      const Augmented got = run_augment(part, {name, "", 1});
      const size_t at = static_cast<size_t>(first);
      CHECK(std::equal(got.x.begin(), got.x.end(), all.x.begin() + static_cast<int64_t>(at * values)));
      CHECK(std::equal(got.bytes.begin(), got.bytes.end(),
                       all.bytes.begin() + static_cast<int64_t>(at * values)));
      CHECK(std::equal(got.masks.begin(), got.masks.end(),
                       all.masks.begin() + static_cast<int64_t>(at * area)));
      CHECK(std::equal(got.labels.begin(), got.labels.end(), all.labels.begin() + first));
    }
    AugmentCase other = whole;
    other.settings.epoch++;
    CHECK(run_augment(other, {name, "", 1}).bytes != all.bytes);
    other = whole;
    other.settings.seed++;
    CHECK(run_augment(other, {name, "", 1}).bytes != all.bytes);
  }
}

}  // namespace fcdd::test
