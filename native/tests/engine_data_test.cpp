// Training and inference from image stores: shuffling, splitting runs, resuming, stopping, constants of own
// data.
#include <algorithm>
#include <numeric>

#include "check.h"
#include "engine/shuffle.h"
#include "engine_networks.h"

namespace fcdd::test {
namespace {

constexpr InputShape kInput{3, 10, 8};

// `count` images of 12x9 pixels; every third is anomalous, with a mask when it is the first of those.
std::unique_ptr<ImageStore> make_store(const std::shared_ptr<Device>& device, int count, uint32_t seed = 1) {
  const uint64_t area = 12 * 9, size = area * 4;  // pixels and mask
  std::vector<uint8_t> bytes(static_cast<size_t>(count) * size);
  std::vector<FcddImage> images;
  uint32_t state = seed;
  for (int i = 0; i < count; i++) {
    const uint64_t start = static_cast<uint64_t>(i) * size;
    for (uint64_t j = 0; j < area * 3; j++)
      bytes[start + j] = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
    for (uint64_t j = 0; j < area; j += 2) bytes[start + area * 3 + j] = 1;
    images.push_back({start, i == 0 ? start + area * 3 : FCDD_NO_MASK, 12, 9, i % 3 == 0, 0, FCDD_NO_MASK});
  }
  return std::make_unique<ImageStore>(device, 3, images, bytes.data(), bytes.size());
}

FcddPipeline pipeline() {
  FcddPipeline p{};
  p.height = kInput.height;
  p.width = kInput.width;
  p.channels = kInput.channels;
  std::fill_n(p.offset, 3, 0.5);
  std::fill_n(p.scale, 3, 0.25);
  return p;
}

TrainerOptions options_for(const ImageStore& images, const ImageStore& exposure) {
  TrainerOptions options{.batch = 4};
  options.optimiser.kind = FCDD_ADAM;
  options.images = &images;
  options.exposure = &exposure;
  options.pipeline = pipeline();
  options.pipeline.random_crop = options.pipeline.flip = 1;
  options.pipeline.noise_sigma = 0.01;
  options.pipeline.noise_probability = 1;
  options.supervision = {.mode = FCDD_NOISE,
                         .source = FCDD_EXPOSURE,
                         .offline = 0,
                         .grey = 0,
                         .probability = 0.5,
                         .on_object = 0};
  options.repeat = 2;
  options.seed = 5;
  return options;
}

struct Data {
  explicit Data(const std::string& name, int threads = 1)
      : device(open_device(name, threads)),
        images(make_store(device, 9)),
        exposure(make_store(device, 4, 99)),
        network(device, architecture("cnn28", 4), kInput) {
    network.initialise(1);
    trainer = std::make_unique<Trainer>(network, options_for(*images, *exposure));
  }
  std::shared_ptr<Device> device;
  std::unique_ptr<ImageStore> images, exposure;
  Network network;
  std::unique_ptr<Trainer> trainer;
};

}  // namespace

TEST(engine_shuffle_is_a_permutation) {
  for (const int64_t count : {0, 1, 2, 1000}) {
    std::vector<int32_t> order = shuffled(7, 3, count);
    CHECK(order == shuffled(7, 3, count));
    if (count == 1000) CHECK(order != shuffled(7, 4, count) && order != shuffled(8, 3, count));
    std::sort(order.begin(), order.end());
    std::vector<int32_t> identity(static_cast<size_t>(count));
    std::iota(identity.begin(), identity.end(), 0);
    CHECK(order == identity);
  }
  // Each of the six orders of three about equally often: 4 standard deviations of 6000 draws.
  int seen[3][3] = {};
  for (uint32_t epoch = 0; epoch < 6000; epoch++) {
    const auto order = shuffled(1, epoch, 3);
    seen[order[0]][order[1]]++;
  }
  for (int a = 0; a < 3; a++) {
    for (int b = 0; b < 3; b++) CHECK(a == b ? seen[a][b] == 0 : std::abs(seen[a][b] - 1000) < 116);
  }
}

TEST(engine_data_counts) {
  Data d("reference");
  CHECK(d.trainer->positions() == 18 && d.trainer->steps_per_epoch() == 5);
  const StepReport report = d.trainer->run(0, 0, 5, 0.01);
  CHECK(report.steps == 5 && report.normals + report.anomalies == 18 && report.normals > 0 &&
        report.anomalies > 0);
  const double loss = (report.normal * static_cast<double>(report.normals) +
                       report.anomalous * static_cast<double>(report.anomalies)) /
                      18;
  CHECK_LESS(std::abs(report.loss - loss), 1e-12);
  CHECK(d.trainer->updates() == 5);
}

TEST(engine_data_nominal_label_swaps_labels) {
  Data d("reference");
  TrainerOptions options = options_for(*d.images, *d.exposure);
  const AugmentedBatch plain = d.trainer->augment(1, 0, 18);
  options.nominal_label = 1;
  Trainer swapped(d.network, options);
  const AugmentedBatch other = swapped.augment(1, 0, 18);
  CHECK(other.bytes == plain.bytes);
  for (size_t i = 0; i < 18; i++) CHECK(other.labels[i] == 1 - plain.labels[i]);
  options.nominal_label = 2;
  std::string code;
  try {
    const Trainer refused(d.network, options);
  } catch (const Error& error) {
    code = error.code;
  }
  CHECK(code == "FCDD_INVALID_ARGUMENT");
}

TEST(engine_data_offline_appends_anomalies) {
  Data d("reference");
  TrainerOptions options = options_for(*d.images, *d.exposure);
  options.supervision.offline = 1;
  options.batch = 7;
  Trainer trainer(d.network, options);
  CHECK(trainer.positions() == 36);
  const AugmentedBatch all = trainer.augment(0, 0, 36);
  CHECK(std::count(all.labels.begin(), all.labels.end(), 1) >= 18);
  CHECK(all.masks.size() == 36 * 80 && all.pixels.size() == 36 * 240 && all.bytes.size() == 36 * 240);
}

// Splitting an epoch, and resuming from weights and state, gives the bits of the unbroken run, for any
// threads.
TEST(engine_data_runs_can_be_split) {
  for (const char* name : {"reference", "cpu"}) {
    Data whole(name), split(name, 3), resumed(name, 2);
    whole.trainer->run(0, 0, 5, 0.01);
    whole.trainer->run(1, 0, 5, 0.001);
    for (int64_t i = 0; i < 5; i++) split.trainer->run(0, i, 1, 0.01);
    split.trainer->run(1, 0, 2, 0.001);
    for (const TensorInfo& t : split.network.tensors())
      resumed.network.set(t.name, split.network.get(t.name));
    resumed.trainer->set_state(split.trainer->state(), split.trainer->updates());
    split.trainer->augment(0, 0, 18);  // looking at another epoch changes nothing
    split.trainer->run(1, 2, 3, 0.001);
    resumed.trainer->run(1, 2, 3, 0.001);
    CHECK(all_tensors(whole.network) == all_tensors(split.network));
    CHECK(all_tensors(whole.network) == all_tensors(resumed.network));
  }
}

// What augment() shows is what a step trains on.
TEST(engine_data_augment_shows_the_training_batch) {
  Data d("reference"), by_hand("reference");
  const AugmentedBatch shown = d.trainer->augment(2, 4, 4);
  d.trainer->run(2, 1, 1, 0.01);
  const Batch batch{4, std::vector<double>(shown.pixels.begin(), shown.pixels.end()), shown.labels,
                    shown.masks};
  by_hand.trainer->step(batch, 0.01);
  CHECK_LESS(relative_l2(all_tensors(d.network), all_tensors(by_hand.network)), 1e-3);  // shown as float32
  CHECK(d.trainer->augment(2, 0, 18).labels != d.trainer->augment(3, 0, 18).labels);
}

TEST(engine_data_order_changes_with_epoch_and_seed) {
  Data d("reference");
  TrainerOptions plain{.batch = 9};
  plain.images = d.images.get();
  plain.pipeline = pipeline();
  Trainer trainer(d.network, plain);
  plain.seed = 1;
  Trainer other(d.network, plain);
  const auto pixels = trainer.augment(0, 0, 9).pixels;
  CHECK(trainer.augment(1, 0, 9).pixels != pixels && other.augment(0, 0, 9).pixels != pixels);
  CHECK(trainer.augment(0, 0, 9).pixels == pixels);
}

TEST(engine_data_stops_between_steps) {
  Data d("reference");
  const std::atomic<bool> stop{true};
  const StepReport report = d.trainer->run(0, 0, 5, 0.01, &stop);
  CHECK(report.steps == 0 && report.loss == 0 && d.trainer->updates() == 0);
  try {
    d.network.infer(*d.images, pipeline(), 0, 9, {}, &stop);
    fail(__FILE__, __LINE__, "no error");
  } catch (const Error& error) {
    CHECK(error.code == "FCDD_ABORTED");
  }
}

// Images from a store score as their augmented pixels do.
TEST(engine_data_infers_from_a_store) {
  for (const char* name : {"reference", "cpu"}) {
    Data d(name);
    TrainerOptions plain{.batch = 9};
    plain.images = d.images.get();
    plain.pipeline = pipeline();
    Trainer preview(d.network, plain);
    const AugmentedBatch shown = preview.augment(0, 0, 9);
    const std::vector<int32_t> order = shuffled(0, 0, 9);
    const InferResult from_store = d.network.infer(*d.images, pipeline(), 0, 9, {.maps = true});
    const InferResult from_pixels =
        d.network.infer(std::vector<double>(shown.pixels.begin(), shown.pixels.end()), 9, {.maps = true});
    for (size_t i = 0; i < 9; i++) {
      const double expected = from_pixels.scores[i];
      CHECK_LESS(std::abs(from_store.scores[static_cast<size_t>(order[i])] / expected - 1), 1e-5);
    }
    const InferResult part = d.network.infer(*d.images, pipeline(), 5, 2, {.maps = true});
    CHECK(part.scores == std::vector<double>(from_store.scores.begin() + 5, from_store.scores.begin() + 7));
  }
}

// Two 1x2 images with one channel: 0, 255 and 51, 102, that is 0, 1, 0.2, 0.4.
TEST(engine_data_statistics) {
  const auto device = open_device();
  const uint8_t bytes[] = {0, 255, 51, 102};
  const ImageStore store(
      device, 1, {{0, FCDD_NO_MASK, 1, 2, 0, 0, FCDD_NO_MASK}, {2, FCDD_NO_MASK, 1, 2, 0, 0, FCDD_NO_MASK}},
      bytes, 4);
  FcddPipeline p{};
  p.height = 1;
  p.width = 2;
  p.channels = 1;
  p.offset[0] = 17;  // ignored
  p.scale[0] = 3;
  const ImageStatistics s = image_statistics(store, p);
  CHECK_LESS(std::abs(s.mean[0] - 0.4), 1e-15);
  CHECK_LESS(std::abs(s.std[0] - std::sqrt((0.16 + 0.36 + 0.04) / 3)), 1e-15);
  CHECK_LESS(std::abs(s.lcn_min[0] + 1), 1e-12);  // every image is two values around its mean: -1 and 1
  CHECK_LESS(std::abs(s.lcn_max[0] - 1), 1e-12);
}

TEST(engine_data_refuses_wrong_stores) {
  const auto device = open_device();
  const std::vector<uint8_t> bytes(30, 0);
  const auto fails = [&](int channels, const std::vector<FcddImage>& images, const std::string& part) {
    try {
      const ImageStore store(device, channels, images, bytes.data(), bytes.size());
      fail(__FILE__, __LINE__, "no error: " + part);
    } catch (const Error& error) {
      if (std::string(error.what()).find(part) == std::string::npos) fail(__FILE__, __LINE__, error.what());
    }
  };
  fails(2, {{0, FCDD_NO_MASK, 2, 2, 0, 0, FCDD_NO_MASK}}, "1 or 3 channels, got 2");
  fails(3, {}, "at least one image");
  fails(3, {{0, FCDD_NO_MASK, 2, 5, 0, 0, FCDD_NO_MASK}, {1, FCDD_NO_MASK, 2, 5, 0, 0, FCDD_NO_MASK}},
        "image 1 of the store has pixels beyond");
  fails(3, {{0, FCDD_NO_MASK, 1 << 30, 1 << 30, 0, 0, FCDD_NO_MASK}}, "height and width");
  fails(1, {{0, 29, 2, 2, 0, 0, FCDD_NO_MASK}}, "image 0 of the store has a mask beyond");
  fails(1, {{0, FCDD_NO_MASK, 2, 2, 0, 0, 27}}, "image 0 of the store has a foreground beyond");
  fails(1, {{UINT64_MAX, FCDD_NO_MASK, 2, 2, 0, 0, FCDD_NO_MASK}}, "pixels beyond");
  fails(1, {{0, FCDD_NO_MASK, 2, 2, 256, 0, FCDD_NO_MASK}}, "label from 0 to 255, got 256");
}

}  // namespace fcdd::test
