#include "engine/training_run.h"

#include <algorithm>

#include "engine/inference.h"

namespace fcdd {
namespace {

// Images [first, ...) of a buffer that holds `bytes` per image.
FcddBuffer images_from(const FcddBuffer& buffer, int first, uint64_t bytes) {
  const uint64_t skip = static_cast<uint64_t>(first) * bytes;
  return {buffer.arena, buffer.offset + skip, buffer.bytes - skip};
}

}  // namespace

TrainingRun::TrainingRun(Network::Impl& network, const TrainingPlanOptions& options, double sigma,
                         const std::vector<double>& centre)
    : network_(network),
      device_(*network.device),
      plan_(plan_training(network, options)),
      kept_(network.device, plan_.kept_bytes) {
  ready();
  // Gradients that are never computed (a bias before a batch norm) and the padding between tensors stay 0.
  fill_zero(device_, buffer(plan_.gradient));
  fill_zero(device_, buffer(plan_.m));
  fill_zero(device_, buffer(plan_.v));
  clear_report();
  if (options.pixelwise) {
    const std::vector<double> taps = taps_of(network, sigma);
    upload_real(device_, buffer(plan_.taps), taps.data(), taps.size());
  }
  if (options.objective == FCDD_OBJECTIVE_DSVDD) {
    upload_centre(device_, network.training.values.back(), centre, buffer(plan_.centre));
  }
  network_.runs.push_back(this);
}

TrainingRun::~TrainingRun() {
  std::erase(network_.runs, this);
}

FcddBuffer TrainingRun::buffer(const Slot& slot) const {
  return at(slot.kept ? kept_ : *steps_, slot);
}

void TrainingRun::ready() {
  if (steps_ != nullptr) return;
  network_.inference.reset();
  steps_ = std::make_unique<Arena>(network_.device, plan_.step_bytes);
  frozen_edition_ = 0;  // the packed frozen weights lay there
}

void TrainingRun::release() {
  steps_.reset();
}

FcddBuffer TrainingRun::part(const Slot& region, int tensor) const {
  const Slot& slot = network_.slots[tensor];
  return kept_.slice(region.offset + slot.offset, slot.bytes);
}

void TrainingRun::pack(const ConvStep& step, int32_t pass, const Slot& slot) {
  FcddConvPack a{step.p, pass, network_.tensor(step.weight), buffer(slot)};
  a.p.batch = plan_.options.batch;
  device_.check(device_.table().conv_pack(device_.handle(), &a), "packing weights");
}

void TrainingRun::pack_frozen() {
  if (frozen_edition_ == network_.set_edition) return;
  for (size_t i = 0; i < plan_.steps.size(); i++) {
    const ConvStep* conv = std::get_if<ConvStep>(&network_.training.steps[i]);
    if (conv != nullptr && !conv->trainable) pack(*conv, FCDD_FORWARD, plan_.steps[i].packed);
  }
  frozen_edition_ = network_.set_edition;
}

void TrainingRun::conv_forward(size_t i, const ConvStep& step, int batch) {
  const TrainingPlan::StepSlots& slots = plan_.steps[i];
  if (step.trainable) pack(step, FCDD_FORWARD, slots.packed);
  run_conv(i, step, batch, {slots.packed, plan_.values[i + 1], slots.sums, slots.workspace});
}

void TrainingRun::run_conv(size_t i, const ConvStep& step, int batch, const ConvPlaces& places) {
  const uint64_t real = static_cast<uint64_t>(device_.info().real_bytes);
  const uint64_t in = bytes_of(1, network_.training.values[i], real);
  const uint64_t out = bytes_of(1, network_.training.values[i + 1], real);
  const uint64_t sums = 2 * static_cast<uint64_t>(step.p.filters) * sizeof(double);
  const int chunk = plan_.options.chunk == 0 ? batch : plan_.options.chunk;
  for (int first = 0; first < batch; first += chunk) {
    FcddConvForward a{};
    a.p = step.p;
    a.p.batch = std::min(chunk, batch - first);
    a.x = images_from(buffer(plan_.values[i]), first, in);
    a.packed = buffer(places.packed);
    a.y = images_from(buffer(places.y), first, out);
    a.bias = network_.tensor(step.bias);
    if (places.sums.bytes > 0) a.sums = images_from(buffer(places.sums), first, sums);
    a.workspace = buffer(places.workspace);
    device_.check(device_.table().conv_forward(device_.handle(), &a), "convolution");
  }
}

void TrainingRun::check_statistics(const PostStep& step, size_t index, int batch) const {
  if (static_cast<int64_t>(batch) * step.p.height * step.p.width > 1) return;
  throw Error("FCDD_INVALID_ARGUMENT",
              "batch normalisation after '" + network_.training.names[index] +
                  "' needs more than one value per channel in training, got one image of "
                  "1x1 pixels: use a larger batch or input");
}

void TrainingRun::post_forward(size_t i, const PostStep& step, int batch) {
  const TrainingPlan::StepSlots& slots = plan_.steps[i];
  if (step.p.norm != FCDD_NORM_NONE) {
    check_statistics(step, i, batch);
    FcddNormStats stats{.p = step.p,
                        .sums = buffer(plan_.steps[i - 1].sums),
                        .mean = buffer(slots.mean),
                        .inv_std = buffer(slots.inv_std),
                        .running_mean = network_.tensor(step.norm.mean),
                        .running_var = network_.tensor(step.norm.var)};
    stats.p.batch = batch;
    device_.check(device_.table().norm_stats(device_.handle(), &stats), "batch statistics");
  }
  apply_post(i, step, batch, buffer(plan_.values[i + 1]), buffer(slots.argmax));
}

void TrainingRun::apply_post(size_t i, const PostStep& step, int batch, FcddBuffer y, FcddBuffer argmax) {
  FcddPostForward a{.p = step.p,
                    .x = buffer(plan_.values[i]),
                    .mean = buffer(plan_.steps[i].mean),
                    .inv_std = buffer(plan_.steps[i].inv_std),
                    .gamma = network_.tensor(step.norm.gamma),
                    .beta = network_.tensor(step.norm.beta),
                    .y = y,
                    .argmax = argmax};
  a.p.batch = batch;
  device_.check(device_.table().post_forward(device_.handle(), &a), "normalisation, activation and pooling");
}

void TrainingRun::forward(int batch) {
  pack_frozen();
  network_.edition++;  // the running statistics change
  for (size_t i = 0; i < plan_.steps.size(); i++) {
    if (const ConvStep* conv = std::get_if<ConvStep>(&network_.training.steps[i])) {
      conv_forward(i, *conv, batch);
    } else if (const PostStep* post = std::get_if<PostStep>(&network_.training.steps[i])) {
      post_forward(i, *post, batch);
    } else {
      run_shape_step(device_, std::get<ShapeStep>(network_.training.steps[i]), batch, buffer(plan_.values[i]),
                     buffer(plan_.values[i + 1]), draws_);
    }
  }
}

void TrainingRun::objective_loss(int batch) {
  const int32_t objective = plan_.options.objective;
  const FcddObjectiveLoss a{
      .objective = objective,
      .batch = batch,
      .size = bytes_of(1, network_.training.values.back(), 1),
      .factor = 1.0 / batch,
      .z = buffer(plan_.values.back()),
      .target = objective == FCDD_OBJECTIVE_AE ? buffer(plan_.values.front()) : buffer(plan_.centre),
      .labels = buffer(plan_.labels),
      .losses = buffer(plan_.losses),
      .dz = buffer(plan_.grads.back()),
      .report = buffer(plan_.report)};
  device_.check(device_.table().objective_loss(device_.handle(), &a), "loss");
}

void TrainingRun::loss(int batch) {
  if (plan_.options.objective != FCDD_OBJECTIVE_FCDD) return objective_loss(batch);
  const Shape out = network_.training.values.back();
  FcddLoss a{};
  a.batch = batch;
  a.height = out.height;
  a.width = out.width;
  a.pixelwise = plan_.options.pixelwise;
  a.up = plan_.up;
  a.up.batch = batch;
  a.taps = buffer(plan_.taps);
  a.z = buffer(plan_.values.back());
  a.labels = buffer(plan_.labels);
  a.masks = buffer(plan_.masks);
  a.losses = buffer(plan_.losses);
  a.dz = buffer(plan_.grads.back());
  a.report = buffer(plan_.report);
  a.workspace = buffer(plan_.loss_workspace);
  device_.check(device_.table().loss(device_.handle(), &a), "loss");
}

void TrainingRun::conv_backward(size_t i, const ConvStep& step, int batch) {
  const TrainingPlan::StepSlots& slots = plan_.steps[i];
  FcddConvWeightGrad a{};
  a.p = step.p;
  a.p.batch = batch;
  a.x = buffer(plan_.values[i]);
  if (plan_.again[i].bytes > 0) {
    a.x = buffer(plan_.again[i]);
    apply_post(i - 1, std::get<PostStep>(network_.training.steps[i - 1]), batch, a.x, {});
  }
  a.dy = buffer(plan_.grads[i + 1]);
  a.dw = gradient(step.weight);
  if (!step.normalised) a.dbias = gradient(step.bias);
  a.workspace = buffer(slots.workspace_back);
  device_.check(device_.table().conv_weight_grad(device_.handle(), &a), "weight gradient");
  if (i == plan_.first_trained) return;
  pack(step, FCDD_INPUT_GRAD, slots.packed_back);
  const uint64_t real = static_cast<uint64_t>(device_.info().real_bytes);
  const uint64_t in = bytes_of(1, network_.training.values[i], real);
  const uint64_t out = bytes_of(1, network_.training.values[i + 1], real);
  const int chunk = plan_.options.chunk == 0 ? batch : plan_.options.chunk;
  for (int first = 0; first < batch; first += chunk) {
    FcddConvInputGrad b{.p = step.p,
                        .dy = images_from(buffer(plan_.grads[i + 1]), first, out),
                        .packed = buffer(slots.packed_back),
                        .dx = images_from(buffer(plan_.grads[i]), first, in),
                        .workspace = buffer(slots.workspace_input)};
    b.p.batch = std::min(chunk, batch - first);
    device_.check(device_.table().conv_input_grad(device_.handle(), &b), "input gradient");
  }
}

void TrainingRun::post_backward(size_t i, const PostStep& step, int batch) {
  const TrainingPlan::StepSlots& slots = plan_.steps[i];
  FcddPostBackward a{};
  a.p = step.p;
  a.p.batch = batch;
  a.dy = buffer(plan_.grads[i + 1]);
  a.x = buffer(plan_.values[i]);
  if (plan_.again[i].bytes > 0) {
    const TrainingPlan::StepSlots& conv = plan_.steps[i - 1];
    const ConvStep& before = std::get<ConvStep>(network_.training.steps[i - 1]);
    pack(before, FCDD_FORWARD, conv.packed_again);
    run_conv(i - 1, before, batch, {conv.packed_again, plan_.again[i], Slot{}, conv.workspace_again});
    a.x = buffer(plan_.again[i]);
  }
  a.mean = buffer(slots.mean);
  a.inv_std = buffer(slots.inv_std);
  a.gamma = network_.tensor(step.norm.gamma);
  a.beta = network_.tensor(step.norm.beta);
  a.argmax = buffer(slots.argmax);
  a.dx = buffer(plan_.grads[i]);
  if (step.trainable) {
    a.dgamma = gradient(step.norm.gamma);
    a.dbeta = gradient(step.norm.beta);
  }
  a.workspace = buffer(slots.workspace_back);
  device_.check(device_.table().post_backward(device_.handle(), &a), "gradient of normalisation and pooling");
}

void TrainingRun::backward(int batch) {
  for (size_t i = plan_.steps.size(); i-- > plan_.first_trained;) {
    if (const ConvStep* conv = std::get_if<ConvStep>(&network_.training.steps[i])) {
      conv_backward(i, *conv, batch);
    } else if (const PostStep* post = std::get_if<PostStep>(&network_.training.steps[i])) {
      post_backward(i, *post, batch);
    } else {
      run_shape_step_back(device_, std::get<ShapeStep>(network_.training.steps[i]), batch,
                          buffer(plan_.grads[i + 1]), buffer(plan_.grads[i]), buffer(plan_.values[i]),
                          draws_);
    }
  }
}

void TrainingRun::update(const OptimiserOptions& optimiser, int64_t step, double lr) {
  const uint64_t real = static_cast<uint64_t>(device_.info().real_bytes);
  const FcddUpdate a{.kind = optimiser.kind,
                     .count = network_.trainable_bytes / real,
                     .step = step,
                     .lr = lr,
                     .weight_decay = optimiser.weight_decay,
                     .momentum = optimiser.momentum,
                     .beta1 = optimiser.beta1,
                     .beta2 = optimiser.beta2,
                     .eps = optimiser.eps,
                     .w = network_.arena->slice(0, network_.trainable_bytes),
                     .grad = buffer(plan_.gradient),
                     .m = buffer(plan_.m),
                     .v = buffer(plan_.v)};
  device_.check(device_.table().update(device_.handle(), &a), "optimiser update");
  network_.edition++;
}

void TrainingRun::clear_report() {
  fill_zero(device_, buffer(plan_.report));
}

StepReport TrainingRun::report(int64_t steps) const {
  const std::vector<double> sums = download<double>(device_, buffer(plan_.report), 5);
  const auto mean = [](double sum, double count) { return count == 0 ? 0 : sum / count; };
  StepReport report;
  report.steps = steps;
  report.loss = mean(sums[0], sums[3] + sums[4]);
  report.normal = mean(sums[1], sums[3]);
  report.anomalous = mean(sums[2], sums[4]);
  report.normals = static_cast<int64_t>(sums[3]);
  report.anomalies = static_cast<int64_t>(sums[4]);
  return report;
}

void TrainingRun::save_statistics() {
  if (plan_.statistics.bytes == 0) return;
  const FcddBuffer live = at(*network_.arena, network_.statistics);
  device_.check(device_.table().copy(device_.handle(), buffer(plan_.statistics), live), "copy");
}

void TrainingRun::restore_statistics() {
  if (plan_.statistics.bytes == 0) return;
  const FcddBuffer live = at(*network_.arena, network_.statistics);
  device_.check(device_.table().copy(device_.handle(), live, buffer(plan_.statistics)), "copy");
}

}  // namespace fcdd
