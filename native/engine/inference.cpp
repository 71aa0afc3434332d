#include "engine/inference.h"

#include "engine/network_impl.h"

namespace fcdd {
namespace {

uint64_t weight_bytes(const ConvStep& step, uint64_t real) {
  return bytes_of(step.p.filters, {step.p.channels, step.p.kernel, step.p.kernel}, real);
}

bool takes_pooling(const Device& device, const ConvStep& conv, const PostStep& post, int capacity) {
  const FcddPool& pool = post.p.pool;
  if (pool.kernel != 2 || pool.stride != 2 || pool.padding != 0) return false;
  if (post.p.norm != FCDD_NORM_NONE || post.p.activation != FCDD_ACT_NONE) return false;
  FcddConvProblem p = conv.p;
  p.batch = capacity;
  return device.table().conv_workspace_bytes(device.handle(), &p, FCDD_FORWARD_POOLED) != FCDD_DECLINED;
}

// Max poolings (2, 2, 0) become part of the convolution before them where the device takes that: the
// full-size output, a network's largest value, is then never written.
Program fuse_pooling(const Device& device, Program program, int capacity) {
  Program fused;
  fused.values.push_back(program.values.front());
  fused.names.push_back(program.names.front());
  for (size_t i = 0; i < program.steps.size(); i++) {
    Step step = program.steps[i];
    const PostStep* post =
        i + 1 < program.steps.size() ? std::get_if<PostStep>(&program.steps[i + 1]) : nullptr;
    ConvStep* conv = std::get_if<ConvStep>(&step);
    if (conv != nullptr && post != nullptr && takes_pooling(device, *conv, *post, capacity)) {
      conv->pooled = true;
      i++;
    }
    fused.steps.push_back(step);
    fused.values.push_back(program.values[i + 1]);
    fused.names.push_back(program.names[i + 1]);
  }
  return fused;
}

void plan_post(const Network::Impl& network, InferencePlan& plan, MemoryPlanner& planner, size_t i,
               const PostStep& step, int end) {
  if (!plan.use.gradients) return;
  const Device& device = *network.device;
  FcddPostProblem p = step.p;
  p.batch = plan.capacity;
  InferencePlan::StepSlots& slots = plan.steps[i];
  if (p.pool.kernel > 0) {
    planner.add(slots.argmax, bytes_of(plan.capacity, plan.program.values[i + 1], 1), static_cast<int>(i) + 1,
                end);
  }
  planner.add(slots.workspace_back, device.table().post_workspace_bytes(device.handle(), &p), end, end);
}

// The buffers of scores and maps; all are wanted at the end.
void plan_results(const Network::Impl& network, InferencePlan& plan, MemoryPlanner& planner, int end) {
  const Device& device = *network.device;
  const uint64_t real = static_cast<uint64_t>(device.info().real_bytes);
  const int capacity = plan.capacity;
  const InputShape in = network.input;
  planner.add(plan.scores, static_cast<uint64_t>(capacity) * sizeof(double), end, end);
  planner.add(plan.maps, bytes_of(capacity, {1, in.height, in.width}, real), end, end);
  if (plan.use.objective == FCDD_OBJECTIVE_FCDD) {
    plan.up = upsampling(network.layers, in);
    plan.up.batch = capacity;
    planner.add(plan.taps, static_cast<uint64_t>(plan.up.taps) * real, 0, end);
    planner.add(plan.low, bytes_of(capacity, plan.program.values.back(), real), end, end);
    planner.add(plan.score_workspace, device.table().upsample_workspace_bytes(device.handle(), &plan.up), end,
                end);
  } else if (plan.use.objective == FCDD_OBJECTIVE_DSVDD) {
    planner.add(plan.centre, bytes_of(1, plan.program.values.back(), real), 0, end);
  }
  if (plan.use.blur == 0) return;
  plan.blur = {capacity, in.height, in.width, in.height, in.width, plan.use.blur, 1, 0};
  planner.add(plan.blur_taps, static_cast<uint64_t>(plan.use.blur) * real, 0, end);
  planner.add(plan.blurred, bytes_of(capacity, {1, in.height, in.width}, real), end, end);
  planner.add(plan.blur_workspace, device.table().upsample_workspace_bytes(device.handle(), &plan.blur), end,
              end);
}

void plan_step(const Network::Impl& network, InferencePlan& plan, MemoryPlanner& planner, size_t i, int end) {
  if (const PostStep* post = std::get_if<PostStep>(&plan.program.steps[i]))
    return plan_post(network, plan, planner, i, *post, end);
  const ConvStep* conv = std::get_if<ConvStep>(&plan.program.steps[i]);
  if (conv == nullptr) return;
  const Device& device = *network.device;
  const int now = static_cast<int>(i) + 1;
  const uint64_t real = static_cast<uint64_t>(device.info().real_bytes);
  FcddConvProblem p = conv->p;
  p.batch = plan.capacity;
  InferencePlan::StepSlots& slots = plan.steps[i];
  planner.add(slots.packed, device.table().conv_packed_bytes(device.handle(), &p, FCDD_FORWARD), 0, end);
  const FcddPass pass = conv->pooled ? FCDD_FORWARD_POOLED : FCDD_FORWARD;
  planner.add(slots.workspace, device.table().conv_workspace_bytes(device.handle(), &p, pass), now, now);
  if (plan.use.gradients) {
    planner.add(slots.packed_back, device.table().conv_packed_bytes(device.handle(), &p, FCDD_INPUT_GRAD), 0,
                end);
    planner.add(slots.workspace_back,
                device.table().conv_workspace_bytes(device.handle(), &p, FCDD_INPUT_GRAD), end, end);
  }
  if (!conv->normalised) return;
  planner.add(slots.bias, static_cast<uint64_t>(p.filters) * real, 0, end);
  plan.folded.bytes = std::max(plan.folded.bytes, weight_bytes(*conv, real));
}

}  // namespace

InferenceUse use_of(const InferOptions& o) {
  InferenceUse use;
  use.objective = o.objective;
  const bool far = o.objective == FCDD_OBJECTIVE_HSC || o.objective == FCDD_OBJECTIVE_DSVDD;
  use.gradients = o.maps && far;
  use.blur = o.maps && o.objective != FCDD_OBJECTIVE_FCDD ? o.blur : 0;
  return use;
}

InferencePlan plan_inference(const Network::Impl& network, int capacity, const InferenceUse& use) {
  network.require_output(use.objective);
  InferencePlan plan;
  plan.use = use;
  // Gradients to the image need what the pooling saw.
  plan.program =
      use.gradients
          ? lower(network.layers, network.input, Mode::Differentiable)
          : fuse_pooling(*network.device, lower(network.layers, network.input, Mode::Inference), capacity);
  plan.capacity = capacity;
  const uint64_t real = static_cast<uint64_t>(network.device->info().real_bytes);
  const int count = static_cast<int>(plan.program.steps.size()), end = count + 1;  // step i runs at time i+1
  plan.steps.resize(plan.program.steps.size());
  plan.values.resize(plan.program.values.size());
  MemoryPlanner planner;
  for (int i = 0; i <= count; i++) {
    // An autoencoder is compared with its input.
    const bool kept = use.gradients || (i == 0 && use.objective == FCDD_OBJECTIVE_AE);
    planner.add(plan.values[i], bytes_of(capacity, plan.program.values[i], real), i, kept ? end : i + 1);
  }
  if (use.gradients) {
    plan.grads.resize(plan.program.values.size());
    for (int i = 0; i <= count; i++)
      planner.add(plan.grads[i], bytes_of(capacity, plan.program.values[i], real), end, end);
  }
  for (int i = 0; i < count; i++) plan_step(network, plan, planner, i, end);
  planner.add(plan.folded, plan.folded.bytes, 0, 0);
  plan_results(network, plan, planner, end);
  plan.bytes = planner.place();
  return plan;
}

std::vector<double> taps_of(const Network::Impl& network, double sigma) {
  const int extent = receptive_field(network.layers, network.input).extent;
  return gaussian_taps(extent, sigma == 0 ? default_sigma(extent) : sigma);
}

Inference::Inference(const Network::Impl& network, int capacity, const InferenceUse& use)
    : plan_(plan_inference(network, capacity, use)), arena_(network.device, plan_.bytes) {}

FcddBuffer Inference::input() const {
  return at(arena_, plan_.values.front());
}

FcddBuffer Inference::bias(const Network::Impl& network, size_t step, const ConvStep& conv) const {
  return conv.normalised ? at(arena_, plan_.steps[step].bias) : network.tensor(conv.bias);
}

void Inference::prepare_conv(const Network::Impl& network, size_t step, const ConvStep& conv) {
  const Device& device = *network.device;
  FcddBuffer weights = network.tensor(conv.weight);
  if (conv.normalised) {
    const FcddConvFold fold{.filters = conv.p.filters,
                            .fan_in = conv.p.channels * conv.p.kernel * conv.p.kernel,
                            .eps = conv.eps,
                            .w = weights,
                            .bias = network.tensor(conv.bias),
                            .gamma = network.tensor(conv.norm.gamma),
                            .beta = network.tensor(conv.norm.beta),
                            .running_mean = network.tensor(conv.norm.mean),
                            .running_var = network.tensor(conv.norm.var),
                            .folded_w = at(arena_, plan_.folded),
                            .folded_bias = bias(network, step, conv)};
    device.check(device.table().conv_fold(device.handle(), &fold), "folding a batch normalisation");
    weights = fold.folded_w;
  }
  FcddConvPack pack{conv.p, FCDD_FORWARD, weights, at(arena_, plan_.steps[step].packed)};
  pack.p.batch = plan_.capacity;
  device.check(device.table().conv_pack(device.handle(), &pack), "packing weights");
  if (!plan_.use.gradients) return;
  pack.pass = FCDD_INPUT_GRAD;
  pack.packed = at(arena_, plan_.steps[step].packed_back);
  device.check(device.table().conv_pack(device.handle(), &pack), "packing weights");
}

void Inference::prepare(const Network::Impl& network) {
  if (edition_ == network.edition) return;
  edition_ = 0;
  for (size_t i = 0; i < plan_.program.steps.size(); i++) {
    if (const ConvStep* conv = std::get_if<ConvStep>(&plan_.program.steps[i]))
      prepare_conv(network, i, *conv);
  }
  edition_ = network.edition;
}

void Inference::set_sigma(const Network::Impl& network, double sigma) {
  const std::vector<double> taps = taps_of(network, sigma);  // checks sigma
  const double wanted = sigma == 0 ? default_sigma(plan_.up.taps) : sigma;
  if (sigma_ == wanted) return;
  upload_real(*network.device, at(arena_, plan_.taps), taps.data(), taps.size());
  sigma_ = wanted;
}

void Inference::forward(const Network::Impl& network, int count) {
  const Device& device = *network.device;
  for (size_t i = 0; i < plan_.program.steps.size(); i++) {
    const FcddBuffer x = at(arena_, plan_.values[i]), y = at(arena_, plan_.values[i + 1]);
    if (const ConvStep* conv = std::get_if<ConvStep>(&plan_.program.steps[i])) {
      FcddConvForward a{.p = conv->p,
                        .x = x,
                        .packed = at(arena_, plan_.steps[i].packed),
                        .y = y,
                        .bias = bias(network, i, *conv),
                        .activation = conv->activation,
                        .slope = conv->slope,
                        .sums = {},
                        .workspace = at(arena_, plan_.steps[i].workspace),
                        .pooled = conv->pooled ? 1 : 0};
      a.p.batch = count;
      device.check(device.table().conv_forward(device.handle(), &a), "convolution");
    } else if (const ShapeStep* shape = std::get_if<ShapeStep>(&plan_.program.steps[i])) {
      run_shape_step(device, *shape, count, x, y, {});
    } else {
      FcddPostForward a{};
      a.p = std::get<PostStep>(plan_.program.steps[i]).p;
      a.p.batch = count;
      a.x = x;
      a.y = y;
      a.argmax = at(arena_, plan_.steps[i].argmax);
      device.check(device.table().post_forward(device.handle(), &a), "activation and pooling");
    }
  }
}

void Inference::score(const Network::Impl& network, int count, const InferOptions& options) {
  const Device& device = *network.device;
  const Shape out = plan_.program.values.back();
  FcddScore a{.batch = count,
              .height = out.height,
              .width = out.width,
              .up = plan_.up,
              .taps = at(arena_, plan_.taps),
              .z = at(arena_, plan_.values.back()),
              .scores = at(arena_, plan_.scores),
              .low = options.low ? at(arena_, plan_.low) : FcddBuffer{},
              .maps = options.maps ? at(arena_, plan_.maps) : FcddBuffer{},
              .workspace = at(arena_, plan_.score_workspace)};
  a.up.batch = count;
  device.check(device.table().score(device.handle(), &a), "scoring");
}

void Inference::run(const Network::Impl& network, int count, const InferOptions& options,
                    InferResult& result) {
  const Device& device = *network.device;
  if (plan_.use.objective == FCDD_OBJECTIVE_FCDD) set_sigma(network, options.sigma);
  prepare(network);
  forward(network, count);
  if (plan_.use.objective == FCDD_OBJECTIVE_FCDD) {
    score(network, count, options);
  } else {
    objective_score(network, count, options);
  }
  const auto append = [](auto& to, const auto& values) { to.insert(to.end(), values.begin(), values.end()); };
  const size_t n = static_cast<size_t>(count);
  append(result.scores, download<double>(device, at(arena_, plan_.scores), n));
  if (options.outputs) {
    const size_t size = bytes_of(count, plan_.program.values.back(), 1);
    append(result.outputs, download_real<float>(device, at(arena_, plan_.values.back()), size));
  }
  const bool fcdd = plan_.use.objective == FCDD_OBJECTIVE_FCDD;
  if (options.low && fcdd) {
    const size_t size = n * static_cast<size_t>(plan_.up.in_height) * static_cast<size_t>(plan_.up.in_width);
    append(result.low, download_real<float>(device, at(arena_, plan_.low), size));
  }
  if (options.maps && plan_.use.objective != FCDD_OBJECTIVE_CLASSIFY) {
    const size_t size =
        n * static_cast<size_t>(network.input.height) * static_cast<size_t>(network.input.width);
    append(result.maps, download_real<float>(device, at(arena_, plan_.maps), size));
    if (plan_.use.blur > 0)
      append(result.blurred, download_real<float>(device, at(arena_, plan_.blurred), size));
  }
}

}  // namespace fcdd
