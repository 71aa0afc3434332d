// Whole small networks of the baselines on `reference`: gradients of the parameters and heatmaps (gradients
// by the image) against finite differences, and what `cpu` makes of the same.
#include "engine_networks.h"
#include "gradient_check.h"

namespace fcdd::test {
namespace {

Layer full(const std::string& name, int filters, int kernel) {
  return conv(name, filters, kernel, 0);
}
Layer shape_layer(LayerKind kind, int channels = 0, int height = 0, int width = 0) {
  Layer layer{.kind = kind, .name = ""};
  layer.channels = channels;
  layer.height = height;
  layer.width = width;
  return layer;
}

// conv BN lrelu pool, fully connected with BN, dropout, embedding of 5; input 2x8x8.
std::vector<Layer> encoder() {
  return {conv("a", 3, 5, 2), norm("a_bn"), lrelu(), pool(),
          full("b", 6, 4),    norm("b_bn"), lrelu(), shape_layer(LayerKind::Dropout),
          full("c", 8, 1)};
}

std::vector<Layer> autoencoder() {
  std::vector<Layer> layers = encoder();
  const std::vector<Layer> decoder = {norm("c_bn"),
                                      lrelu(),
                                      shape_layer(LayerKind::Reshape, 2, 2, 2),
                                      shape_layer(LayerKind::Nearest),
                                      conv("d", 3, 3, 1),
                                      norm("d_bn"),
                                      lrelu(),
                                      shape_layer(LayerKind::Nearest),
                                      conv("e", 2, 3, 1),
                                      shape_layer(LayerKind::Sigmoid)};
  layers.insert(layers.end(), decoder.begin(), decoder.end());
  return layers;
}

// Adaptive pooling to 3x3 before a fully connected layer; the classes are 4.
std::vector<Layer> classifier() {
  return {conv("a", 3, 3, 1),
          norm("a_bn"),
          lrelu(),
          shape_layer(LayerKind::AveragePool, 0, 3, 3),
          full("b", 5, 3),
          lrelu(),
          full("classifier", 4, 1)};
}

struct NetworkCase {
  std::string label;
  std::vector<Layer> layers;
  int32_t objective;
};

const std::vector<NetworkCase>& network_cases() {
  static const std::vector<NetworkCase> all = {{"hsc", encoder(), FCDD_OBJECTIVE_HSC},
                                               {"ae", autoencoder(), FCDD_OBJECTIVE_AE},
                                               {"dsvdd", encoder(), FCDD_OBJECTIVE_DSVDD},
                                               {"classify", classifier(), FCDD_OBJECTIVE_CLASSIFY}};
  return all;
}

constexpr InputShape kInput{2, 8, 8};
const std::vector<double> kCentre = {0.1, -0.3, 0.5, 0.2, -0.1, 0.4, 0.3, -0.6};

TrainerOptions options_of(int32_t objective, bool keep_activations = false) {
  TrainerOptions options{.batch = 4};
  options.objective = objective;
  options.keep_activations = keep_activations;
  options.seed = 3;
  if (objective == FCDD_OBJECTIVE_DSVDD) options.centre = kCentre;
  return options;
}

Batch batch_of(int32_t objective) {
  Batch batch = random_batch(kInput, 4, 19);
  for (int i = 0; i < 4 && objective == FCDD_OBJECTIVE_CLASSIFY; i++)
    batch.labels[i] = static_cast<uint8_t>(i);
  return batch;
}

InferOptions infer_options(int32_t objective) {
  InferOptions options;
  options.objective = objective;
  options.maps = true;
  options.outputs = true;
  options.blur = 4;
  options.sigma = 1;
  if (objective == FCDD_OBJECTIVE_DSVDD) options.centre = kCentre;
  return options;
}

// Before a batch norm: its gradient is exactly 0.
bool held(const std::string& tensor, const NetworkCase& c) {
  return tensor == "a.bias" || (c.objective != FCDD_OBJECTIVE_CLASSIFY && tensor == "b.bias") ||
         (c.objective == FCDD_OBJECTIVE_AE && (tensor == "c.bias" || tensor == "d.bias"));
}

}  // namespace

TEST(baseline_network_gradients) {
  for (const NetworkCase& c : network_cases()) {
    Network network(open_device(), c.layers, kInput);
    network.initialise(5);
    Trainer trainer(network, options_of(c.objective));
    const Batch batch = batch_of(c.objective);
    trainer.gradients(batch);
    const auto gradients = trainer.last_gradients();
    for (const auto& [name, gradient] : gradients) {
      const std::vector<double> values = network.get(name);
      const Scalar loss = [&](const std::vector<double>& v) {
        network.set(name, v);
        return trainer.gradients(batch).loss;
      };
      const std::vector<double> differences = finite_differences(loss, values);
      network.set(name, values);
      if (held(name, c)) {
        for (const double g : gradient) CHECK(g == 0);
        continue;
      }
      const double distance = relative_l2(gradient, differences);
      if (distance >= tolerance::finiteDifference)
        fail(__FILE__, __LINE__, c.label + ": " + name + " differs by " + std::to_string(distance));
    }
  }
}

// The map of HSC and DSVDD is the sum over channels of |d score / d x|; that of AE has the score as its mean.
TEST(baseline_heatmaps) {
  for (const NetworkCase& c : network_cases()) {
    if (c.objective == FCDD_OBJECTIVE_CLASSIFY) continue;
    Network network(open_device(), c.layers, kInput);
    network.initialise(6);
    const InferOptions options = infer_options(c.objective);
    const std::vector<double> x = random_batch(kInput, 1, 23).pixels;
    const InferResult result = network.infer(x, 1, options);
    CHECK(result.maps.size() == 64 && result.blurred.size() == 64);
    std::vector<double> expected(64);
    if (c.objective == FCDD_OBJECTIVE_AE) {
      double sum = 0;
      for (size_t i = 0; i < x.size(); i++) {
        const double difference = x[i] - static_cast<double>(result.outputs[i]);
        expected[i / 2] += difference * difference / 2;
        sum += difference * difference;
      }
      CHECK_LESS(std::abs(result.scores[0] / (sum / 128) - 1), 1e-6);
    } else {
      InferOptions scores = options;
      scores.maps = scores.outputs = false;
      const Scalar score = [&](const std::vector<double>& v) {
        return network.infer(v, 1, scores).scores[0];
      };
      const std::vector<double> differences = finite_differences(score, x);
      for (size_t i = 0; i < x.size(); i++) expected[i / 2] += std::abs(differences[i]);
      CHECK_LESS(std::abs(result.scores[0] / score(x) - 1), 1e-9);
    }
    CHECK_LESS(relative_l2(result.maps, expected), 1e-6);  // maps are float32
  }
}

TEST(baseline_networks_on_cpu) {
  for (const NetworkCase& c : network_cases()) {
    std::vector<std::map<std::string, std::vector<double>>> gradients;
    std::vector<InferResult> results;
    for (const auto& [name, threads] :
         {std::pair{"reference", 1}, std::pair{"cpu", 1}, std::pair{"cpu", 3}}) {
      Network network(open_device(name, threads), c.layers, kInput);
      network.initialise(5);
      Trainer trainer(network, options_of(c.objective));
      trainer.gradients(batch_of(c.objective));
      gradients.push_back(trainer.last_gradients());
      results.push_back(network.infer(batch_of(c.objective).pixels, 4, infer_options(c.objective)));
      InferOptions alone = infer_options(c.objective);
      std::vector<double> first = batch_of(c.objective).pixels;
      first.resize(128);
      CHECK(network.infer(first, 1, alone).scores[0] == results.back().scores[0]);
    }
    CHECK(gradients[1] == gradients[2]);
    CHECK(results[1].scores == results[2].scores && results[1].maps == results[2].maps);
    for (const auto& [name, truth] : gradients[0]) {
      if (!held(name, c))
        CHECK_LESS(relative_l2(gradients[1].at(name), truth), tolerance::networkGradientsFloat32);
    }
    CHECK_LESS(relative_l2(results[1].outputs, results[0].outputs), tolerance::opFloat32);
    if (c.objective == FCDD_OBJECTIVE_CLASSIFY) continue;
    CHECK_LESS(relative_l2(results[1].scores, results[0].scores), tolerance::opFloat32);
    CHECK_LESS(relative_l2(results[1].maps, results[0].maps), tolerance::opFloat32);
    CHECK_LESS(relative_l2(results[1].blurred, results[0].blurred), tolerance::opFloat32);
  }
}

// Kept activations, a tight memory budget and a smaller last batch change no bits.
TEST(baseline_plans_change_no_bits) {
  for (const NetworkCase& c : network_cases()) {
    std::vector<std::vector<double>> ends;
    for (const bool keep : {false, true}) {
      Network network(open_device("cpu"), c.layers, kInput);
      network.initialise(5);
      Trainer trainer(network, options_of(c.objective, keep));
      Batch batch = batch_of(c.objective);
      trainer.step(batch, 0.01);
      batch.count = 3;
      batch.pixels.resize(3 * 128);
      batch.labels.resize(3);
      trainer.step(batch, 0.01);
      ends.push_back(all_tensors(network));
    }
    CHECK(ends[0] == ends[1]);
  }
}

TEST(baseline_outputs_refused) {
  const auto refused = [](const std::vector<Layer>& layers, int32_t objective) {
    try {
      Network network(open_device(), layers, kInput);
      TrainerOptions options = options_of(objective);
      options.centre.clear();
      Trainer trainer(network, options);
    } catch (const Error& error) {
      return error.code == "FCDD_INVALID_ARGUMENT";
    }
    return false;
  };
  CHECK(refused(encoder(), FCDD_OBJECTIVE_FCDD));
  CHECK(refused(encoder(), FCDD_OBJECTIVE_AE));
  CHECK(refused(encoder(), FCDD_OBJECTIVE_DSVDD));  // no centre
  CHECK(refused(autoencoder(), FCDD_OBJECTIVE_CLASSIFY));
  CHECK(refused({conv("a", 3, 3, 1), shape_layer(LayerKind::Reshape, 5, 5, 5)}, FCDD_OBJECTIVE_HSC));
  Layer drop = shape_layer(LayerKind::Dropout);
  drop.probability = 1;
  CHECK(refused({conv("a", 3, 3, 1), drop}, FCDD_OBJECTIVE_HSC));
}

}  // namespace fcdd::test
