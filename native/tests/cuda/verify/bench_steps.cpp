// Whole training steps and inference through the engine, images resident on the device.
#include <algorithm>
#include <chrono>

#include "bench.h"

namespace fcdd::test {
namespace {

constexpr int kStored = 64;  // images; the list is repeated so that no epoch ends within a measurement
constexpr int kRepeat = 100000;
constexpr double kRoundMs = 250;
constexpr int kRounds = 5, kWarmUp = 3, kMostSteps = 200;

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Steps are enqueued by run(), which waits once, for its report.
double training_ms(Trainer& trainer, bool reduced) {
  int64_t position = 0;
  const auto round = [&](int64_t steps) {
    const double began = now_ms();
    trainer.run(0, position, steps, 1e-4);
    position += steps;
    return (now_ms() - began) / static_cast<double>(steps);
  };
  if (reduced) return round(1);
  round(kWarmUp);
  const double once = std::max(1e-2, round(1));
  const int64_t steps = std::clamp<int64_t>(static_cast<int64_t>(kRoundMs / once), 1, kMostSteps);
  std::vector<double> times;
  for (int i = 0; i < kRounds; i++) times.push_back(round(steps));
  std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
  return times[kRounds / 2];
}

// As many images as make the engine run several chunks.
double inference_ms(Network& network, const ImageStore& store, const FcddPipeline& pipeline, bool reduced) {
  const int count = store.store().count;
  std::vector<double> times;
  for (int i = 0; i < (reduced ? 1 : kRounds + 1); i++) {
    const double began = now_ms();
    network.infer(store, pipeline, 0, count, {});
    if (i > 0 || reduced) times.push_back(now_ms() - began);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

struct Variant {
  const char* what;
  FcddPipeline pipeline;
  FcddSupervision supervision;
  int height, width;
};

void train_and_infer(const Options& options, const PublishedNetwork& published, const Variant& variant,
                     int precision, int batch, Rows& rows) {
  const auto device = open_verified(options.device, precision);
  const int stored = options.reduced ? 2 : kStored;
  const StoreData data = pictures(published.input.channels, stored, variant.height, variant.width);
  const ImageStore store(device, data.channels, data.images, data.bytes.data(), data.bytes.size());
  Network network(device, published.layers, published.input);
  network.initialise(1);
  TrainerOptions training{.batch = batch};
  training.images = &store;
  training.pipeline = variant.pipeline;
  training.supervision = variant.supervision;
  training.repeat = kRepeat;
  {
    Trainer trainer(network, training);
    const double ms = training_ms(trainer, options.reduced);
    rows.whole(published.name, variant.what, precision, batch, ms, trainer.reserved_bytes());
  }
  if (variant.supervision.mode != FCDD_UNSUPERVISED) return;
  const double ms = inference_ms(network, store, variant.pipeline, options.reduced);
  rows.whole(published.name, "inference", precision, stored, ms, network.inference_bytes(stored));
}

}  // namespace

void bench_steps(const Options& options, const PublishedNetwork& published, int precision, Rows& rows) {
  const InputShape in = published.input;
  const Variant variants[] = {
      {"training", normalise_only(in), {}, in.height, in.width},
      {"training, augmented",
       published.augmented,
       {FCDD_MALFORMED, FCDD_CONFETTI, 0, 0, 0.5, 0},
       published.stored_height,
       published.stored_width},
  };
  for (const Variant& variant : variants) {
    const std::string what = published.name + ", " + variant.what + ", " + precision_name(precision);
    with_fitting_batch(what, options.reduced ? 2 : published.batch, rows, [&](int batch) {
      train_and_infer(options, published, variant, precision, batch, rows);
    });
  }
}

}  // namespace fcdd::test
