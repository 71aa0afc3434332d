// Layers -> steps. A convolution is a step; a run of [batch norm] [activation] [pooling] in this order is one
// step; the layers of the baselines are a step each. For inference the convolution takes in the batch norm
// (folded into its weights) and the activation.
#include "engine/lower.h"

namespace fcdd {
namespace {

class Lowering {
 public:
  Lowering(const std::vector<Layer>& layers, InputShape input, Mode mode)
      : layers_(layers),
        shapes_(output_shapes(layers, input)),
        tensors_(tensor_table(layers, input)),
        mode_(mode) {
    program_.values.push_back({input.channels, input.height, input.width});
    program_.names.push_back("input");
  }

  Program run() {
    while (next_ < layers_.size()) {
      switch (layers_[next_].kind) {
        case LayerKind::Conv:
          conv();
          break;
        case LayerKind::BatchNorm:
        case LayerKind::Activation:
        case LayerKind::MaxPool:
          post();
          break;
        default:
          shape();
      }
    }
    return program_;
  }

 private:
  // The next layer when it is of this kind.
  const Layer* peek(LayerKind kind) const {
    return next_ < layers_.size() && layers_[next_].kind == kind ? &layers_[next_] : nullptr;
  }

  NormTensors norm_tensors(size_t layer) const {
    const TensorTable::OfLayer& t = tensors_.of_layer[layer];
    return {t.weight, t.bias, t.mean, t.var};
  }

  void conv() {
    const Layer& layer = layers_[next_];
    const TensorTable::OfLayer& tensors = tensors_.of_layer[next_];
    const Shape in = program_.values.back();
    ConvStep step;
    step.p = {0, in.height, in.width, in.channels, layer.filters, layer.kernel, layer.stride, layer.padding};
    step.weight = tensors.weight;
    step.bias = tensors.bias;
    step.trainable = !layer.frozen;
    next_++;
    const Layer* norm = peek(LayerKind::BatchNorm);
    step.normalised = norm != nullptr;
    if (mode_ != Mode::Training) absorb(step, norm);
    finish(step);
  }

  // Takes the batch norm and the activation that follow into an inference convolution.
  void absorb(ConvStep& step, const Layer* norm) {
    if (norm != nullptr) {
      step.norm = norm_tensors(next_++);
      step.eps = norm->eps;
    }
    const Layer* activation = peek(LayerKind::Activation);
    if (activation == nullptr || mode_ == Mode::Differentiable) return;
    step.activation = FCDD_ACT_LEAKY;
    step.slope = activation->slope;
    next_++;
  }

  void post() {
    const Shape in = program_.values.back();
    PostStep step;
    step.p.height = in.height;
    step.p.width = in.width;
    step.p.channels = in.channels;
    if (const Layer* norm = peek(LayerKind::BatchNorm)) {
      step.p.norm = FCDD_NORM_BATCH;
      step.p.eps = norm->eps;
      step.p.momentum = norm->momentum;
      step.norm = norm_tensors(next_++);
      step.trainable = norm->affine && !norm->frozen;
    }
    if (const Layer* activation = peek(LayerKind::Activation)) {
      step.p.activation = FCDD_ACT_LEAKY;
      step.p.slope = activation->slope;
      next_++;
    }
    if (const Layer* pool = peek(LayerKind::MaxPool)) {
      step.p.pool = {pool->kernel, pool->stride, pool->padding};
      next_++;
    }
    finish(step);
  }

  void shape() {
    const Layer& layer = layers_[next_];
    const Shape in = program_.values.back(), out = shapes_[next_++];
    if (layer.kind == LayerKind::Dropout && mode_ != Mode::Training) return;
    ShapeStep step;
    step.kind = layer.kind;
    step.p = {0, in.height, in.width, in.channels, out.height, out.width, out.channels};
    step.probability = layer.probability;
    if (layer.kind == LayerKind::Dropout) step.ordinal = dropouts_++;
    finish(step);
  }

  void finish(const Step& step) {
    const Layer& last = layers_[next_ - 1];
    program_.steps.push_back(step);
    program_.values.push_back(shapes_[next_ - 1]);
    program_.names.push_back(last.name.empty() ? "layer" + std::to_string(next_ - 1) : last.name);
  }

  const std::vector<Layer>& layers_;
  const std::vector<Shape> shapes_;
  const TensorTable tensors_;
  const Mode mode_;
  Program program_;
  size_t next_ = 0;
  int dropouts_ = 0;
};

}  // namespace

TensorTable tensor_table(const std::vector<Layer>& layers, InputShape input) {
  validate(layers, input);
  TensorTable table;
  table.of_layer.resize(layers.size());
  int64_t channels = input.channels;
  for (size_t i = 0; i < layers.size(); i++) {
    const Layer& layer = layers[i];
    TensorTable::OfLayer& of = table.of_layer[i];
    const auto add = [&](const char* suffix, std::vector<int64_t> shape, bool trainable) {
      table.infos.push_back({layer.name + suffix, std::move(shape), trainable});
      return static_cast<int>(table.infos.size()) - 1;
    };
    if (layer.kind == LayerKind::Conv) {
      of.weight = add(".weight", {layer.filters, channels, layer.kernel, layer.kernel}, !layer.frozen);
      channels = layer.filters;
      if (layer.bias) of.bias = add(".bias", {channels}, !layer.frozen);
    } else if (layer.kind == LayerKind::BatchNorm) {
      if (layer.affine) of.weight = add(".weight", {channels}, !layer.frozen);
      if (layer.affine) of.bias = add(".bias", {channels}, !layer.frozen);
      of.mean = add(".running_mean", {channels}, false);
      of.var = add(".running_var", {channels}, false);
    } else if (layer.kind == LayerKind::Reshape) {
      channels = layer.channels;
    }
  }
  return table;
}

Program lower(const std::vector<Layer>& layers, InputShape input, Mode mode) {
  return Lowering(layers, input, mode).run();
}

size_t first_trained(const Program& program) {
  size_t i = 0;
  while (i < program.steps.size() && !std::visit([](const auto& s) { return s.trainable; }, program.steps[i]))
    i++;
  return i;
}

}  // namespace fcdd
