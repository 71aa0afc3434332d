// Initial values as PyTorch's defaults unless a layer says otherwise (layers.h): weights and biases of a
// convolution uniform in +-1/sqrt(fan_in);
// batch normalisation starts as the identity (gamma 1, beta 0, running mean 0, running variance 1).
//
// Draws are Philox words keyed by (seed, tensor, element), rounded to float32, so that a network starts with
// the same values on every device.
#include <cmath>

#include "engine/network_impl.h"
#include "fcdd/normal.h"
#include "fcdd/rng.h"

namespace fcdd {
namespace {

std::vector<double> uniform(uint64_t seed, int tensor, uint64_t count, double bound) {
  const Draws draws(seed, Purpose::Initialise, static_cast<uint32_t>(tensor), 0);
  std::vector<double> values(count);
  for (uint64_t i = 0; i < count; i++) {
    values[i] = static_cast<float>((2 * unit_from_bits(draws.word(i)) - 1) * bound);
  }
  return values;
}

std::vector<double> normal(uint64_t seed, int tensor, uint64_t count, double deviation) {
  const Draws draws(seed, Purpose::Initialise, static_cast<uint32_t>(tensor), 0);
  std::vector<double> values(count);
  for (uint64_t i = 0; i < count; i++) {
    values[i] = static_cast<float>(static_cast<double>(normal_from_bits(draws.word(i))) * deviation);
  }
  return values;
}

std::vector<double> weights_of(const Layer& layer, uint64_t seed, int tensor, uint64_t count) {
  const double taps = static_cast<double>(layer.kernel) * layer.kernel;
  const double fan_in = static_cast<double>(count) / layer.filters, fan_out = layer.filters * taps;
  switch (layer.init) {
    case Init::Xavier:  // gain of torch.nn.init.calculate_gain('leaky_relu'): slope 0.01
      return uniform(seed, tensor, count,
                     std::sqrt(2 / (1 + 0.01 * 0.01)) * std::sqrt(6 / (fan_in + fan_out)));
    case Init::Kaiming:
      return normal(seed, tensor, count, std::sqrt(2 / fan_out));
    case Init::SmallNormal:
      return normal(seed, tensor, count, 0.01);
    default:
      // PyTorch keeps a transposed convolution's weights the other way round, and so takes the other fan.
      return uniform(seed, tensor, count, 1 / std::sqrt(layer.transposed ? fan_out : fan_in));
  }
}

std::vector<double> biases_of(const Layer& layer, uint64_t seed, int tensor, double fan_in) {
  const uint64_t count = static_cast<uint64_t>(layer.filters);
  if (layer.init == Init::Kaiming || layer.init == Init::SmallNormal) return std::vector<double>(count, 0);
  const double fan_out = static_cast<double>(layer.filters) * layer.kernel * layer.kernel;
  return uniform(seed, tensor, count, 1 / std::sqrt(layer.transposed ? fan_out : fan_in));
}

}  // namespace

void Network::initialise(uint64_t seed) {
  const auto constant = [&](int tensor, double value) {
    if (tensor >= 0) set(tensors()[tensor].name, std::vector<double>(impl_->elements(tensor), value));
  };
  for (size_t i = 0; i < layers().size(); i++) {
    const TensorTable::OfLayer& of = impl_->tensors.of_layer[i];
    if (layers()[i].kind == LayerKind::Conv) {
      const double fan_in = static_cast<double>(impl_->elements(of.weight)) / layers()[i].filters;
      set(tensors()[of.weight].name, weights_of(layers()[i], seed, of.weight, impl_->elements(of.weight)));
      if (of.bias >= 0) set(tensors()[of.bias].name, biases_of(layers()[i], seed, of.bias, fan_in));
    } else if (layers()[i].kind == LayerKind::BatchNorm) {
      constant(of.weight, 1);
      constant(of.bias, 0);
      constant(of.mean, 0);
      constant(of.var, 1);
    }
  }
}

}  // namespace fcdd
