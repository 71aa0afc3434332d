#include "convert.h"

#include <cstring>

namespace fcdd::bindings {

namespace {

constexpr int max_extent = 1 << 15;
constexpr int max_channels = 1 << 20;

// Ranges that need more than one property are checked by the engine, which names the layer.
Layer conv_layer(Fields& f) {
  Layer layer{LayerKind::Conv, f.text("name")};
  layer.filters = f.integer("filters", 0);
  layer.kernel = f.integer("kernel", 0);
  layer.stride = f.integer_or("stride", 1, 0);
  layer.padding = f.integer_or("padding", 0, 0);
  layer.bias = f.flag_or("bias", true);
  layer.transposed = f.flag_or("transposed", false);
  if (f.has("init"))
    layer.init = static_cast<Init>(
        read_choice(f.raw("init"), f.path("init"), {"default", "xavier", "kaiming", "small-normal"}));
  return layer;
}

Layer batch_norm_layer(Fields& f) {
  Layer layer{LayerKind::BatchNorm, f.text("name")};
  layer.eps = f.number_from("eps", 1e-5, 0);
  layer.momentum = f.number_from("momentum", 0.1, 0);
  layer.affine = f.flag_or("affine", true);
  return layer;
}

Layer activation_layer(double slope) {
  Layer layer{LayerKind::Activation, ""};
  layer.slope = slope;
  return layer;
}

Layer pool_layer(Fields& f) {
  Layer layer{LayerKind::MaxPool, ""};
  layer.kernel = f.integer("kernel", 0);
  layer.stride = f.integer_or("stride", layer.kernel, 0);
  layer.padding = f.integer_or("padding", 0, 0);
  return layer;
}

Layer reshape_layer(Fields& f) {
  Layer layer{LayerKind::Reshape, ""};
  layer.channels = f.integer("channels", 0);
  layer.height = f.integer("height", 0);
  layer.width = f.integer("width", 0);
  return layer;
}

Layer average_pool_layer(Fields& f) {
  Layer layer{LayerKind::AveragePool, ""};
  layer.height = f.integer("height", 0);
  layer.width = f.integer("width", 0);
  return layer;
}

Layer dropout_layer(Fields& f) {
  Layer layer{LayerKind::Dropout, ""};
  layer.probability = f.number_from("probability", 0.5, 0);
  return layer;
}

Layer read_layer(Fields& f) {
  Layer layer;
  switch (read_choice(f.raw("kind"), f.path("kind"),
                      {"conv", "batchnorm", "relu", "lrelu", "maxpool", "reshape", "averagepool", "dropout",
                       "nearest", "sigmoid"})) {
    case 0:
      layer = conv_layer(f);
      break;
    case 1:
      layer = batch_norm_layer(f);
      break;
    case 2:
      layer = activation_layer(0);
      break;
    case 3:
      layer = activation_layer(f.number_or("slope", 0.01));
      break;
    case 4:
      layer = pool_layer(f);
      break;
    case 5:
      layer = reshape_layer(f);
      break;
    case 6:
      layer = average_pool_layer(f);
      break;
    case 7:
      layer = dropout_layer(f);
      break;
    case 8:
      layer = Layer{LayerKind::Nearest, ""};
      break;
    default:
      layer = Layer{LayerKind::Sigmoid, ""};
  }
  layer.frozen = f.flag_or("frozen", false);
  f.done();
  return layer;
}

FcddJitter read_jitter(Fields& f) {
  const FcddJitter jitter{f.number_from("brightness", 0, 0), f.number_from("contrast", 0, 0),
                          f.number_from("saturation", 0, 0), f.number_from("hue", 0, 0)};
  if (jitter.hue > 0.5) reject("a number from 0 to 0.5", f.path("hue"), describe(f.raw("hue")));
  f.done();
  return jitter;
}

void read_jitters(Fields& f, FcddPipeline& p) {
  if (!f.has("jitter")) return;
  auto list = f.list("jitter");
  if (list.size() > 2) reject("at most two entries", f.path("jitter"), std::to_string(list.size()));
  for (auto& entry : list) p.jitter[p.jitter_count++] = read_jitter(entry);
}

void read_noise(Fields& f, FcddPipeline& p) {
  auto noise = f.object_or_none("noise");
  if (!noise) return;
  p.noise_sigma = noise->number_from("sigma", 0, 0);
  p.noise_probability = noise->number_from("probability", 1, 0);
  p.noise_relative = noise->flag_or("relative", false);
  p.noise_clamp = noise->flag_or("clamp", false);
  noise->done();
}

// One number per channel; the rest of the three stays neutral.
void read_per_channel(Fields& f, const char* name, int channels, double (&to)[3]) {
  const auto numbers = f.numbers(name);
  require_count(numbers.size(), channels, "one per channel", f.path(name));
  for (size_t c = 0; c < numbers.size(); c++) to[c] = numbers[c];
}

void read_affine(Fields& f, FcddPipeline& p) {
  read_per_channel(f, "offset", p.channels, p.offset);
  read_per_channel(f, "scale", p.channels, p.scale);
  for (int c = 0; c < p.channels; c++) {
    if (p.scale[c] == 0) reject("numbers other than 0", f.path("scale"), "0");
  }
}

}  // namespace

void require_count(size_t count, size_t expected, const std::string& shape, const std::string& argument) {
  if (count == expected) return;
  reject(std::to_string(expected) + " values (" + shape + ")", argument, std::to_string(count));
}

std::vector<Layer> read_layers(const Napi::Value& value, const std::string& path) {
  std::vector<Layer> layers;
  for (auto& fields : read_list(value, path)) layers.push_back(read_layer(fields));
  if (layers.empty()) reject("at least one layer", path, "an empty array");
  return layers;
}

InputShape read_input(const Napi::Value& value, const std::string& path) {
  Fields f(value, path);
  const InputShape input{f.integer("channels", 1, max_channels), f.integer("height", 1, max_extent),
                         f.integer("width", 1, max_extent)};
  f.done();
  return input;
}

FcddPipeline read_pipeline(const Napi::Value& value, const std::string& path) {
  Fields f(value, path);
  FcddPipeline p{};
  for (int c = 0; c < 3; c++) p.scale[c] = 1;
  p.height = f.integer("height", 1, max_extent);
  p.width = f.integer("width", 1, max_extent);
  p.channels = f.integer("channels", 1, 3);
  if (p.channels == 2) reject("1 or 3", f.path("channels"), "2");
  if (auto resize = f.object_or_none("resize")) {
    p.resize_height = resize->integer("height", 1, max_extent);
    p.resize_width = resize->integer("width", 1, max_extent);
    resize->done();
  }
  p.pad = f.integer_or("pad", 0, 0, max_extent);
  p.random_crop = f.flag_or("randomCrop", false);
  p.or_resize = f.flag_or("orResize", false);
  p.flip = f.flag_or("flip", false);
  p.jitter_first = f.flag_or("jitterFirst", false);
  p.lcn = f.flag_or("lcn", false);
  read_jitters(f, p);
  read_noise(f, p);
  read_affine(f, p);
  f.done();
  return p;
}

FcddSupervision read_supervision(const Napi::Value& value, const std::string& path) {
  Fields f(value, path);
  FcddSupervision s{};
  s.mode = read_choice(f.raw("mode"), f.path("mode"),
                       {"unsupervised", "noise", "malformed-normal", "malformed-normal-gt"});
  s.source = read_choice(
      f.raw("source"), f.path("source"),
      {"confetti", "gaussian", "uniform", "solid", "blob", "mixed-blob", "exposure", "cut-paste", "texture"});
  s.offline = f.flag_or("offline", false);
  s.grey = f.flag_or("grey", false);
  s.on_object = f.flag_or("onObject", false);
  if (s.mode == FCDD_NOISE && (s.source == FCDD_CUT_PASTE || s.source == FCDD_TEXTURE || s.on_object)) {
    reject("\"malformed-normal\" or \"malformed-normal-gt\" with cut-paste, texture or onObject",
           f.path("mode"), "\"noise\"");
  }
  s.probability = f.number_from("probability", 0.5, 0);
  if (s.probability > 1)
    reject("a number from 0 to 1", f.path("probability"), describe(f.raw("probability")));
  f.done();
  return s;
}

OptimiserOptions read_optimiser(Fields f) {
  OptimiserOptions o;
  o.kind = read_choice(f.raw("kind"), f.path("kind"), {"sgd", "adam"}) == 0 ? FCDD_SGD : FCDD_ADAM;
  if (o.kind == FCDD_SGD) {
    o.momentum = f.number_from("momentum", 0.9, 0);
  } else {
    o.beta1 = f.number_from("beta1", 0.9, 0);
    o.beta2 = f.number_from("beta2", 0.999, 0);
    o.eps = f.number_from("eps", 1e-8, 0);
  }
  o.weight_decay = f.number_from("weightDecay", 0, 0);
  f.done();
  return o;
}

namespace {

// The property "method", in the order of FcddObjective.
int32_t read_method(Fields& f) {
  if (!f.has("method")) return FCDD_OBJECTIVE_FCDD;
  return read_choice(f.raw("method"), f.path("method"), {"fcdd", "hsc", "ae", "dsvdd", "classify"});
}

}  // namespace

InferOptions read_infer_options(Fields& f) {
  InferOptions o;
  o.sigma = f.number_from("sigma", 0, 0);
  o.low = f.flag_or("low", false);
  o.maps = f.flag_or("maps", false);
  o.objective = read_method(f);
  if (f.has("centre")) o.centre = f.numbers("centre");
  o.blur = f.integer_or("blur", 0, 0, 1 << 16);
  o.outputs = f.flag_or("outputs", false);
  return o;
}

TrainerOptions read_trainer_options(Fields& f) {
  TrainerOptions o;
  o.batch = f.integer("batch", 1, 1 << 20);
  auto objective = f.object("objective");
  o.pixelwise = read_flag(objective.raw("pixelwise"), objective.path("pixelwise"));
  o.sigma = objective.number_from("sigma", 0, 0);
  o.objective = read_method(objective);
  if (objective.has("centre")) o.centre = objective.numbers("centre");
  objective.done();
  o.optimiser = read_optimiser(f.object("optimiser"));
  o.seed = f.seed("seed");
  o.repeat = f.integer_or("repeat", 1, 1, 1 << 20);
  o.nominal_label = f.integer_or("nominalLabel", 0, 0, 1);
  o.keep_activations = f.flag_or("keepActivations", false);
  if (f.has("memoryBudget")) {
    o.memory_budget = static_cast<uint64_t>(
        read_integer(f.raw("memoryBudget"), f.path("memoryBudget"), 1, int64_t{1} << 53));
  }
  if (f.has("pipeline")) o.pipeline = read_pipeline(f.raw("pipeline"), f.path("pipeline"));
  if (f.has("supervision")) o.supervision = read_supervision(f.raw("supervision"), f.path("supervision"));
  return o;
}

Batch read_batch(const Napi::Value& value, const std::string& path, InputShape input, bool pixelwise,
                 int32_t objective) {
  Fields f(value, path);
  const size_t pixels = static_cast<size_t>(input.height) * input.width;
  Batch batch;
  batch.count = f.integer("count", 1, 1 << 20);
  batch.pixels = f.values("pixels");
  batch.labels = f.bytes("labels", objective == FCDD_OBJECTIVE_CLASSIFY ? 255 : 1);
  batch.masks = f.bytes_or_none("masks", 1);
  f.done();
  require_count(batch.pixels.size(), batch.count * pixels * input.channels,
                "count × height × width × channels", f.path("pixels"));
  require_count(batch.labels.size(), batch.count, "count", f.path("labels"));
  if (pixelwise)
    require_count(batch.masks.size(), batch.count * pixels, "count × height × width", f.path("masks"));
  return batch;
}

}  // namespace fcdd::bindings
