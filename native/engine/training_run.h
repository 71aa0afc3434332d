// One training step in parts: forward, loss, backward, update, enqueued on the network's device within one
// plan.
//
// Guarantees: nothing is reserved while steps run; batches smaller than the planned one reuse the plan;
// the bits do not depend on the plan's chunk. Batch normalisation always uses (and updates) batch statistics,
// in a frozen prefix too, as the reference code `liznerski/fcdd` does.
#pragma once

#include "engine/network_impl.h"
#include "engine/shape_steps.h"
#include "engine/training_plan.h"

namespace fcdd {

class TrainingRun {
 public:
  // sigma: of the Gaussian upsampling, 0: by receptive field; only read when pixelwise.
  // centre: one value per output, only read by the objective DSVDD.
  TrainingRun(Network::Impl& network, const TrainingPlanOptions& options, double sigma,
              const std::vector<double>& centre = {});

  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  const TrainingPlan& plan() const { return plan_; }
  FcddBuffer buffer(const Slot& slot) const;

  // Training and inference of one network never run at once and hold no memory at once: `ready` reserves the
  // memory of steps and drops the network's inference plan, an inference calls `release`. Call `ready` before
  // the first step after anything else; construction does.
  void ready();
  void release();
  bool is_ready() const { return steps_ != nullptr; }

  void set_draws(const DropoutDraws& draws) { draws_ = draws; }  // of the next forward and backward pass
  void forward(int batch);
  void loss(int batch);
  void backward(int batch);
  // `step` is 1 for the first update.
  void update(const OptimiserOptions& optimiser, int64_t step, double lr);

  void clear_report();
  StepReport report(int64_t steps) const;  // waits for the device
  void save_statistics();
  void restore_statistics();

  // The gradient's or moment's part that belongs to a trainable tensor.
  FcddBuffer part(const Slot& region, int tensor) const;

 private:
  void pack(const ConvStep& step, int32_t pass, const Slot& slot);
  void pack_frozen();
  void check_statistics(const PostStep& step, size_t index, int batch) const;
  void conv_forward(size_t i, const ConvStep& step, int batch);
  // The convolution alone, to value i+1 or to its place for the backward pass.
  struct ConvPlaces {
    const Slot &packed, &y, &sums, &workspace;
  };
  void run_conv(size_t i, const ConvStep& step, int batch, const ConvPlaces& places);
  void post_forward(size_t i, const PostStep& step, int batch);
  void apply_post(size_t i, const PostStep& step, int batch, FcddBuffer y, FcddBuffer argmax);
  void objective_loss(int batch);
  void conv_backward(size_t i, const ConvStep& step, int batch);
  void post_backward(size_t i, const PostStep& step, int batch);
  FcddBuffer gradient(int tensor) const { return tensor < 0 ? FcddBuffer{} : part(plan_.gradient, tensor); }

  Network::Impl& network_;
  const Device& device_;
  TrainingPlan plan_;
  Arena kept_;
  std::unique_ptr<Arena> steps_;
  DropoutDraws draws_;
  uint64_t frozen_edition_ = 0;  // of the network's values, when the frozen weights were packed
};

}  // namespace fcdd
