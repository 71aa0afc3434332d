// The input pipeline of the cuda device: bytes, labels and masks equal those of `reference` bit by bit, x
// within augmentFloat32, and no order of threads changes a bit.
#include <algorithm>

#include "augment_cases.h"
#include "check.h"
#include "fcdd/patches.h"

namespace fcdd::test {
namespace {

const char* const source_names[] = {"confetti",   "gaussian", "uniform",   "solid",  "blob",
                                    "mixed-blob", "exposure", "cut-paste", "texture"};
const char* const mode_names[] = {"unsupervised", "noise", "malformed", "malformed-gt"};

}  // namespace

TEST(cuda_augment_every_source_and_mode) {
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
  std::mt19937 random(test_seed(17));
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

// Patches between images of different sizes, and anomalies that are kept to a foreground that some images
// have.
TEST(cuda_augment_patches_and_foregrounds) {
  for (const int channels : {1, 3}) {
    for (int source = FCDD_CONFETTI; source <= FCDD_TEXTURE; source++) {
      FcddPipeline p = plain_pipeline(channels, 30, 20);
      p.random_crop = 1;
      p.flip = 1;
      StoreData images = pictures(4 - channels, 2, 41, 37);
      images.add(33, 60, 0, ramp);
      images.add_foreground(0, [](int y, int x) { return (y - 20) * (y - 20) + (x - 18) * (x - 18) < 90; });
      images.add_foreground(2, [](int, int) { return false; });
      AugmentCase c = case_of(p, images, FCDD_MALFORMED_GT, source, 11);
      c.settings.supervision.on_object = 1;
      c.settings.batch = 8;
      const std::string label = std::string("on object ") + source_names[source] + std::to_string(channels);
      if (source == FCDD_EXPOSURE) c.exposure = pictures(channels, 3, 50, 20, 1);
      check_augment_case(label, c, 1);
      if (source != FCDD_TEXTURE) continue;
      c.exposure = pictures(channels, 2, 15, 70, 1);
      check_augment_case(label + " from another store", c, 1);
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
  std::mt19937 random(test_seed(5));
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

}  // namespace fcdd::test
