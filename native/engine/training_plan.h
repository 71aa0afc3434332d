// Where everything lies that a training step needs besides the network's tensors.
//
// Time runs through the S steps forward (step i at time i+1), the loss (S+1), the trained steps backward
// (step i at 2S+1-i) and the update (2S+2). A buffer lives from the step that writes it to the last that
// reads it; a frozen prefix keeps nothing for a backward pass.
#pragma once

#include <optional>
#include <vector>

#include "engine/lower.h"
#include "engine/memory.h"
#include "fcdd/network.h"

namespace fcdd {

struct TrainingPlanOptions {
  int batch = 1;
  bool adam = false, pixelwise = false;
  bool keep_activations = false;  // every value survives the step
  // Post steps run again for the weight gradients of the convolutions after them, so that their outputs need
  // not be kept: the same bits, a fifth to a quarter less memory, about 3 % more time. None: where the plan
  // is large.
  std::optional<bool> recompute = {};
  // Images that one call of a convolution sees; 0: the whole batch. Statistics and weight gradients always
  // see the whole batch, so results have the same bits for every chunk. A multiple of 16, which keeps chunks
  // 64-byte aligned.
  int chunk = 0;
};

struct TrainingPlan {
  struct StepSlots {
    Slot packed, packed_back;  // convolutions: weights as the forward pass and the input gradient want them
    Slot sums;                 // convolutions before a batch norm
    Slot mean, inv_std, argmax;
    Slot workspace;        // forward
    Slot workspace_back;   // post; weight gradient
    Slot workspace_input;  // input gradient
  };
  TrainingPlanOptions options;
  size_t first_trained = 0;  // steps before it have no backward pass
  FcddUpsampleProblem up{};
  std::vector<StepSlots> steps;
  std::vector<Slot> values;
  std::vector<Slot>
      grads;  // of the values, some in their place; those before the first trained step are empty
  std::vector<Slot> again;  // of the values that are computed again for the backward pass; else empty
  std::vector<bool> held;   // whether a value is still in place after the step
  Slot labels, masks, losses, report, taps, loss_workspace;
  Slot gradient, m, v;  // of all trainable tensors, laid out as those; v only for Adam
  Slot statistics;      // copy of the running statistics, for gradients without side effects
  uint64_t bytes = 0;
};

// Throws FCDD_INVALID_ARGUMENT when the network has nothing to train or no one-channel output.
TrainingPlan plan_training(const Network::Impl& network, const TrainingPlanOptions& options);

}  // namespace fcdd
