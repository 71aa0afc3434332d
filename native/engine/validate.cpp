// Checks of a layer list before anything is computed from it. Every error names the layer and says what was
// expected.
#include <cmath>
#include <set>

#include "engine/lower.h"
#include "fcdd/dropout.h"

namespace fcdd {
namespace {

constexpr int kLargestSetting = 4096;      // kernel or padding of a convolution
constexpr int kLargestChannels = 1 << 20;  // channels or filters
constexpr int kLargestPool = 16;           // a window's winner is kept in one byte
constexpr int kLargestInput = 1 << 15;     // height or width of the input

using Layers = std::vector<Layer>;

// Throws unless `ok`: "layer 3 (conv 'conv2') needs <expected>, got <received>".
void require(bool ok, const Layers& layers, size_t index, const std::string& expected, double received) {
  if (ok) return;
  std::string text = std::to_string(received);
  if (received == std::floor(received)) text = text.substr(0, text.find('.'));
  throw Error("FCDD_INVALID_ARGUMENT", layer_text(layers, index) + " needs " + expected + ", got " + text);
}

[[noreturn]] void refuse(const Layers& layers, size_t index, const std::string& why) {
  throw Error("FCDD_INVALID_ARGUMENT", layer_text(layers, index) + " " + why);
}

void check_conv(const Layers& layers, size_t i, int channels) {
  const Layer& layer = layers[i];
  require(layer.filters >= 1 && layer.filters <= kLargestChannels, layers, i, "between 1 and 1048576 filters",
          layer.filters);
  require(layer.kernel >= 1 && layer.kernel <= kLargestSetting, layers, i, "a kernel between 1 and 4096",
          layer.kernel);
  require(layer.stride == 1 || layer.stride == 2, layers, i, "a stride of 1 or 2", layer.stride);
  require(layer.padding >= 0 && layer.padding <= kLargestSetting, layers, i, "a padding between 0 and 4096",
          layer.padding);
  const double weights = static_cast<double>(layer.filters) * channels * layer.kernel * layer.kernel;
  require(weights < 2147483648.0, layers, i, "fewer than 2^31 weights", weights);
}

void check_norm(const Layers& layers, size_t i) {
  const Layer& layer = layers[i];
  if (i == 0 || layers[i - 1].kind != LayerKind::Conv) {
    refuse(layers, i, "must directly follow a convolution: put it before the activation and the pooling");
  }
  require(layer.eps > 0 && std::isfinite(layer.eps), layers, i, "a positive eps", layer.eps);
  require(layer.momentum >= 0 && layer.momentum <= 1, layers, i, "a momentum between 0 and 1",
          layer.momentum);
}

void check_pool(const Layers& layers, size_t i) {
  const Layer& layer = layers[i];
  require(layer.kernel >= 1 && layer.kernel <= kLargestPool, layers, i, "a window between 1 and 16",
          layer.kernel);
  require(layer.stride >= 1 && layer.stride <= kLargestSetting, layers, i, "a stride between 1 and 4096",
          layer.stride);
  require(layer.padding >= 0 && 2 * layer.padding <= layer.kernel, layers, i,
          "a padding of at most half its window of " + std::to_string(layer.kernel), layer.padding);
}

// The extents that a reshape or an average pooling gives its result.
void check_result(const Layers& layers, size_t i) {
  const Layer& layer = layers[i];
  require(layer.height >= 1 && layer.height <= kLargestInput, layers, i, "a height from 1 to 32768",
          layer.height);
  require(layer.width >= 1 && layer.width <= kLargestInput, layers, i, "a width from 1 to 32768",
          layer.width);
  if (layer.kind == LayerKind::AveragePool) return;
  require(layer.channels >= 1 && layer.channels <= kLargestChannels, layers, i,
          "between 1 and 1048576 channels", layer.channels);
}

void check_dropout(const Layers& layers, size_t i, int before) {
  require(layers[i].probability >= 0 && layers[i].probability < 1, layers, i,
          "a probability from 0 to below 1", layers[i].probability);
  if (before >= kDropoutLayers) refuse(layers, i, "is one dropout too many: at most 64 are possible");
}

void check_names(const Layers& layers) {
  std::set<std::string> seen;
  for (size_t i = 0; i < layers.size(); i++) {
    const bool has_tensors = layers[i].kind == LayerKind::Conv || layers[i].kind == LayerKind::BatchNorm;
    if (has_tensors && layers[i].name.empty())
      refuse(layers, i, "needs a name: it is the prefix of its tensors");
    if (!layers[i].name.empty() && !seen.insert(layers[i].name).second) {
      refuse(layers, i, "has the name of another layer: names must be unique");
    }
  }
}

// Only layers with parameters count: whether an activation is frozen means nothing.
void check_frozen_prefix(const Layers& layers) {
  size_t first_free = layers.size();
  for (size_t i = 0; i < layers.size(); i++) {
    if (layers[i].kind != LayerKind::Conv && layers[i].kind != LayerKind::BatchNorm) continue;
    if (!layers[i].frozen && first_free == layers.size()) first_free = i;
    if (layers[i].frozen && first_free < i) {
      refuse(layers, i,
             "is frozen but " + layer_text(layers, first_free) +
                 " before it is not: frozen layers must come first");
    }
  }
}

}  // namespace

void validate(const Layers& layers, InputShape input) {
  if (layers.empty())
    throw Error("FCDD_INVALID_ARGUMENT", "a network needs at least one layer, got an empty list");
  const bool fits = input.channels >= 1 && input.height >= 1 && input.width >= 1 &&
                    input.channels <= kLargestChannels && input.height <= kLargestInput &&
                    input.width <= kLargestInput;
  if (!fits) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "the input needs channels, height and width from 1 to 32768 pixels, got " +
                    std::to_string(input.channels) + " channels of " + std::to_string(input.height) + "x" +
                    std::to_string(input.width));
  }
  int channels = input.channels, dropouts = 0;
  for (size_t i = 0; i < layers.size(); i++) {
    switch (layers[i].kind) {
      case LayerKind::Conv:
        check_conv(layers, i, channels);
        channels = layers[i].filters;
        break;
      case LayerKind::BatchNorm:
        check_norm(layers, i);
        break;
      case LayerKind::Activation:
        require(std::isfinite(layers[i].slope), layers, i, "a finite slope", layers[i].slope);
        break;
      case LayerKind::MaxPool:
        check_pool(layers, i);
        break;
      case LayerKind::Reshape:
        channels = layers[i].channels;
        check_result(layers, i);
        break;
      case LayerKind::AveragePool:
        check_result(layers, i);
        break;
      case LayerKind::Dropout:
        check_dropout(layers, i, dropouts++);
        break;
      case LayerKind::Nearest:
      case LayerKind::Sigmoid:
        break;
    }
  }
  check_names(layers);
  check_frozen_prefix(layers);
}

}  // namespace fcdd
