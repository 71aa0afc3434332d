// Scores and heatmaps of batches: batch norms folded into the convolutions, weights packed once, one memory
// plan for all batches up to its capacity.
//
// Guarantees: an image's results have the same bits whatever else is in its batch (the devices promise it per
// step); weights are folded and packed anew exactly when a tensor of the network has changed.
#pragma once

#include <vector>

#include "engine/lower.h"
#include "engine/memory.h"
#include "engine/shape_steps.h"
#include "fcdd/network.h"

namespace fcdd {

// What an inference plan is made for. With gradients the values of all layers are kept for a backward pass
// (inference_objective.cpp).
struct InferenceUse {
  int32_t objective = FCDD_OBJECTIVE_FCDD;
  bool gradients = false;
  int blur = 0;  // extent
  bool operator==(const InferenceUse&) const = default;
};
InferenceUse use_of(const InferOptions& options);

struct InferencePlan {
  InferenceUse use;
  struct StepSlots {
    Slot packed, bias, workspace;  // convolutions; bias holds the folded one
    Slot packed_back;              // with gradients: for the input gradient
    Slot argmax, workspace_back;   // with gradients
  };
  Program program;
  FcddUpsampleProblem up{};
  int capacity = 0;
  uint64_t bytes = 0;
  std::vector<StepSlots> steps;
  std::vector<Slot> values;
  std::vector<Slot> grads;  // of the values, with gradients
  Slot folded, taps, scores, low, maps, score_workspace;
  Slot centre, blur_taps, blurred, blur_workspace;
  FcddUpsampleProblem blur{};
};

InferencePlan plan_inference(const Network::Impl& network, int capacity, const InferenceUse& use = {});

class Inference {
 public:
  Inference(const Network::Impl& network, int capacity, const InferenceUse& use);

  int capacity() const { return plan_.capacity; }
  const InferenceUse& use() const { return plan_.use; }
  FcddBuffer input() const;  // real, capacity x H x W x C
  // Runs the first `count` images of input() and appends to `result`.
  void run(const Network::Impl& network, int count, const InferOptions& options, InferResult& result);

 private:
  void prepare(const Network::Impl& network);
  void prepare_conv(const Network::Impl& network, size_t step, const ConvStep& conv);
  void set_sigma(const Network::Impl& network, double sigma);
  void forward(const Network::Impl& network, int count);
  void score(const Network::Impl& network, int count, const InferOptions& options);
  // Of objectives other than FCDD.
  void objective_score(const Network::Impl& network, int count, const InferOptions& options);
  void objective_map(const Network::Impl& network, int count);
  void blur_maps(const Network::Impl& network, int count, double sigma);
  void input_gradient(const Network::Impl& network, int count);
  FcddBuffer bias(const Network::Impl& network, size_t step, const ConvStep& conv) const;

  InferencePlan plan_;
  Arena arena_;
  uint64_t edition_ = 0;  // of the network, when its weights were packed
  double sigma_ = 0;      // of the taps on the device
};

// The values of the 1-D Gaussian kernel for a network; sigma 0: by receptive field.
std::vector<double> taps_of(const Network::Impl& network, double sigma);

}  // namespace fcdd
