// Gaussian transposed upsampling of one image, separable: two 1-D passes. For the steps upsample, loss and
// score.
#pragma once

#include "cpu/device.h"
#include "fcdd/problems.h"

namespace fcdd::cpu {

// Throws unless extents are positive and the taps exist.
void check(const FcddUpsampleProblem& p);

// Floats of `scratch` below: height x in_width, whatever the direction.
uint64_t upsample_scratch(const FcddUpsampleProblem& p);

// low: in_height x in_width, full: height x width; the output is overwritten.
void upsample_image(const IsaTable& isa, const FcddUpsampleProblem& p, const float* taps, const float* low,
                    float* full, float* scratch);
// The adjoint: full -> low.
void upsample_image_adjoint(const IsaTable& isa, const FcddUpsampleProblem& p, const float* taps,
                            const float* full, float* low, float* scratch);

// What one worker of loss, score or upsample needs: two low maps, one full map, the scratch; floats, rounded
// so that workers do not share cache lines.
uint64_t upsample_worker_floats(const FcddUpsampleProblem& p);

}  // namespace fcdd::cpu
