// Where everything lies that a training step needs besides the network's tensors.
//
// There are two parts: one lasts (gradients, the optimiser's moments), one is needed only while steps run
// (activations, workspaces). In the latter, time runs through the steps forward, the loss, the trained steps
// backward and the update; a convolution's backward pass takes two ticks, so that the gradient of its input
// may lie where the input was (read by the weight gradient before). A buffer lives from the tick that writes
// it to the last that reads it; a frozen prefix keeps nothing for a backward pass; the gradient of a post
// step's input replaces the input.
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
  int32_t objective = FCDD_OBJECTIVE_FCDD;
  bool keep_activations = false;  // every value survives the step
  // Post steps run again for the weight gradients of the convolutions after them, so that their outputs need
  // not be kept: the same bits, a fifth to a quarter less memory, about 3 % more time. None: where the plan
  // is large.
  std::optional<bool> recompute = {};
  // Images that one call of a convolution sees; 0: the whole batch. Statistics and weight gradients always
  // see the whole batch, so results have the same bits for every chunk. A multiple of 16, which keeps chunks
  // 64-byte aligned.
  int chunk = 0;
  // Bytes that the plan and `beside` (what else must be there) may take together; 0: no limit. With a budget
  // `recompute` and `chunk` are chosen, the fastest that fit.
  uint64_t budget = 0, beside = 0;
};

struct TrainingPlan {
  struct StepSlots {
    Slot packed, packed_back;  // convolutions: weights as the forward pass and the input gradient want them
    Slot packed_again, workspace_again;  // of a convolution that runs again
    Slot sums;                           // convolutions before a batch norm
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
  Slot labels, masks, losses, report, taps, centre, loss_workspace;
  Slot gradient, m, v;  // of all trainable tensors, laid out as those; v only for Adam
  Slot statistics;      // copy of the running statistics, for gradients without side effects
  uint64_t step_bytes = 0, kept_bytes = 0;  // sizes of the two parts
  uint64_t bytes() const { return step_bytes + kept_bytes; }
};

// Throws FCDD_INVALID_ARGUMENT when the network has nothing to train or not the objective's output, and
// FCDD_OUT_OF_MEMORY when no plan fits the budget, with what is needed and the batch that would fit.
TrainingPlan plan_training(const Network::Impl& network, const TrainingPlanOptions& options);

}  // namespace fcdd
