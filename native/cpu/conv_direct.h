// Direct convolution, any kernel, stride and padding: forward, input gradient (a convolution of dy with
// flipped, transposed weights) and weight gradient, over blocks of output rows that stay in a core's cache.
#pragma once

#include "cpu/conv_gather.h"
#include "cpu/conv_shape.h"
#include "cpu/device.h"

namespace fcdd::cpu {

// What follows the sum of products.
struct Epilogue {
  const float* bias = nullptr;  // or null
  bool leaky = false;
  float slope = 0;
  bool pooled = false;  // then max pooling (2, 2, 0): y is n x oh/2 x ow/2 x k, rounded down
};

// A convolution as the kernel runs it: `from` convolved with stride `stride` gives n x oh x ow x k.
struct DirectPlan {
  int64_t n;
  Gather from;
  int kernel, stride;
  int64_t oh, ow, k;
  int64_t rows;    // output rows of a block
  int64_t images;  // of a block; above 1 only when rows == oh
  bool in_place;   // 1x1 without padding: nothing to gather
};

DirectPlan plan_direct_forward(const ConvShape& s);
DirectPlan plan_direct_forward_pooled(const ConvShape& s);  // blocks of an even number of rows
DirectPlan plan_direct_input_grad(const ConvShape& s);

uint64_t direct_packed_floats(const IsaTable& isa, int64_t channels, int64_t filters, int kernel);
uint64_t direct_scratch_floats(const DirectPlan& plan);  // per worker
uint64_t direct_pooled_floats(const DirectPlan& plan);   // per worker, gathered rows and unpooled outputs
uint64_t direct_moment_doubles(const DirectPlan& plan);

// OIHW weights -> panels for the forward pass, or flipped and transposed for the input gradient.
void direct_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w, float* packed);
void direct_run(const CpuDevice& device, const DirectPlan& plan, const float* x, const float* packed,
                float* y, const Epilogue& epilogue, float* workspace);

// The same for a pooled plan: a block's outputs are pooled while they are in the cache.
void direct_run_pooled(const CpuDevice& device, const DirectPlan& plan, const float* x, const float* packed,
                       float* y, const Epilogue& epilogue, float* workspace);

// The same as direct_run, and while the output is in the cache its sums per image (channel_sums.h): n x 2 x
// k. `slots` holds direct_moment_doubles values.
void direct_run_with_moments(const CpuDevice& device, const DirectPlan& plan, const float* x,
                             const float* packed, float* y, const Epilogue& epilogue, float* workspace,
                             double* slots, double* sums);

uint64_t direct_weight_grad_floats(const CpuDevice& device, const ConvShape& s);
void direct_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy,
                        float* dw, float* workspace);
// The same for `s` whose weights are `weights`' under another name: as many, panels in the same order.
void direct_weight_grad_as(const CpuDevice& device, const ConvShape& s, const ConvShape& weights,
                           const float* x, const float* dy, float* dw, float* workspace);

}  // namespace fcdd::cpu
