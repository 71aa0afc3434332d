// Initial values as PyTorch's defaults: weights and biases of a convolution uniform in +-1/sqrt(fan_in);
// batch normalisation starts as the identity (gamma 1, beta 0, running mean 0, running variance 1).
//
// Draws are Philox words keyed by (seed, tensor, element), rounded to float32, so that a network starts with
// the same values on every device.
#include <cmath>

#include "engine/network_impl.h"
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

}  // namespace

void Network::initialise(uint64_t seed) {
  const auto constant = [&](int tensor, double value) {
    if (tensor >= 0) set(tensors()[tensor].name, std::vector<double>(impl_->elements(tensor), value));
  };
  for (size_t i = 0; i < layers().size(); i++) {
    const TensorTable::OfLayer& of = impl_->tensors.of_layer[i];
    if (layers()[i].kind == LayerKind::Conv) {
      const double fan_in = static_cast<double>(impl_->elements(of.weight)) / layers()[i].filters;
      for (const int tensor : {of.weight, of.bias}) {
        if (tensor < 0) continue;
        set(tensors()[tensor].name, uniform(seed, tensor, impl_->elements(tensor), 1 / std::sqrt(fan_in)));
      }
    } else if (layers()[i].kind == LayerKind::BatchNorm) {
      constant(of.weight, 1);
      constant(of.bias, 0);
      constant(of.mean, 0);
      constant(of.var, 1);
    }
  }
}

}  // namespace fcdd
