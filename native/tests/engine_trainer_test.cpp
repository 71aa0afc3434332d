// Training steps: plans, batches, chunks, state, frozen prefixes and inference, by their bits.
#include "check.h"
#include "engine/training_run.h"
#include "engine_networks.h"
#include "tolerances.h"

namespace fcdd::test {
namespace {

constexpr InputShape kInput{2, 11, 9};

struct Training {
  explicit Training(const TrainerOptions& options, std::vector<Layer> layers = mixed_network(),
                    const std::string& device = "reference", int threads = 1)
      : network(open_device(device, threads), std::move(layers), kInput) {
    network.initialise(1);
    trainer = std::make_unique<Trainer>(network, options);
  }
  void steps(int count, int batch = 4, uint32_t seed = 0) {
    for (int i = 0; i < count; i++)
      trainer->step(random_batch(kInput, batch, seed + static_cast<uint32_t>(i)), 0.05);
  }
  Network network;
  std::unique_ptr<Trainer> trainer;
};

TrainerOptions adam(int batch) {
  TrainerOptions options{.batch = batch};
  options.optimiser.kind = FCDD_ADAM;
  options.optimiser.weight_decay = 1e-3;
  return options;
}

std::vector<double> results_of(const std::shared_ptr<Device>& device, TrainingPlanOptions options) {
  Network network(device, mixed_network(), kInput);
  network.initialise(2);
  const int batch = options.batch = 40;
  TrainingRun run(network.impl(), options, 0);
  const Batch data = random_batch(kInput, batch, 3);
  upload_real(*device, run.buffer(run.plan().values.front()), data.pixels.data(), data.pixels.size());
  upload_bytes(*device, run.buffer(run.plan().labels), data.labels.data(), data.labels.size());
  run.forward(batch);
  run.loss(batch);
  run.backward(batch);
  run.update({}, 1, 0.1);
  return all_tensors(network);
}

}  // namespace

TEST(engine_trainer_lowers_the_loss) {
  Training t(adam(8));
  const Batch batch = random_batch(kInput, 8, 1);
  const double before = t.trainer->step(batch, 0.01).loss;
  for (int i = 0; i < 60; i++) t.trainer->step(batch, 0.01);
  CHECK_LESS(t.trainer->step(batch, 0.01).loss, 0.8 * before);
}

TEST(engine_trainer_is_deterministic) {
  for (const char* device : {"reference", "cpu"}) {
    Training a(adam(4), mixed_network(), device), b(adam(4), mixed_network(), device, 3);
    a.steps(5);
    b.steps(5);
    CHECK(all_tensors(a.network) == all_tensors(b.network));
  }
}

TEST(engine_trainer_cpu_equals_reference) {
  for (const size_t frozen : {0, 4, 8}) {
    const auto layers = freeze(mixed_network(), frozen);
    Training truth({.batch = 4, .pixelwise = true}, layers),
        cpu({.batch = 4, .pixelwise = true}, layers, "cpu", 2);
    const Batch batch = random_batch(kInput, 4, 2);
    CHECK_LESS(std::abs(cpu.trainer->gradients(batch).loss / truth.trainer->gradients(batch).loss - 1), 1e-5);
    const auto expected = truth.trainer->last_gradients();
    for (const auto& [name, gradient] : cpu.trainer->last_gradients()) {
      CHECK_LESS(relative_l2(gradient, expected.at(name)), tolerance::networkGradientsFloat32);
    }
  }
}

// A plan for 16 samples runs 5 with the same bits as a plan for 5.
TEST(engine_trainer_takes_smaller_batches) {
  for (const char* device : {"reference", "cpu"}) {
    Training large(adam(16), mixed_network(), device), exact(adam(5), mixed_network(), device);
    large.steps(3, 5);
    exact.steps(3, 5);
    CHECK(all_tensors(large.network) == all_tensors(exact.network));
    CHECK(large.trainer->last_gradients() == exact.trainer->last_gradients());
  }
}

// Neither cutting convolutions into chunks nor computing post steps again changes a bit.
TEST(engine_trainer_bits_do_not_depend_on_the_plan) {
  for (const char* name : {"reference", "cpu"}) {
    const auto device = open_device(name, 2);
    const std::vector<double> whole = results_of(device, {.recompute = false});
    CHECK(results_of(device, {.recompute = false, .chunk = 16}) == whole);
    CHECK(results_of(device, {.recompute = false, .chunk = 32}) == whole);
    CHECK(results_of(device, {.recompute = true}) == whole);
  }
}

TEST(engine_trainer_state_restores_bits) {
  for (const FcddOptimiserKind kind : {FCDD_SGD, FCDD_ADAM}) {
    TrainerOptions options = adam(4);
    options.optimiser.kind = kind;
    Training unbroken(options);
    unbroken.steps(3);
    Training resumed(options);
    for (const TensorInfo& tensor : unbroken.network.tensors()) {
      resumed.network.set(tensor.name, unbroken.network.get(tensor.name));
    }
    resumed.trainer->set_state(unbroken.trainer->state(), unbroken.trainer->updates());
    unbroken.steps(3, 4, 100);
    resumed.steps(3, 4, 100);
    CHECK(all_tensors(unbroken.network) == all_tensors(resumed.network));
    CHECK(unbroken.trainer->state() == resumed.trainer->state());
    CHECK(resumed.trainer->updates() == 6);
  }
}

TEST(engine_trainer_refuses_foreign_state) {
  Training t(adam(4));
  auto state = t.trainer->state();
  CHECK(state.count("exp_avg/a.weight") == 1 && state.count("exp_avg_sq/head.bias") == 1);
  state.erase("exp_avg_sq/head.bias");
  try {
    t.trainer->set_state(state, 1);
    fail(__FILE__, __LINE__, "no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("lacks 'exp_avg_sq/head.bias'") != std::string::npos);
  }
  CHECK(t.trainer->updates() == 0);
}

// Inference between steps takes the memory of activations; the steps after it do not notice.
TEST(engine_trainer_shares_memory_with_inference) {
  for (const char* device : {"reference", "cpu"}) {
    Training alone(adam(4), freeze(mixed_network(), 4), device),
        sharing(adam(4), freeze(mixed_network(), 4), device);
    for (uint32_t i = 0; i < 3; i++) {
      alone.steps(1, 4, i);
      sharing.steps(1, 4, i);
      const auto gradients = sharing.trainer->last_gradients();
      sharing.network.infer(random_batch(kInput, 2, i).pixels, 2, {});
      CHECK(sharing.trainer->last_gradients() == gradients && sharing.trainer->last_activations().empty());
      sharing.trainer->gradients(random_batch(kInput, 4, i));
    }
    CHECK(all_tensors(alone.network) == all_tensors(sharing.network));
    CHECK(alone.trainer->state() == sharing.trainer->state());
  }
}

// Frozen tensors keep their bits; the running statistics of frozen batch norms do not.
TEST(engine_trainer_frozen_prefix) {
  Training t(adam(4), freeze(mixed_network(), 4));
  const auto weight = t.network.get("a.weight"), gamma = t.network.get("a_bn.weight"),
             b = t.network.get("b.weight");
  const auto mean = t.network.get("a_bn.running_mean"), var = t.network.get("a_bn.running_var");
  t.steps(2);
  CHECK(t.network.get("a.weight") == weight && t.network.get("a_bn.weight") == gamma);
  CHECK(t.network.get("b.weight") != b);
  CHECK(t.network.get("a_bn.running_mean") != mean && t.network.get("a_bn.running_var") != var);
  // Frozen weights that are set from outside are used from the next step on.
  const Batch batch = random_batch(kInput, 4, 50);
  const double before = t.trainer->gradients(batch).loss;
  t.network.set("a.weight", std::vector<double>(weight.size(), 0.1));
  CHECK(t.trainer->gradients(batch).loss != before);
}

// The bias before a batch norm has gradient 0, but weight decay still shrinks it.
TEST(engine_trainer_bias_before_norm) {
  TrainerOptions options{.batch = 4};
  options.optimiser.weight_decay = 0.1;
  Training t(options);
  const auto bias = t.network.get("a.bias");
  t.steps(1);
  CHECK(t.trainer->last_gradients().at("a.bias") == std::vector<double>(3, 0));
  const auto after = t.network.get("a.bias");
  for (size_t i = 0; i < bias.size(); i++) {
    CHECK_LESS(std::abs(after[i] - bias[i] * (1 - 0.05 * 0.1 * 1.9)), 1e-15);  // 1.9: Nesterov's first step
  }
}

TEST(engine_trainer_gradients_change_nothing) {
  Training t(adam(4));
  t.steps(2);
  const auto before = all_tensors(t.network);
  const auto state = t.trainer->state();
  const StepReport report = t.trainer->gradients(random_batch(kInput, 4, 8));
  CHECK(report.steps == 0 && report.normals == 2 && report.anomalies == 2);
  CHECK_LESS(std::abs(report.loss - (report.normal + report.anomalous) / 2), 1e-12);
  CHECK(all_tensors(t.network) == before && t.trainer->state() == state && t.trainer->updates() == 2);
}

TEST(engine_trainer_batch_of_one_and_of_one_label) {
  Training t(adam(4));
  Batch one = random_batch(kInput, 1, 4);
  CHECK(t.trainer->step(one, 0.01).anomalous == 0);
  one.labels = {1};
  const StepReport report = t.trainer->step(one, 0.01);
  CHECK(report.normals == 0 && report.normal == 0 && report.anomalies == 1 &&
        report.anomalous == report.loss);
}

TEST(engine_trainer_refuses_statistics_of_one_value) {
  Network network(open_device(), {conv("a", 2, 3, 0), norm("n"), conv("head", 1, 1, 0)}, {1, 3, 3});
  network.initialise(0);
  Trainer trainer(network, {.batch = 2});
  trainer.step(random_batch({1, 3, 3}, 2, 0), 0.1);
  try {
    trainer.step(random_batch({1, 3, 3}, 1, 0), 0.1);
    fail(__FILE__, __LINE__, "no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("'a' needs more than one value per channel") != std::string::npos);
  }
}

TEST(engine_trainer_activations_when_kept) {
  TrainerOptions options = adam(4);
  options.keep_activations = true;
  Training t(options);
  const Batch batch = random_batch(kInput, 3, 6);
  t.trainer->step(batch, 0.01);
  const auto values = t.trainer->last_activations();
  CHECK(values.size() == 9);  // the input, and what each of the eight steps wrote
  CHECK(values.at("input") == batch.pixels);
  // Keeping them changes where gradients lie, not what they are.
  Training reusing(adam(4));
  reusing.trainer->step(batch, 0.01);
  CHECK(all_tensors(reusing.network) == all_tensors(t.network));
  CHECK(reusing.trainer->last_activations().count("a") == 0);
  CHECK(values.at("a").size() == 3 * 11 * 9 * 3 && values.at("head").size() == 3 * 3 * 3);
}

TEST(engine_trainer_refuses_wrong_batches) {
  Training t({.batch = 2, .pixelwise = true});
  const auto fails = [&](const Batch& batch, const std::string& part) {
    try {
      t.trainer->step(batch, 0.1);
      fail(__FILE__, __LINE__, "no error: " + part);
    } catch (const Error& error) {
      if (std::string(error.what()).find(part) == std::string::npos) fail(__FILE__, __LINE__, error.what());
    }
  };
  Batch batch = random_batch(kInput, 3, 0);
  fails(batch, "batches of 1 to 2 samples, got 3");
  batch = random_batch(kInput, 2, 0);
  batch.pixels.pop_back();
  fails(batch, "must be 396 values, got 395");
  batch = random_batch(kInput, 2, 0);
  batch.labels[1] = 2;
  fails(batch, "labels must hold 0 and 1 only");
  batch = random_batch(kInput, 2, 0);
  batch.masks.clear();
  fails(batch, "masks");
}

}  // namespace fcdd::test
