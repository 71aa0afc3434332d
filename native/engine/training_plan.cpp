#include "engine/training_plan.h"

#include <algorithm>
#include <string>

#include "engine/network_impl.h"

namespace fcdd {
namespace {

constexpr uint64_t kRecomputeFrom = uint64_t{512} << 20;  // smaller plans trade no time for memory
// Multiplications per output of a convolution that is cheap enough to run twice: a first layer's 5x5 of RGB.
constexpr int64_t kCheapFanIn = 75;

class Planning {
 public:
  Planning(const Network::Impl& network, const TrainingPlanOptions& options)
      : network_(network),
        device_(*network.device),
        program_(network.training),
        real_(static_cast<uint64_t>(device_.info().real_bytes)),
        count_(static_cast<int>(program_.steps.size())) {
    plan_.options = options;
    plan_.first_trained = fcdd::first_trained(program_);
    if (options.objective == FCDD_OBJECTIVE_FCDD) plan_.up = upsampling(network.layers, network.input);
    plan_.up.batch = options.batch;
    plan_.steps.resize(program_.steps.size());
    plan_.values.resize(program_.values.size());
    plan_.grads.resize(program_.values.size());
    plan_.again.resize(program_.values.size());
  }

  TrainingPlan run() {
    for (int i = 0; i <= count_; i++) value(i);
    for (int i = 0; i < count_; i++) {
      if (const ConvStep* conv = std::get_if<ConvStep>(&program_.steps[i])) {
        conv_step(i, *conv);
      } else if (const PostStep* post = std::get_if<PostStep>(&program_.steps[i])) {
        post_step(i, *post);
      }
    }
    loss_and_optimiser();
    plan_.step_bytes = planner_.place();
    plan_.kept_bytes = kept_.place();
    for (int i = 0; i < count_; i++) {
      if (in_place(i)) plan_.grads[i] = conv_runs_again(i) ? plan_.again[i] : plan_.values[i];
    }
    find_held();
    return std::move(plan_);
  }

 private:
  int forward_time(int step) const { return step + 1; }
  int loss_time() const { return count_ + 1; }
  int backward_time(int step) const { return count_ + 2 + 2 * (count_ - 1 - step); }  // post; weight gradient
  int input_grad_time(int step) const { return backward_time(step) + 1; }
  int end() const { return 3 * count_ + 2; }
  int batch() const { return plan_.options.batch; }
  bool trained(int step) const { return step >= static_cast<int>(plan_.first_trained); }
  bool is_conv(int step) const { return std::holds_alternative<ConvStep>(program_.steps[step]); }

  // Whether the gradient of value i lies in the place of the value.
  bool in_place(int i) const {
    return i < count_ && trained(i) && !is_conv(i) && !plan_.options.keep_activations;
  }

  bool recomputes() const { return plan_.options.recompute == true && !plan_.options.keep_activations; }

  // Whether value i, written by a post step, is dropped after the forward pass and computed again for the
  // convolution that reads it. The post step's own input lives long enough when it has a backward pass.
  bool post_runs_again(int i) const {
    return recomputes() && i > 0 && i < count_ && trained(i - 1) && !conv_runs_again(i - 1) &&
           std::holds_alternative<PostStep>(program_.steps[i - 1]) && is_conv(i);
  }

  // Whether value i, written by the first of all convolutions, is dropped after the forward pass and computed
  // again for the backward pass of the post step that reads it.
  bool conv_runs_again(int i) const {
    if (!recomputes() || i != 1 || count_ < 2 || !trained(0)) return false;
    const ConvStep* conv = std::get_if<ConvStep>(&program_.steps[0]);
    return conv != nullptr && std::holds_alternative<PostStep>(program_.steps[1]) &&
           int64_t{conv->p.channels} * conv->p.kernel * conv->p.kernel <= kCheapFanIn;
  }

  void keep(Slot& slot, uint64_t bytes) {
    slot.kept = true;
    kept_.add(slot, bytes, 0, 0);
  }
  void whole_step(Slot& slot, uint64_t bytes) { planner_.add(slot, bytes, 0, end()); }
  void once(Slot& slot, uint64_t bytes, int time) { planner_.add(slot, bytes, time, time); }

  // Last tick that reads the gradient of value i, which is that of step i-1; -1 when none does.
  int gradient_read_time(int i) const {
    if (i == 0 || !trained(i - 1)) return -1;
    const bool passes_on = is_conv(i - 1) && i - 1 > static_cast<int>(plan_.first_trained);
    return passes_on ? input_grad_time(i - 1) : backward_time(i - 1);
  }

