#include "engine_networks.h"
#include "test_seed.h"

#include <random>

namespace fcdd::test {

Layer conv(const std::string& name, int filters, int kernel, int padding, int stride, bool bias) {
  Layer layer{.kind = LayerKind::Conv, .name = name};
  layer.filters = filters;
  layer.kernel = kernel;
  layer.stride = stride;
  layer.padding = padding;
  layer.bias = bias;
  return layer;
}

Layer norm(const std::string& name, double eps) {
  Layer layer{.kind = LayerKind::BatchNorm, .name = name};
  layer.eps = eps;
  return layer;
}

Layer lrelu(double slope) {
  Layer layer{.kind = LayerKind::Activation, .name = ""};
  layer.slope = slope;
  return layer;
}

Layer pool(int kernel, int stride, int padding) {
  Layer layer{.kind = LayerKind::MaxPool, .name = ""};
  layer.kernel = kernel;
  layer.stride = stride;
  layer.padding = padding;
  return layer;
}

std::vector<Layer> freeze(std::vector<Layer> layers, size_t count) {
  for (size_t i = 0; i < count; i++) layers[i].frozen = true;
  return layers;
}

namespace {

// One row of an architecture's table: a convolution and what follows it.
struct Block {
  int kernel, filters;
  bool norm;
  Layer pool;  // kernel 0: none
};

std::vector<Layer> network_of(const std::vector<Block>& blocks, double slope, int thin) {
  std::vector<Layer> layers;
  for (size_t i = 0; i < blocks.size(); i++) {
    const std::string number = std::to_string(i + 1);
    layers.push_back(
        conv("conv" + number, std::max(1, blocks[i].filters / thin), blocks[i].kernel, blocks[i].kernel / 2));
    if (blocks[i].norm) layers.push_back(norm("bn" + number));
    if (blocks[i].norm) layers.push_back(lrelu(slope));
    if (blocks[i].pool.kernel > 0) layers.push_back(blocks[i].pool);
  }
  layers.push_back(conv("head", 1, 1, 0));
  return layers;
}

}  // namespace

std::vector<Layer> architecture(const std::string& name, int thin) {
  const Layer none = pool(0), two = pool(2), three = pool(3, 2, 1);
  if (name == "cnn28") return network_of({{5, 8, true, two}, {5, 16, false, two}}, 0.01, thin);
  if (name == "cnn32")
    return network_of({{5, 32, true, two}, {5, 64, true, two}, {5, 128, false, none}}, 0.01, thin);
  if (name == "cnn32-s")
    return network_of({{3, 32, true, two}, {3, 64, true, two}, {3, 128, false, none}}, 0.01, thin);
  if (name == "cnn32-lw3k") {
    return network_of({{3, 128, true, two}, {3, 256, true, none}, {3, 256, true, two}, {3, 128, false, none}},
                      0.01, thin);
  }
  if (name == "cnn224") {
    return network_of({{5, 8, true, three},
                       {5, 32, true, three},
                       {3, 64, true, none},
                       {3, 128, true, three},
                       {3, 128, false, none}},
                      0.01, thin);
  }
  if (name == "vgg11") {
    return network_of({{3, 64, true, two},
                       {3, 128, true, two},
                       {3, 256, true, none},
                       {3, 256, true, two},
                       {3, 512, true, none},
                       {3, 512, true, none}},
                      0, thin);
  }
  throw Error("FCDD_INVALID_ARGUMENT", "no architecture '" + name + "' in these tests");
}

std::vector<Layer> mixed_network() {
  return {conv("a", 3, 3, 1),
          norm("a_bn"),
          lrelu(),
          pool(3, 2, 1),
          conv("b", 4, 3, 0),
          conv("c", 3, 1, 0, 2),
          pool(2, 1, 1),
          conv("d", 4, 3, 1, 1, false),
          norm("d_bn"),
          lrelu(0),
          conv("head", 1, 1, 0)};
}

std::shared_ptr<Device> open_device(const std::string& name, int threads) {
  return Device::open(name,
                      {.threads = threads, .isa = nullptr, .index = 0, .precision = FCDD_PRECISION_DEFAULT});
}

Batch random_batch(InputShape input, int count, uint32_t seed) {
  std::mt19937 random(test_seed(seed));
  std::normal_distribution<double> normal;
  const size_t area = static_cast<size_t>(input.height) * static_cast<size_t>(input.width);
  Batch batch{count, {}, {}, {}};
  batch.pixels.resize(static_cast<size_t>(count) * area * static_cast<size_t>(input.channels));
  for (double& v : batch.pixels) v = static_cast<float>(normal(random));
  for (int i = 0; i < count; i++) {
    batch.labels.push_back(i % 2);
    for (size_t j = 0; j < area; j++) batch.masks.push_back(i % 2 == 1 && j % 2 == 0);
  }
  return batch;
}

std::vector<double> all_tensors(const Network& network) {
  std::vector<double> all;
  for (const TensorInfo& tensor : network.tensors()) {
    const std::vector<double> values = network.get(tensor.name);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

}  // namespace fcdd::test
