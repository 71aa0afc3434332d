// Fully connected layers: convolutions whose kernel covers their whole input. All images become the pixels of
// one row of a 1x1 convolution of flattened images, so that a panel of weights serves many images, and the
// input gradient multiplies no padding. Every output is the same chain of FMA as by direct convolution.
#pragma once

#include "cpu/conv_direct.h"
#include "fcdd/device.h"

namespace fcdd::cpu {

bool fully_connected(const ConvShape& s);

DirectPlan plan_full(const ConvShape& s, int32_t pass);  // forward or input gradient
uint64_t full_packed_floats(const IsaTable& isa, const ConvShape& s, int32_t pass);
void full_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w, float* packed);

// Sums of the outputs per image, which are one value each: n x 2 x k.
void full_sums(const ConvShape& s, const float* y, double* sums);

uint64_t full_weight_grad_floats(const CpuDevice& device, const ConvShape& s);
void full_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy, float* dw,
                      float* workspace);

}  // namespace fcdd::cpu