  // A value is written by step i-1 and read by step i: forward, and backward when that is trained. Its
  // gradient is written by step i's backward pass (or the loss) and read by that of step i-1.
  void value(int i) {
    const uint64_t bytes = bytes_of(batch(), program_.values[i], real_);
    int last = i == count_ ? loss_time() : trained(i) ? backward_time(i) : forward_time(i);
    if (post_runs_again(i)) {
      last = forward_time(i);
      once(plan_.again[i], bytes, backward_time(i));
    } else if (conv_runs_again(i)) {
      last = forward_time(i);
      planner_.add(plan_.again[i], bytes, backward_time(i),
                   std::max(backward_time(i), gradient_read_time(i)));
    } else if (in_place(i)) {
      last = std::max(last, gradient_read_time(i));
    }
    // An autoencoder is compared with its input.
    if (i == 0 && plan_.options.objective == FCDD_OBJECTIVE_AE) last = std::max(last, loss_time());
    if (plan_.options.keep_activations) last = end();
    planner_.add(plan_.values[i], bytes, i, last);
    if (in_place(i)) return;
    // A step that is no convolution always writes its dx, even when nobody reads it.
    const bool written = gradient_read_time(i) >= 0 || (i < count_ && trained(i) && !is_conv(i));
    if (!written) return;
    const int born = i == count_ ? loss_time() : is_conv(i) ? input_grad_time(i) : backward_time(i);
    planner_.add(plan_.grads[i], bytes, born, std::max(born, gradient_read_time(i)));
  }

  void conv_step(int i, const ConvStep& step) {
    const FcddDeviceTable& table = device_.table();
    TrainingPlan::StepSlots& slots = plan_.steps[i];
    FcddConvProblem p = step.p;
    p.batch = plan_.options.chunk == 0 ? batch() : std::min(plan_.options.chunk, batch());
    const uint64_t packed = table.conv_packed_bytes(device_.handle(), &p, FCDD_FORWARD);
    if (step.trainable) {
      once(slots.packed, packed, forward_time(i));
    } else {
      whole_step(slots.packed, packed);  // packed once
    }
    const uint64_t workspace = table.conv_workspace_bytes(device_.handle(), &p, FCDD_FORWARD);
    once(slots.workspace, workspace, forward_time(i));
    if (conv_runs_again(i + 1)) {
      once(slots.packed_again, packed, backward_time(i + 1));
      once(slots.workspace_again, workspace, backward_time(i + 1));
    }
    if (step.normalised) {
      planner_.add(slots.sums,
                   static_cast<uint64_t>(batch()) * 2 * static_cast<uint64_t>(p.filters) * sizeof(double),
                   forward_time(i), forward_time(i + 1));
    }
    if (!trained(i)) return;
    if (i > static_cast<int>(plan_.first_trained)) {
      once(slots.packed_back, table.conv_packed_bytes(device_.handle(), &p, FCDD_INPUT_GRAD),
           input_grad_time(i));
      once(slots.workspace_input, table.conv_workspace_bytes(device_.handle(), &p, FCDD_INPUT_GRAD),
           input_grad_time(i));
    }
    p.batch = batch();
    once(slots.workspace_back, table.conv_workspace_bytes(device_.handle(), &p, FCDD_WEIGHT_GRAD),
         backward_time(i));
  }

  void post_step(int i, const PostStep& step) {
    TrainingPlan::StepSlots& slots = plan_.steps[i];
    FcddPostProblem p = step.p;
    p.batch = batch();
    const int last = trained(i) ? backward_time(i) : forward_time(i);
    if (p.norm != FCDD_NORM_NONE) {
      planner_.add(slots.mean, static_cast<uint64_t>(p.channels) * real_, forward_time(i), last);
      planner_.add(slots.inv_std, static_cast<uint64_t>(p.channels) * real_, forward_time(i), last);
    }
    if (!trained(i)) return;
    if (p.pool.kernel > 0) {
      planner_.add(slots.argmax, bytes_of(batch(), program_.values[i + 1], 1), forward_time(i), last);
    }
    once(slots.workspace_back, device_.table().post_workspace_bytes(device_.handle(), &p), backward_time(i));
  }

