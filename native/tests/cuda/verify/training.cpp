#include "training.h"

#include <algorithm>
#include <cmath>

#include "engine_networks.h"
#include "networks.h"

namespace fcdd::test {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int kImages = 40;  // not a multiple of a batch: the last one of an epoch is smaller

// A network with its images and trainer; the trainer must go first.
class Session {
 public:
  Session(const std::shared_ptr<Device>& device, const TrainingCase& c)
      : data_(pictures(c.input.channels, kImages, c.stored_height, c.stored_width, 0, c.pixelwise)),
        store(device, c.input.channels, data_.images, data_.bytes.data(), data_.bytes.size()),
        network(device, c.layers, c.input),
        case_(c) {
    network.initialise(kSeed);
    TrainerOptions options{.batch = c.batch, .pixelwise = c.pixelwise};
    options.optimiser.kind = c.optimiser;
    options.optimiser.weight_decay = 1e-4;
    options.images = &store;
    options.pipeline = c.pipeline;
    options.supervision = {FCDD_NOISE, FCDD_CONFETTI, 0, 0, 0.5, 0};
    options.seed = kSeed;
    trainer = std::make_unique<Trainer>(network, options);
  }

  // One report per step, so that every loss is seen.
  void run(int first, int count, std::vector<double>& losses) {
    const int64_t per_epoch = trainer->steps_per_epoch();
    for (int64_t i = first; i < first + count; i++) {
      const auto epoch = static_cast<uint32_t>(i / per_epoch);
      losses.push_back(trainer->run(epoch, i % per_epoch, 1, case_.lr).loss);
    }
  }

 private:
  StoreData data_;

 public:
  ImageStore store;
  Network network;
  std::unique_ptr<Trainer> trainer;

 private:
  const TrainingCase& case_;
};

// The test transform of a training pipeline: no chance in it.
FcddPipeline test_pipeline(FcddPipeline p) {
  p.random_crop = p.or_resize = p.flip = p.jitter_count = p.pad = 0;
  p.noise_sigma = p.noise_probability = 0;
  p.resize_height = p.height;
  p.resize_width = p.width;
  return p;
}

TrainingCase make(const char* name, std::vector<Layer> layers, InputShape input, int batch, int steps,
                  FcddOptimiserKind optimiser, double lr, bool pixelwise) {
  FcddPipeline pipeline = normalise_only(input);
  pipeline.random_crop = pipeline.flip = 1;
  pipeline.pad = 2;
  pipeline.jitter_count = 1;
  pipeline.jitter[0] = {0.04, 0.04, 0.04, 0.04};
  pipeline.noise_sigma = 0.02;
  pipeline.noise_probability = 0.5;
  pipeline.lcn = 1;
  for (double& offset : pipeline.offset) offset = -3;
  for (double& scale : pipeline.scale) scale = 3;
  return {name, std::move(layers), input,        batch,      steps, pixelwise, optimiser,
          lr,   pipeline,          input.height, input.width};
}

}  // namespace

std::vector<TrainingCase> training_cases(bool reduced) {
  if (reduced) {
    return {
        make("cnn28", architecture("cnn28", 2), {1, 28, 28}, 6, 12, FCDD_SGD, 2e-3, false),
        make("cnn32-s pixel-wise", architecture("cnn32-s", 8), {3, 17, 15}, 4, 6, FCDD_ADAM, 1e-3, true),
        make("vgg11-f thin", vgg11_frozen(16), {3, 32, 32}, 2, 3, FCDD_SGD, 2e-3, false),
    };
  }
  return {
      make("cnn28", architecture("cnn28"), {1, 28, 28}, 16, 50, FCDD_SGD, 2e-3, false),
      make("cnn32-s pixel-wise", architecture("cnn32-s"), {3, 33, 31}, 16, 50, FCDD_ADAM, 1e-3, true),
      make("cnn224 at 96x96", architecture("cnn224"), {3, 96, 96}, 8, 50, FCDD_SGD, 2e-3, false),
      make("vgg11-f at 64x64", vgg11_frozen(1), {3, 64, 64}, 8, 8, FCDD_SGD, 2e-3, false),
      make("mixed layers", mixed_network(), {3, 29, 27}, 7, 50, FCDD_ADAM, 1e-3, true),
  };
}

Trained train(const std::shared_ptr<Device>& device, const TrainingCase& c) {
  Session session(device, c);
  Trained result;
  session.run(0, c.steps, result.losses);
  result.tensors = all_tensors(session.network);
  const FcddPipeline pipeline = test_pipeline(c.pipeline);
  const int count = std::min(11, kImages), alone = 5;
  result.scores = session.network.infer(session.store, pipeline, 0, count, {}).scores;
  result.scores_alone =
      session.network.infer(session.store, pipeline, alone, 1, {}).scores[0] == result.scores[alone];
  return result;
}

std::vector<double> train_across(const std::shared_ptr<Device>& from, const std::shared_ptr<Device>& to,
                                 const TrainingCase& c, int before, int after) {
  Session first(from, c), second(to, c);
  std::vector<double> losses;
  first.run(0, before, losses);
  for (const TensorInfo& tensor : first.network.tensors()) {
    second.network.set(tensor.name, first.network.get(tensor.name));
  }
  second.trainer->set_state(first.trainer->state(), first.trainer->updates());
  second.run(before, after, losses);
  return losses;
}

std::vector<double> gradients(const std::shared_ptr<Device>& device, const TrainingCase& c) {
  Network network(device, c.layers, c.input);
  network.initialise(kSeed);
  Trainer trainer(network, {.batch = c.batch, .pixelwise = c.pixelwise});
  trainer.gradients(random_batch(c.input, c.batch, 3));
  std::vector<double> all;
  for (const auto& [name, values] : trainer.last_gradients()) {
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (size_t i = 0; i < a.size(); i++) {
    const double difference = std::abs(a[i] / b[i] - 1);
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

}  // namespace fcdd::test
