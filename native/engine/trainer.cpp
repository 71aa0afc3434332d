// The training loop over steps, from a store through the input pipeline or on explicit batches.
//
// Guarantees: a run depends on (weights, optimiser state, data, options, epoch, step) alone, so splitting it
// into several calls, or resuming it from saved state, gives the same bits as doing it in one.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/shuffle.h"
#include "engine/trainer_impl.h"

namespace fcdd {
namespace {

void require(bool ok, const std::string& text) {
  if (!ok) throw Error("FCDD_INVALID_ARGUMENT", text);
}

bool fraction(double v) {
  return v >= 0 && v < 1;
}

void check_optimiser(const OptimiserOptions& o) {
  require(o.weight_decay >= 0 && std::isfinite(o.weight_decay), "the weight decay must not be negative");
  require(fraction(o.momentum), "the momentum must be at least 0 and below 1");
  require(fraction(o.beta1) && fraction(o.beta2), "Adam's betas must be at least 0 and below 1");
  require(o.eps > 0 && std::isfinite(o.eps), "Adam's eps must be positive");
}

void check_learning_rate(double lr) {
  require(lr >= 0 && std::isfinite(lr),
          "the learning rate must be finite and not negative, got " + std::to_string(lr));
}

void check_data(const Network::Impl& network, const TrainerOptions& o) {
  if (o.images == nullptr) return;
  const FcddPipeline& p = o.pipeline;
  const InputShape in = network.input;
  require(p.height == in.height && p.width == in.width && p.channels == in.channels,
          "the pipeline makes images of " + std::to_string(p.channels) + "x" + std::to_string(p.height) +
              "x" + std::to_string(p.width) + " but the network takes " + std::to_string(in.channels) + "x" +
              std::to_string(in.height) + "x" + std::to_string(in.width) + " (channels x height x width)");
  require(o.repeat >= 1, "repeat must be at least 1, got " + std::to_string(o.repeat));
  const double positions = 2.0 * o.images->store().count * o.repeat;
  require(positions < 2147483648.0, "an epoch must have fewer than 2^31 positions");
  require(o.images->device() == network.device, "the image store lives on another device than the network");
  require(o.exposure == nullptr || o.exposure->device() == network.device,
          "the exposure store lives on another device than the network");
  require(o.nominal_label == 0 || o.nominal_label == 1,
          "the nominal label must be 0 or 1, got " + std::to_string(o.nominal_label));
  require(o.supervision.probability >= 0 && o.supervision.probability <= 1,
          "the probability of an anomaly must be between 0 and 1");
  const bool exposes = o.supervision.mode != FCDD_UNSUPERVISED && o.supervision.source == FCDD_EXPOSURE;
  require(!exposes || o.exposure != nullptr, "supervision by exposure needs an exposure store");
  o.images->check_crops(p, 0, o.images->store().count);
}

const TrainerOptions& checked(const Network::Impl& network, const TrainerOptions& options) {
  require(!options.pixelwise || options.objective == FCDD_OBJECTIVE_FCDD,
          "only the objective fcdd has a loss per pixel");
  check_optimiser(options.optimiser);
  check_data(network, options);
  return options;
}

int64_t positions_of(const TrainerOptions& o) {
  if (o.images == nullptr) return 0;
  const int64_t normals = static_cast<int64_t>(o.images->store().count) * o.repeat;
  const bool appended = o.supervision.offline != 0 && o.supervision.mode != FCDD_UNSUPERVISED;
  return appended ? 2 * normals : normals;
}

// A batch from the stores, without order, position and results.
FcddAugment augment_of(const TrainerOptions& o) {
  FcddAugment a{};
  a.pipeline = o.pipeline;
  a.supervision = o.supervision;
  a.images = o.images->store();
  if (o.exposure != nullptr) a.exposure = o.exposure->store();
  a.batch = o.batch;
  a.nominal_label = o.nominal_label;
  return a;
}

// Of the input pipeline; 0 without data.
uint64_t workspace_bytes(const Device& device, const TrainerOptions& o) {
  if (o.images == nullptr) return 0;
  const FcddAugment a = augment_of(o);
  return device.table().augment_workspace_bytes(device.handle(), &a);
}

uint64_t order_bytes(const TrainerOptions& o) {
  return static_cast<uint64_t>(positions_of(o)) * sizeof(int32_t);
}

TrainingPlanOptions plan_options(const Network::Impl& network, const TrainerOptions& o) {
  return {.batch = o.batch,
          .adam = o.optimiser.kind == FCDD_ADAM,
          .pixelwise = o.pixelwise,
          .objective = o.objective,
          .keep_activations = o.keep_activations,
          .budget = o.memory_budget,
          .beside = network.arena->bytes() + order_bytes(o) + workspace_bytes(*network.device, o)};
}

void check_bits(const std::vector<uint8_t>& values, size_t count, const std::string& what) {
  require(values.size() == count,
          what + " must hold " + std::to_string(count) + " values, got " + std::to_string(values.size()));
  require(std::all_of(values.begin(), values.end(), [](uint8_t v) { return v <= 1; }),
          what + " must hold 0 and 1 only");
}

void check_labels(const Network::Impl& network, int32_t objective, const std::vector<uint8_t>& labels,
                  size_t count) {
  if (objective != FCDD_OBJECTIVE_CLASSIFY) return check_bits(labels, count, "labels");
  const int classes = network.training.values.back().channels;
  require(labels.size() == count &&
              std::all_of(labels.begin(), labels.end(), [&](uint8_t v) { return v < classes; }),
          "labels must hold " + std::to_string(count) + " classes from 0 to " + std::to_string(classes - 1));
}

}  // namespace

Trainer::Impl::Impl(Network& network_, const TrainerOptions& options_)
    : network(network_.impl()),
      device(*network.device),
      options(checked(network, options_)),
      run(network, plan_options(network, options), options.sigma, options.centre) {
  if (options.images == nullptr) return;
  order = std::make_unique<Arena>(network.device, order_bytes(options));
  workspace = std::make_unique<Arena>(network.device, workspace_bytes(device, options));
}

int64_t Trainer::Impl::positions() const {
  return positions_of(options);
}

FcddAugment Trainer::Impl::batch_of(uint32_t epoch, int64_t first, int batch) {
  if (!has_order || order_epoch != epoch) {
    const std::vector<int32_t> permutation = shuffled(options.seed, epoch, positions());
    upload_bytes(device, order->slice(0, order->bytes()), permutation.data(), order->bytes());
    has_order = true;
    order_epoch = epoch;
  }
  FcddAugment a = augment_of(options);
  a.order = order->slice(0, order->bytes());
  a.seed = options.seed;
  a.epoch = epoch;
  a.first = static_cast<uint32_t>(first);
  a.batch = batch;
  a.normals = static_cast<int64_t>(options.images->store().count) * options.repeat;
  a.workspace = workspace->slice(0, workspace->bytes());
  return a;
}

void Trainer::Impl::load(uint32_t epoch, int64_t first, int batch) {
  FcddAugment a = batch_of(epoch, first, batch);
  a.x = run.buffer(run.plan().values.front());
  a.labels = run.buffer(run.plan().labels);
  a.masks = run.buffer(run.plan().masks);
  device.check(device.table().augment(device.handle(), &a), "preparing a batch");
  run.set_draws({options.seed, epoch, static_cast<uint32_t>(first)});
}

void Trainer::Impl::load(const Batch& batch) {
  run.ready();
  require(batch.count >= 1 && batch.count <= options.batch,
          "this trainer takes batches of 1 to " + std::to_string(options.batch) + " samples, got " +
              std::to_string(batch.count));
  const InputShape in = network.input;
  const size_t n = static_cast<size_t>(batch.count),
               area = static_cast<size_t>(in.height) * static_cast<size_t>(in.width);
  const size_t size = n * area * static_cast<size_t>(in.channels);
  require(batch.pixels.size() == size, "the pixels of " + std::to_string(n) + " samples must be " +
                                           std::to_string(size) + " values, got " +
                                           std::to_string(batch.pixels.size()));
  check_labels(network, options.objective, batch.labels, n);
  if (options.pixelwise) check_bits(batch.masks, n * area, "masks (pixel-wise training needs them)");
  upload_real(device, run.buffer(run.plan().values.front()), batch.pixels.data(), size);
  upload_bytes(device, run.buffer(run.plan().labels), batch.labels.data(), n);
  if (options.pixelwise) upload_bytes(device, run.buffer(run.plan().masks), batch.masks.data(), n * area);
  run.set_draws({options.seed, static_cast<uint32_t>(updates), 0});  // a batch has no place in an epoch
}

void Trainer::Impl::differentiate(int batch) {
  run.forward(batch);
  run.loss(batch);
  run.backward(batch);
  last_batch = batch;
}

Trainer::Trainer(Network& network, const TrainerOptions& options)
    : impl_(std::make_unique<Impl>(network, options)) {}
Trainer::~Trainer() = default;

int64_t Trainer::positions() const {
  return impl_->positions();
}

int64_t Trainer::steps_per_epoch() const {
  return (positions() + impl_->options.batch - 1) / impl_->options.batch;
}

int64_t Trainer::updates() const {
  return impl_->updates;
}

uint64_t Trainer::reserved_bytes() const {
  const uint64_t data = impl_->order == nullptr ? 0 : impl_->order->bytes() + impl_->workspace->bytes();
  return impl_->run.plan().bytes() + data;
}

StepReport Trainer::run(uint32_t epoch, int64_t first, int64_t steps, double lr,
                        const std::atomic<bool>* stop) {
  require(impl_->options.images != nullptr, "this trainer has no images: use step() with explicit batches");
  require(first >= 0 && steps >= 0 && steps <= steps_per_epoch() - first,
          "steps " + std::to_string(first) + " to " + std::to_string(first + steps) +
              " are not all in an epoch of " + std::to_string(steps_per_epoch()));
  check_learning_rate(lr);
  impl_->run.ready();
  impl_->run.clear_report();
  int64_t done = 0;
  for (; done < steps && !(stop != nullptr && *stop); done++) {
    const int64_t position = (first + done) * impl_->options.batch;
    const int batch = static_cast<int>(std::min<int64_t>(impl_->options.batch, positions() - position));
    impl_->load(epoch, position, batch);
    impl_->differentiate(batch);
    impl_->run.update(impl_->options.optimiser, ++impl_->updates, lr);
  }
  return impl_->run.report(done);
}

StepReport Trainer::step(const Batch& batch, double lr) {
  check_learning_rate(lr);
  impl_->load(batch);
  impl_->run.clear_report();
  impl_->differentiate(batch.count);
  impl_->run.update(impl_->options.optimiser, ++impl_->updates, lr);
  return impl_->run.report(1);
}

// The running statistics are put back: nothing of the network changes.
StepReport Trainer::gradients(const Batch& batch) {
  impl_->load(batch);
  impl_->run.clear_report();
  impl_->run.save_statistics();
  impl_->differentiate(batch.count);
  impl_->run.restore_statistics();
  return impl_->run.report(0);
}

void Trainer::Impl::require_positions(int64_t first, int count) const {
  require(options.images != nullptr, "this trainer has no images");
  require(first >= 0 && count >= 0 && count <= positions() - first,
          "positions " + std::to_string(first) + " to " + std::to_string(first + count) +
              " are not all in an epoch of " + std::to_string(positions()));
}

double Trainer::time_augment(uint32_t epoch, int64_t first, int count) {
  impl_->require_positions(first, count);
  require(count >= 1 && count <= impl_->options.batch, "this trainer takes batches of 1 to " +
                                                           std::to_string(impl_->options.batch) +
                                                           " samples, got " + std::to_string(count));
  const Device& device = impl_->device;
  const auto finish = [&] { device.check(device.table().synchronise(device.handle()), "preparing a batch"); };
  impl_->run.ready();
  finish();
  const auto begin = std::chrono::steady_clock::now();
  impl_->load(epoch, first, count);
  finish();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

AugmentedBatch Trainer::augment(uint32_t epoch, int64_t first, int count) {
  impl_->require_positions(first, count);
  const Device& device = impl_->device;
  const InputShape in = impl_->network.input;
  const uint64_t area = static_cast<uint64_t>(in.height) * static_cast<uint64_t>(in.width);
  const uint64_t values = area * static_cast<uint64_t>(in.channels),
                 real = static_cast<uint64_t>(device.info().real_bytes);
  const uint64_t batch = static_cast<uint64_t>(impl_->options.batch);
  const Arena x(impl_->network.device, batch * values * real), bytes(impl_->network.device, batch * values);
  const Arena labels(impl_->network.device, batch), masks(impl_->network.device, batch * area);
  AugmentedBatch result;
  const auto append = [](auto& to, const auto& more) { to.insert(to.end(), more.begin(), more.end()); };
  for (int done = 0; done < count; done += impl_->options.batch) {
    const int n = std::min(impl_->options.batch, count - done);
    FcddAugment a = impl_->batch_of(epoch, first + done, n);
    a.x = x.slice(0, x.bytes());
    a.bytes = bytes.slice(0, bytes.bytes());
    a.labels = labels.slice(0, labels.bytes());
    a.masks = masks.slice(0, masks.bytes());
    device.check(device.table().augment(device.handle(), &a), "preparing a batch");
    const size_t size = static_cast<size_t>(n);
    append(result.pixels, download_real<float>(device, a.x, size * values));
    append(result.bytes, download<uint8_t>(device, a.bytes, size * values));
    append(result.labels, download<uint8_t>(device, a.labels, size));
    append(result.masks, download<uint8_t>(device, a.masks, size * area));
  }
  return result;
}

uint64_t Network::training_bytes(int batch, bool adam, bool pixelwise) const {
  return plan_training(*impl_, {.batch = batch, .adam = adam, .pixelwise = pixelwise}).bytes();
}

}  // namespace fcdd