  void loss_and_optimiser() {
    const uint64_t n = static_cast<uint64_t>(batch());
    whole_step(plan_.labels, n);
    whole_step(plan_.losses, n * sizeof(double));
    keep(plan_.report, 5 * sizeof(double));
    if (plan_.options.pixelwise) {
      whole_step(plan_.masks, bytes_of(batch(), {1, plan_.up.height, plan_.up.width}, 1));
      keep(plan_.taps, static_cast<uint64_t>(plan_.up.taps) * real_);
    }
    if (plan_.options.objective == FCDD_OBJECTIVE_FCDD) {
      once(plan_.loss_workspace, device_.table().upsample_workspace_bytes(device_.handle(), &plan_.up),
           loss_time());
    }
    if (plan_.options.objective == FCDD_OBJECTIVE_DSVDD)
      keep(plan_.centre, bytes_of(1, program_.values.back(), real_));
    keep(plan_.gradient, network_.trainable_bytes);
    keep(plan_.m, network_.trainable_bytes);
    if (plan_.options.adam) keep(plan_.v, network_.trainable_bytes);
    whole_step(plan_.statistics, network_.statistics.bytes);
  }

  // A value is gone when its gradient took its place or memory of a later-born buffer touches its own.
  void find_held() {
    for (int i = 0; i <= count_; i++) {
      const Slot& value = plan_.values[i];
      const auto own = std::find_if(planner_.requests().begin(), planner_.requests().end(),
                                    [&](const MemoryPlanner::Request& r) { return r.slot == &value; });
      plan_.held.push_back(!in_place(i) &&
                           std::none_of(planner_.requests().begin(), planner_.requests().end(),
                                        [&](const MemoryPlanner::Request& r) {
                                          return r.first > own->last &&
                                                 r.slot->offset < value.offset + value.bytes &&
                                                 value.offset < r.slot->offset + r.slot->bytes;
                                        }));
    }
  }

  const Network::Impl& network_;
  const Device& device_;
  const Program& program_;
  const uint64_t real_;
  const int count_;
  TrainingPlan plan_;
  MemoryPlanner planner_, kept_;
};

constexpr int kChunkMultiple = 16;  // see TrainingPlanOptions::chunk

TrainingPlan planned(const Network::Impl& network, TrainingPlanOptions options, int batch, bool recompute,
                     int chunk) {
  options.batch = batch;
  options.recompute = recompute;
  options.chunk = chunk;
  return Planning(network, options).run();
}

bool fits(const TrainingPlan& plan) {
  return plan.bytes() + plan.options.beside <= plan.options.budget;
}

// With one digit, so that a need and a budget that differ look different: one is rounded up, the other down.
std::string mebibytes(uint64_t bytes, bool up) {
  const uint64_t tenths = (bytes * 10 + (up ? (1 << 20) - 1 : 0)) >> 20;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

[[noreturn]] void over_budget(const Network::Impl& network, const TrainingPlan& smallest) {
  const TrainingPlanOptions& o = smallest.options;
  int fitting = 0;
  for (int low = 1, high = o.batch - 1; low <= high;) {
    const int middle = low + (high - low) / 2;
    if (fits(planned(network, o, middle, true, kChunkMultiple))) {
      fitting = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  throw Error("FCDD_OUT_OF_MEMORY",
              "training with a batch of " + std::to_string(o.batch) + " needs at least " +
                  mebibytes(smallest.bytes() + o.beside, true) + ", the memory budget is " +
                  mebibytes(o.budget, false) +
                  (fitting > 0 ? ": a batch of " + std::to_string(fitting) + " fits" : ": no batch fits"));
}

// Whole batches, then post steps computed again, then ever smaller chunks: each costs more time.
TrainingPlan plan_within_budget(const Network::Impl& network, const TrainingPlanOptions& options) {
  TrainingPlan plan = planned(network, options, options.batch, false, 0);
  if (fits(plan)) return plan;
  for (int chunk = options.batch;; chunk /= 2) {
    const int whole = (chunk + kChunkMultiple - 1) / kChunkMultiple * kChunkMultiple;
    plan = planned(network, options, options.batch, true, whole >= options.batch ? 0 : whole);
    if (fits(plan)) return plan;
    if (whole <= kChunkMultiple) over_budget(network, plan);
  }
}

}  // namespace

TrainingPlan plan_training(const Network::Impl& network, const TrainingPlanOptions& options) {
  network.require_output(options.objective);
  if (options.batch < 1) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a batch needs at least one sample, got " + std::to_string(options.batch));
  }
  if (network.trainable_bytes == 0) {
    throw Error("FCDD_INVALID_ARGUMENT", "all layers of the network are frozen: there is nothing to train");
  }
  if (options.budget > 0) return plan_within_budget(network, options);
  if (options.recompute.has_value()) return Planning(network, options).run();
  TrainingPlanOptions chosen = options;
  chosen.recompute = false;
  TrainingPlan plan = Planning(network, chosen).run();
  if (plan.bytes() <= kRecomputeFrom) return plan;
  chosen.recompute = true;
  return Planning(network, chosen).run();
}

}  // namespace fcdd
