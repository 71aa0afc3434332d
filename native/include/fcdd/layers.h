// A network is data: a list of layers. Shapes, receptive field, memory, forward and backward are functions of
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fcdd {

enum class LayerKind {
  Conv,
  BatchNorm,
  Activation,
  MaxPool,
  Reshape,
  Nearest,
  AveragePool,
  Sigmoid,
  Dropout
};

// How Network::initialise draws a convolution's weights.
enum class Init {
  Default,     // PyTorch's: uniform in +-1/sqrt(fan_in)
  Xavier,      // uniform, gain of a leaky ReLU of slope 0.01
  Kaiming,     // normal, fan out, gain of a ReLU; bias 0 (torchvision's convolutions)
  SmallNormal  // normal, standard deviation 0.01; bias 0 (torchvision's fully connected layers)
};

// One layer. Only the fields of its kind are read.
struct Layer {
  LayerKind kind;
  std::string name;  // prefix of its tensors: "<name>.weight"; convolutions and batch norms only

  // Conv
  int filters = 0;
  int kernel = 0, stride = 1, padding = 0;  // MaxPool too
  bool bias = true;
  Init init = Init::Default;
  // The layer stands for a transposed convolution of stride 1, whose bias PyTorch initialises by another fan.
  bool transposed = false;

  // BatchNorm
  double eps = 1e-5, momentum = 0.1;
  bool affine = true;

  // Activation: x > 0 ? x : slope * x (ReLU: slope 0)
  double slope = 0;

  // Reshape: the new shape, values in the order channel, row, column. AveragePool: height and width of the
  // result (adaptive). Nearest doubles height and width.
  int channels = 0, height = 0, width = 0;

  // Dropout: in training only
  double probability = 0.5;

  // No gradient for this layer's parameters. Frozen layers must form a prefix of the list; their batch
  // normalisation still uses (and updates) batch statistics in training (as the reference code does for
  // vgg11-f).
  bool frozen = false;
};

struct InputShape {
  int channels, height, width;
};

struct Shape {
  int channels, height, width;
};

// Receptive field after the last layer (arithmetic of Araujo et al., 2019): output extent n per axis, jump j,
// extent r, start s.
struct ReceptiveField {
  int height, width;
  int jump, extent;
  double start;
};

// Throws Error (errors.h) naming the layer when the list or a shape does not fit.
std::vector<Shape> output_shapes(const std::vector<Layer>& layers, InputShape input);
ReceptiveField receptive_field(const std::vector<Layer>& layers, InputShape input);

// sigma of the Gaussian when a data set does not say: log10(0.45 r + 1) + 0.25 for r < 32, else 10.
double default_sigma(int extent);
// The 1-D kernel of `extent` taps, peak 1 (odd) or 1/2 (even): outer product with itself gives the 2-D
// kernel.
std::vector<double> gaussian_taps(int extent, double sigma);

}  // namespace fcdd
