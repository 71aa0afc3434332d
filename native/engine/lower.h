// A list of layers lowered to the steps that a device runs: convolutions alternating with what follows them.
//
// Guarantees: step i reads value i and writes value i+1; every layer belongs to exactly one step; the steps
// of training and of inference compute the same function (up to the statistics of batch normalisation).
// Lowering validates the list: every error names the layer. Problems carry batch 0: the caller sets it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "fcdd/layers.h"
#include "fcdd/network.h"
#include "fcdd/problems.h"

namespace fcdd {

// Indices into the list of tensors; -1: there is none.
struct NormTensors {
  int gamma = -1, beta = -1, mean = -1, var = -1;
};

struct ConvStep {
  FcddConvProblem p{};
  int weight = -1, bias = -1;
  bool trainable = false;
  // A batch normalisation follows. In training the step then writes the sums of its output, and the bias has
  // gradient 0 (the normalisation subtracts whatever it adds); in inference the normalisation is folded in.
  bool normalised = false;
  NormTensors norm;  // inference only
  double eps = 0;    // inference only
  int32_t activation = FCDD_ACT_NONE;
  double slope = 0;
  bool pooled = false;  // inference only: a max pooling (2, 2, 0) is part of the step
};

struct PostStep {
  FcddPostProblem p{};
  NormTensors norm;
  bool trainable = false;
};

// A layer that the table has a step of its own for: reshape, nearest, average_pool, sigmoid, dropout.
struct ShapeStep {
  LayerKind kind = LayerKind::Reshape;
  FcddShapeProblem p{};
  double probability = 0;  // dropout
  int ordinal = 0;         // dropout: which of the network
  bool trainable = false;
};

using Step = std::variant<ConvStep, PostStep, ShapeStep>;

// Differentiable: inference whose convolutions take in their batch norm but not their activation, so that a
// gradient can go back through it. Inference of both kinds has no dropout.
enum class Mode { Training, Inference, Differentiable };

struct Program {
  std::vector<Step> steps;
  std::vector<Shape> values;  // values[i]: input of step i; the last one is the network's output
  std::vector<std::string>
      names;  // of the values: "input", or the name (or "layer<index>") of the last layer
};

// The tensors of a layer list, in order: convolutions weight, bias; batch norms weight, bias, running_mean,
// running_var.
struct TensorTable {
  struct OfLayer {
    int weight = -1, bias = -1, mean = -1, var = -1;
  };
  std::vector<TensorInfo> infos;
  std::vector<OfLayer> of_layer;  // by layer index
};

// "layer 3 (conv 'conv2')", for errors.
std::string layer_text(const std::vector<Layer>& layers, size_t index);

// Throws FCDD_INVALID_ARGUMENT naming the layer when the list is not one the engine can run.
void validate(const std::vector<Layer>& layers, InputShape input);

TensorTable tensor_table(const std::vector<Layer>& layers, InputShape input);
Program lower(const std::vector<Layer>& layers, InputShape input, Mode mode);

// Index of the first step that has trainable parameters; the number of steps when none has.
size_t first_trained(const Program& program);

// The upsampling from the network's output to its input, by its receptive field; batch 0.
FcddUpsampleProblem upsampling(const std::vector<Layer>& layers, InputShape input);

// Bytes of `count` values of a shape. Throws FCDD_OUT_OF_MEMORY when the figure is beyond any machine.
uint64_t bytes_of(int64_t count, Shape shape, uint64_t unit);

}  // namespace fcdd
