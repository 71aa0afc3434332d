// The convolution steps: check the arguments, choose an algorithm by shape and instruction set, run it.
#include "cpu/channel_sums.h"
#include "cpu/conv_direct.h"
#include "cpu/conv_full.h"
#include "cpu/conv_shape.h"
#include "cpu/conv_winograd.h"
#include "cpu/steps.h"

namespace fcdd::cpu {
namespace {

bool by_winograd(const CpuDevice& device, const ConvShape& s) {
  return !device.direct_only && !fully_connected(s) && winograd_pays(s);
}

WinogradPlan winograd_plan(const CpuDevice& device, const ConvShape& s, int32_t pass) {
  const bool bf16 = winograd_rounds(device, s);
  return pass == FCDD_INPUT_GRAD ? plan_winograd_input_grad(s, bf16) : plan_winograd_forward(s, bf16);
}

// Nothing to pool in a map of one row or column.
bool takes_pooling(const ConvShape& s) {
  return s.oh >= 2 && s.ow >= 2;
}

uint64_t packed_floats(const CpuDevice& device, const ConvShape& s, int32_t pass) {
  if (pass == FCDD_WEIGHT_GRAD) return 0;
  if (fully_connected(s)) return full_packed_floats(*device.isa, s, pass);
  if (by_winograd(device, s)) return winograd_packed_floats(*device.isa, winograd_plan(device, s, pass));
  return pass == FCDD_FORWARD ? direct_packed_floats(*device.isa, s.c, s.k, s.kernel)
                              : direct_packed_floats(*device.isa, s.k, s.c, s.kernel);
}

uint64_t workspace_floats(const CpuDevice& device, const ConvShape& s, int32_t pass) {
  if (by_winograd(device, s)) {
    return pass == FCDD_WEIGHT_GRAD ? winograd_weight_grad_floats(device, s)
                                    : winograd_workspace_floats(device, winograd_plan(device, s, pass));
  }
  const auto threads = static_cast<uint64_t>(device.threads);
  if (pass == FCDD_WEIGHT_GRAD)
    return fully_connected(s) ? full_weight_grad_floats(device, s) : direct_weight_grad_floats(device, s);
  if (pass == FCDD_FORWARD_POOLED) return threads * direct_pooled_floats(plan_direct_forward_pooled(s));
  if (fully_connected(s)) return threads * direct_scratch_floats(plan_full(s, pass));
  const DirectPlan plan = pass == FCDD_FORWARD ? plan_direct_forward(s) : plan_direct_input_grad(s);
  return threads * direct_scratch_floats(plan);
}

// After the floats of a forward pass, which are a multiple of 16: moments of blocks of rows.
uint64_t moment_doubles(const CpuDevice& device, const ConvShape& s) {
  return by_winograd(device, s) || fully_connected(s) ? 0 : direct_moment_doubles(plan_direct_forward(s));
}

// Sums over pixels want a double per image and filter: after the floats, which are a multiple of 16.
uint64_t bias_grad_doubles(const ConvShape& s) {
  return static_cast<uint64_t>(s.n * s.k);
}

void check_pass(int32_t pass) {
  require(pass == FCDD_FORWARD || pass == FCDD_INPUT_GRAD || pass == FCDD_WEIGHT_GRAD ||
              pass == FCDD_FORWARD_POOLED,
          "convolution: unknown pass");
}

}  // namespace

uint64_t conv_packed_bytes(const CpuDevice& device, const FcddConvProblem& p, int32_t pass) {
  check_pass(pass);
  return packed_floats(device, shape_of(p), pass) * sizeof(float);
}

uint64_t conv_workspace_bytes(const CpuDevice& device, const FcddConvProblem& p, int32_t pass) {
  check_pass(pass);
  const ConvShape s = shape_of(p);
  if (pass == FCDD_FORWARD_POOLED && !takes_pooling(s)) return FCDD_DECLINED;
  const uint64_t bytes = workspace_floats(device, s, pass) * sizeof(float);
  const uint64_t doubles = pass == FCDD_WEIGHT_GRAD ? bias_grad_doubles(s)
                           : pass == FCDD_FORWARD   ? moment_doubles(device, s)
                                                    : 0;
  return bytes + doubles * sizeof(double);
}

void conv_pack(CpuDevice& device, const FcddConvPack& a) {
  require(a.pass == FCDD_FORWARD || a.pass == FCDD_INPUT_GRAD,
          "conv_pack: this pass wants no packed weights");
  const ConvShape s = shape_of(a.p);
  const float* w = at<float>(device, a.w, s.weights(), "conv_pack: w");
  float* packed = at<float>(device, a.packed, packed_floats(device, s, a.pass), "conv_pack: packed");
  const auto pack = fully_connected(s) ? full_pack : by_winograd(device, s) ? winograd_pack : direct_pack;
  pack(device, s, a.pass == FCDD_INPUT_GRAD, w, packed);
}

namespace {

// y = pool(act(x w + bias)): what the plain sequence computes, bit by bit, without its full-size output.
void conv_forward_pooled(const CpuDevice& device, const FcddConvForward& a, const ConvShape& s,
                         Epilogue epilogue) {
  require(takes_pooling(s), "conv_forward: nothing to pool");
  require(a.sums.arena == 0, "conv_forward: sums go with an unpooled output only");
  const float* x = at<float>(device, a.x, s.inputs(), "conv_forward: x");
  const float* packed =
      at<float>(device, a.packed, packed_floats(device, s, FCDD_FORWARD), "conv_forward: packed");
  float* y =
      at<float>(device, a.y, static_cast<uint64_t>(s.n * (s.oh / 2) * (s.ow / 2) * s.k), "conv_forward: y");
  float* workspace = at<float>(device, a.workspace, workspace_floats(device, s, FCDD_FORWARD_POOLED),
                               "conv_forward: workspace");
  epilogue.pooled = true;
  if (by_winograd(device, s)) {
    winograd_run(device, winograd_plan(device, s, FCDD_FORWARD), x, packed, y, epilogue, workspace);
  } else {
    direct_run_pooled(device, plan_direct_forward_pooled(s), x, packed, y, epilogue, workspace);
  }
}

}  // namespace

void conv_forward(CpuDevice& device, const FcddConvForward& a) {
  const ConvShape s = shape_of(a.p);
  const auto k = static_cast<uint64_t>(s.k);
  const Epilogue epilogue{at_or_null<float>(device, a.bias, k, "conv_forward: bias"),
                          a.activation == FCDD_ACT_LEAKY, static_cast<float>(a.slope)};
  if (a.pooled != 0) return conv_forward_pooled(device, a, s, epilogue);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_forward: x");
  const float* packed =
      at<float>(device, a.packed, packed_floats(device, s, FCDD_FORWARD), "conv_forward: packed");
  float* y = at<float>(device, a.y, s.outputs(), "conv_forward: y");
  double* sums = at_or_null<double>(device, a.sums, static_cast<uint64_t>(s.n) * 2 * k, "conv_forward: sums");
  const uint64_t floats = workspace_floats(device, s, FCDD_FORWARD);
  float* workspace =
      at<float>(device, a.workspace, floats + 2 * moment_doubles(device, s), "conv_forward: workspace");
  if (fully_connected(s)) {
    direct_run(device, plan_full(s, FCDD_FORWARD), x, packed, y, epilogue, workspace);
    if (sums != nullptr) full_sums(s, y, sums);
  } else if (by_winograd(device, s)) {
    winograd_run(device, winograd_plan(device, s, FCDD_FORWARD), x, packed, y, epilogue, workspace);
    if (sums != nullptr) image_moments(device, y, s.n, s.oh * s.ow, s.k, sums);
  } else if (sums != nullptr) {
    direct_run_with_moments(device, plan_direct_forward(s), x, packed, y, epilogue, workspace,
                            reinterpret_cast<double*>(workspace + floats), sums);
  } else {
    direct_run(device, plan_direct_forward(s), x, packed, y, epilogue, workspace);
  }
}

void conv_input_grad(CpuDevice& device, const FcddConvInputGrad& a) {
  const ConvShape s = shape_of(a.p);
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_input_grad: dy");
  const float* packed =
      at<float>(device, a.packed, packed_floats(device, s, FCDD_INPUT_GRAD), "conv_input_grad: packed");
  float* dx = at<float>(device, a.dx, s.inputs(), "conv_input_grad: dx");
  float* workspace = at<float>(device, a.workspace, workspace_floats(device, s, FCDD_INPUT_GRAD),
                               "conv_input_grad: workspace");
  if (fully_connected(s)) {
    direct_run(device, plan_full(s, FCDD_INPUT_GRAD), dy, packed, dx, Epilogue{}, workspace);
  } else if (by_winograd(device, s)) {
    winograd_run(device, winograd_plan(device, s, FCDD_INPUT_GRAD), dy, packed, dx, Epilogue{}, workspace);
  } else {
    direct_run(device, plan_direct_input_grad(s), dy, packed, dx, Epilogue{}, workspace);
  }
}

void conv_weight_grad(CpuDevice& device, const FcddConvWeightGrad& a) {
  const ConvShape s = shape_of(a.p);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_weight_grad: x");
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_weight_grad: dy");
  float* dw = at<float>(device, a.dw, s.weights(), "conv_weight_grad: dw");
  float* dbias = at_or_null<float>(device, a.dbias, static_cast<uint64_t>(s.k), "conv_weight_grad: dbias");
  const uint64_t floats = workspace_floats(device, s, FCDD_WEIGHT_GRAD);
  float* workspace =
      at<float>(device, a.workspace, floats + 2 * bias_grad_doubles(s), "conv_weight_grad: workspace");
  const auto run = fully_connected(s)       ? full_weight_grad
                   : by_winograd(device, s) ? winograd_weight_grad
                                            : direct_weight_grad;
  run(device, s, x, dy, dw, workspace);
  if (dbias != nullptr) {
    channel_totals(device, dy, s.n, s.oh * s.ow, s.k, reinterpret_cast<double*>(workspace + floats), dbias);
  }
}

}  // namespace fcdd::cpu
