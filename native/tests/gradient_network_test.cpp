// Gradients of whole small networks against finite differences of the loss, on `reference`.
#include "engine_networks.h"
#include "gradient_check.h"

namespace fcdd::test {
namespace {

void check_network(const std::string& label, const std::vector<Layer>& layers, InputShape input,
                   bool pixelwise) {
  Network network(open_device(), layers, input);
  network.initialise(5);
  Trainer trainer(network, {.batch = 4, .pixelwise = pixelwise, .sigma = 1.2});
  const Batch batch = random_batch(input, 4, 9);
  trainer.gradients(batch);
  const auto gradients = trainer.last_gradients();
  for (const TensorInfo& tensor : network.tensors()) {
    CHECK(tensor.trainable == (gradients.count(tensor.name) == 1));
    if (!tensor.trainable) continue;
    const std::vector<double> values = network.get(tensor.name);
    const Scalar loss = [&](const std::vector<double>& v) {
      network.set(tensor.name, v);
      return trainer.gradients(batch).loss;
    };
    const std::vector<double> differences = finite_differences(loss, values);
    network.set(tensor.name, values);
    if (tensor.name == "a.bias" || tensor.name == "conv1.bias") {  // directly before a batch norm: exactly 0
      for (const double g : gradients.at(tensor.name)) CHECK(g == 0);
      for (const double d : differences) CHECK_LESS(std::abs(d), 1e-9);
      continue;
    }
    const double distance = relative_l2(gradients.at(tensor.name), differences);
    if (distance < tolerance::finiteDifference) continue;
    fail(__FILE__, __LINE__, label + ": " + tensor.name + " differs by " + std::to_string(distance));
  }
}

}  // namespace

TEST(gradient_network_mixed) {
  check_network("mixed", mixed_network(), {2, 11, 9}, false);
  check_network("mixed pixelwise", mixed_network(), {2, 11, 9}, true);
}

TEST(gradient_network_cnn28) {
  check_network("cnn28", architecture("cnn28", 4), {1, 10, 8}, false);
}

TEST(gradient_network_frozen_prefix) {
  // Up to the first pooling, and up to the convolution before a batch norm that learns.
  check_network("frozen block", freeze(mixed_network(), 4), {2, 11, 9}, false);
  check_network("frozen conv", freeze(mixed_network(), 1), {2, 11, 9}, true);
  check_network("frozen to d", freeze(mixed_network(), 8), {2, 11, 9}, false);
}

TEST(gradient_network_starts_with_post) {
  std::vector<Layer> layers = mixed_network();
  layers.insert(layers.begin(), {lrelu(0.5), pool(2, 1, 0)});
  check_network("post first", layers, {2, 12, 10}, false);
}

// Weights without an affine normalisation, as with the option that switches all biases off.
TEST(gradient_network_without_bias) {
  std::vector<Layer> layers = architecture("cnn28", 4);
  for (Layer& layer : layers) layer.bias = layer.affine = false;
  check_network("no bias", layers, {1, 8, 8}, false);
}

}  // namespace fcdd::test
