// Inference: folding equals the plain sequence, bits per image do not depend on the batch, weights are never
// stale.
#include "check.h"
#include "cpu_harness.h"
#include "engine_networks.h"
#include "tolerances.h"

namespace fcdd::test {
namespace {

constexpr InputShape kInput{2, 11, 9};
constexpr size_t kPixels = 11 * 9 * 2;

// A network whose running statistics are not the initial ones.
std::unique_ptr<Network> trained(const std::string& device) {
  auto network = std::make_unique<Network>(open_device(device, 2), mixed_network(), kInput);
  network->initialise(3);
  Trainer trainer(*network, {.batch = 6});
  for (uint32_t i = 0; i < 3; i++) trainer.step(random_batch(kInput, 6, i), 0.05);
  return network;
}

}  // namespace

// The first block by hand: convolution, running statistics, leaky ReLU, on `reference`.
TEST(engine_infer_folds_batch_norm) {
  const std::vector<Layer> layers{conv("a", 1, 1, 0), norm("n", 0.5), lrelu(0.25)};
  Network network(open_device(), layers, {1, 1, 2});
  network.set("a.weight", {2});
  network.set("a.bias", {1});
  network.set("n.weight", {3});
  network.set("n.bias", {-1});
  network.set("n.running_mean", {0.5});
  network.set("n.running_var", {3.5});
  const InferResult result = network.infer(std::vector<double>{1, -2}, 1, {.low = true});
  // z = leaky((2x + 1 - 0.5) * 3 / sqrt(3.5 + 0.5) - 1)
  const double z[] = {2.5 * 1.5 - 1, 0.25 * (-3.5 * 1.5 - 1)};
  for (int i = 0; i < 2; i++) CHECK_LESS(std::abs(result.low[i] - (std::sqrt(z[i] * z[i] + 1) - 1)), 1e-6);
  CHECK_LESS(std::abs(result.scores[0] - (std::hypot(z[0], 1) + std::hypot(z[1], 1) - 2) / 2), 1e-14);
}

TEST(engine_infer_bits_per_image) {
  for (const char* device : {"reference", "cpu"}) {
    const auto network = trained(device);
    const int count = 150;  // more than one chunk
    const Batch batch = random_batch(kInput, count, 77);
    const InferOptions options{.sigma = 2, .low = true, .maps = true};
    const InferResult all = network->infer(batch.pixels, count, options);
    CHECK(all.scores.size() == 150 && all.low.size() == 150 * 9 && all.maps.size() == 150 * 99);
    for (const int i : {0, 63, 64, 149}) {
      const std::vector<double> image(batch.pixels.begin() + i * kPixels,
                                      batch.pixels.begin() + (i + 1) * kPixels);
      const InferResult one = network->infer(image, 1, options);
      CHECK(one.scores[0] == all.scores[i]);
      CHECK(std::equal(one.maps.begin(), one.maps.end(), all.maps.begin() + i * 99));
    }
  }
}

TEST(engine_infer_follows_the_weights) {
  for (const char* device : {"reference", "cpu"}) {
    const auto network = trained(device);
    const Batch batch = random_batch(kInput, 2, 5);
    const auto before = network->infer(batch.pixels, 2, {}).scores;
    CHECK(network->infer(batch.pixels, 2, {}).scores == before);
    Trainer trainer(*network, {.batch = 2});
    trainer.step(batch, 0.05);
    const auto after = network->infer(batch.pixels, 2, {}).scores;
    CHECK(after != before);
    network->set("d_bn.running_var", {1, 2, 3, 4});
    CHECK(network->infer(batch.pixels, 2, {}).scores != after);
  }
}

TEST(engine_infer_cpu_equals_reference) {
  const auto truth = trained("reference");
  Network network(open_device("cpu", 2), mixed_network(), kInput);
  for (const TensorInfo& tensor : truth->tensors()) network.set(tensor.name, truth->get(tensor.name));
  const Batch batch = random_batch(kInput, 5, 6);
  const InferOptions options{.maps = true};
  const InferResult a = network.infer(batch.pixels, 5, options), b = truth->infer(batch.pixels, 5, options);
  CHECK_LESS(relative_l2(a.scores, b.scores), tolerance::opFloat32);
  CHECK_LESS(relative_l2(a.maps, b.maps), tolerance::opFloat32);
}

TEST(engine_infer_refuses_wrong_input) {
  const auto network = trained("reference");
  const auto fails = [&](const std::vector<double>& pixels, int count, const InferOptions& options) {
    try {
      network->infer(pixels, count, options);
      fail(__FILE__, __LINE__, "no error");
    } catch (const Error& error) {
      CHECK(error.code == "FCDD_INVALID_ARGUMENT");
    }
  };
  fails(std::vector<double>(kPixels - 1), 1, {});
  fails(std::vector<double>(kPixels), 1, {.sigma = -1});
  fails(std::vector<double>(kPixels), 1, {.sigma = NAN});
  CHECK(network->infer(std::vector<double>{}, 0, {}).scores.empty());
}

TEST(engine_initialise_as_pytorch) {
  Network network(open_device(), architecture("cnn28"), {1, 28, 28}),
      other(open_device("cpu"), architecture("cnn28"), {1, 28, 28});
  network.initialise(12);
  other.initialise(12);
  CHECK(all_tensors(network) == all_tensors(other));
  const auto weights = network.get("conv2.weight");  // fan_in 8 * 25
  double sum = 0, squares = 0, largest = 0;
  for (const double w : weights) {
    sum += w;
    squares += w * w;
    largest = std::max(largest, std::abs(w));
  }
  const double bound = 1 / std::sqrt(200.0), n = static_cast<double>(weights.size());
  CHECK_LESS(largest, bound);
  CHECK_LESS(0.99 * bound, largest);
  CHECK_LESS(std::abs(sum / n), 4 * bound / std::sqrt(3 * n));
  CHECK_LESS(std::abs(squares / n - bound * bound / 3), 0.05 * bound * bound);
  CHECK(network.get("bn1.weight") == std::vector<double>(8, 1) &&
        network.get("bn1.running_var") == std::vector<double>(8, 1));
  CHECK(network.get("bn1.bias") == std::vector<double>(8, 0) &&
        network.get("bn1.running_mean") == std::vector<double>(8, 0));
  network.initialise(13);
  CHECK(network.get("conv2.weight") != weights);
}

}  // namespace fcdd::test
