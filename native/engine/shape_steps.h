// Steps that only the networks and objectives of the baselines use; not every device has them.
#pragma once

#include "engine/lower.h"
#include "fcdd/network.h"

namespace fcdd {

// What the draws of dropout depend on besides the layer.
struct DropoutDraws {
  uint64_t seed = 0;
  uint32_t epoch = 0, first = 0;  // position of the batch's first image in the epoch
};

// Forward: from -> to. Backward: the gradient of the output -> that of the input, whose value is `x`.
void run_shape_step(const Device& device, const ShapeStep& step, int batch, FcddBuffer from, FcddBuffer to,
                    const DropoutDraws& draws);
void run_shape_step_back(const Device& device, const ShapeStep& step, int batch, FcddBuffer from,
                         FcddBuffer to, FcddBuffer x, const DropoutDraws& draws);

// "fcdd", "hsc", "ae", "dsvdd", "classify".
const char* objective_name(int32_t objective);

// Throws FCDD_INVALID_ARGUMENT when the device lacks what the objective or the layers need: "objective hsc
// runs on cpu and reference".
void require_steps(const Device& device, const Program& program, int32_t objective);

}  // namespace fcdd
