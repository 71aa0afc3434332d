// Arithmetic over a list of layers: output shapes, receptive field, the Gaussian that upsamples a heatmap.
#include <algorithm>
#include <cmath>

#include "engine/lower.h"

namespace fcdd {
namespace {

constexpr int64_t kLargestExtent = 1 << 16;          // height or width of any value
constexpr int64_t kLargestImage = int64_t{1} << 31;  // elements of one image of any value
constexpr double kLargestBytes = 1e15;               // beyond any machine's memory

[[noreturn]] void refuse(const std::vector<Layer>& layers, size_t index, const std::string& why) {
  throw Error("FCDD_INVALID_ARGUMENT", layer_text(layers, index) + " " + why);
}

std::string extent_text(const Shape& s) {
  return std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" + std::to_string(s.width);
}

bool has_window(const Layer& layer) {
  return layer.kind == LayerKind::Conv || layer.kind == LayerKind::MaxPool;
}

Shape checked_size(const std::vector<Layer>& layers, size_t index, Shape out) {
  if (std::max(out.height, out.width) > kLargestExtent ||
      static_cast<int64_t>(out.height) * out.width > kLargestImage / out.channels) {
    refuse(layers, index, "would produce " + extent_text(out) + " values per image, which is too large");
  }
  return out;
}

Shape reshaped(const std::vector<Layer>& layers, size_t index, Shape in) {
  const Layer& layer = layers[index];
  const Shape out = checked_size(layers, index, {layer.channels, layer.height, layer.width});
  const auto values = [](const Shape& s) { return static_cast<int64_t>(s.channels) * s.height * s.width; };
  if (values(in) != values(out)) {
    refuse(
        layers, index,
        "cannot make " + extent_text(out) + " of " + extent_text(in) + " values (channels x height x width)");
  }
  return out;
}

// Output shape of a layer whose own fields `validate` has checked.
Shape shape_after(const std::vector<Layer>& layers, size_t index, Shape in) {
  const Layer& layer = layers[index];
  if (layer.kind == LayerKind::Reshape) return reshaped(layers, index, in);
  if (layer.kind == LayerKind::AveragePool) return {in.channels, layer.height, layer.width};
  if (layer.kind == LayerKind::Nearest)
    return checked_size(layers, index, {in.channels, 2 * in.height, 2 * in.width});
  if (!has_window(layer)) return in;
  if (layer.kernel > in.height + 2 * layer.padding || layer.kernel > in.width + 2 * layer.padding) {
    refuse(layers, index,
           "has a kernel of " + std::to_string(layer.kernel) + " but its input of " + extent_text(in) +
               " (channels x height x width) with padding " + std::to_string(layer.padding) +
               " is smaller: use a larger input image or a smaller kernel");
  }
  const Shape out{layer.kind == LayerKind::Conv ? layer.filters : in.channels,
                  fcdd_out_extent(in.height, layer.kernel, layer.stride, layer.padding),
                  fcdd_out_extent(in.width, layer.kernel, layer.stride, layer.padding)};
  return checked_size(layers, index, out);
}

}  // namespace

std::string layer_text(const std::vector<Layer>& layers, size_t index) {
  static constexpr const char* kKinds[] = {"conv",    "batchnorm",   "activation", "maxpool", "reshape",
                                           "nearest", "averagepool", "sigmoid",    "dropout"};
  const Layer& layer = layers[index];
  const std::string name = layer.name.empty() ? "" : " '" + layer.name + "'";
  return "layer " + std::to_string(index) + " (" + kKinds[static_cast<int>(layer.kind)] + name + ")";
}

std::vector<Shape> output_shapes(const std::vector<Layer>& layers, InputShape input) {
  validate(layers, input);
  std::vector<Shape> shapes;
  Shape shape{input.channels, input.height, input.width};
  for (size_t i = 0; i < layers.size(); i++) {
    shape = shape_after(layers, i, shape);
    shapes.push_back(shape);
  }
  return shapes;
}

// Per layer with kernel k, stride t and padding p, from (j, r, s) = (1, 1, 0):
// s += ((k-1)/2 - p) j, r += (k-1) j, j *= t.
ReceptiveField receptive_field(const std::vector<Layer>& layers, InputShape input) {
  const Shape last = output_shapes(layers, input).back();
  int64_t jump = 1, extent = 1;
  double start = 0;
  for (size_t i = 0; i < layers.size(); i++) {
    const Layer& layer = layers[i];
    if (!has_window(layer)) continue;
    start += ((layer.kernel - 1) / 2.0 - layer.padding) * static_cast<double>(jump);
    extent += (layer.kernel - 1) * jump;
    jump *= layer.stride;
    if (extent > kLargestExtent || jump > kLargestExtent) {
      refuse(layers, i,
             "makes the receptive field larger than " + std::to_string(kLargestExtent) + " pixels");
    }
  }
  return {last.height, last.width, static_cast<int>(jump), static_cast<int>(extent), start};
}

// The reference code's rule (`liznerski/fcdd`): by receptive field, 10 from an extent of 32 on.
double default_sigma(int extent) {
  return extent < 32 ? std::log10(0.45 * extent + 1) + 0.25 : 10;
}

// An even extent has no centre: take one tap less, duplicate the centre value and halve everything.
std::vector<double> gaussian_taps(int extent, double sigma) {
  if (extent < 1 || !(sigma > 0) || !std::isfinite(sigma)) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a Gaussian needs an extent of at least 1 and a positive sigma, got extent " +
                    std::to_string(extent) + " and sigma " + std::to_string(sigma));
  }
  const bool even = extent % 2 == 0;
  const int half = (extent - 1) / 2;
  std::vector<double> taps;
  for (int x = -half; x <= half; x++) {
    const double value = std::exp(-x * x / (2 * sigma * sigma)) * (even ? 0.5 : 1);
    taps.push_back(value);
    if (even && x == 0) taps.push_back(value);
  }
  return taps;
}

FcddUpsampleProblem upsampling(const std::vector<Layer>& layers, InputShape input) {
  const ReceptiveField field = receptive_field(layers, input);
  return {.batch = 0,
          .in_height = field.height,
          .in_width = field.width,
          .height = input.height,
          .width = input.width,
          .taps = field.extent,
          .jump = field.jump,
          .shift = static_cast<int32_t>(std::floor(field.start))};
}

uint64_t bytes_of(int64_t count, Shape shape, uint64_t unit) {
  const double bytes =
      static_cast<double>(count) * shape.channels * shape.height * shape.width * static_cast<double>(unit);
  if (!(bytes < kLargestBytes)) {
    throw Error("FCDD_OUT_OF_MEMORY", "a batch of " + std::to_string(count) + " images needs " +
                                          std::to_string(bytes / (1 << 30)) +
                                          " GiB for one layer: use a smaller batch");
  }
  return static_cast<uint64_t>(count) * static_cast<uint64_t>(shape.channels) *
         static_cast<uint64_t>(shape.height) * static_cast<uint64_t>(shape.width) * unit;
}

}  // namespace fcdd
