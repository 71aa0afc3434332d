// The convolution steps: check the arguments, choose a path by shape, run it.
#include <algorithm>

#include "cuda/conv_paths.h"
#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

// The direct path keeps weights and two patches of that many places in shared memory: 60 KiB.
constexpr int32_t direct_channels = 3, direct_places = 80;

void check_pass(int32_t pass) {
  require(pass == FCDD_FORWARD || pass == FCDD_INPUT_GRAD || pass == FCDD_WEIGHT_GRAD,
          "convolution: unknown pass");
}

void run(CudaDevice& device, const ConvRun& run) {
  const ConvPath path = path_of(run.view);
  if (path == ConvPath::direct) return run_direct(device, run);
  if (path == ConvPath::dot) return run_dot(device, run);
  if (device.precision == Precision::float32) return run_gemm_float32(device, run);
  if (device.precision == Precision::tf32) return run_gemm_tf32(device, run);
  run_gemm_bf16(device, run);
}

}  // namespace

ConvShape shape_of(const FcddConvProblem& p) {
  require(p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0 && p.filters > 0,
          "convolution: expected positive extents");
  require(p.kernel > 0 && p.stride > 0 && p.padding >= 0,
          "convolution: expected a positive kernel and stride and a padding of at least 0");
  require(p.height + int64_t{2} * p.padding >= p.kernel && p.width + int64_t{2} * p.padding >= p.kernel,
          "convolution: the kernel is larger than the padded input");
  ConvShape s{p.batch, p.height, p.width, p.channels, p.filters, 0, 0, p.kernel, p.stride, p.padding};
  s.oh = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  s.ow = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  // Kernels count pixels and weights in 32 bits (elements in 64), with room for the places of a last stage.
  constexpr int64_t most = INT32_MAX - 65536;
  require(s.in_pixels() <= most && s.out_pixels() <= most && s.k <= most / s.taps() / s.c,
          "convolution: more pixels or weights than 2^31");
  return s;
}

ConvView view_of(const ConvShape& s, int32_t pass) {
  const bool forward = pass != FCDD_INPUT_GRAD;
  ConvView v{};
  v.from_height = static_cast<int32_t>(forward ? s.h : s.oh);
  v.from_width = static_cast<int32_t>(forward ? s.w : s.ow);
  v.channels = static_cast<int32_t>(forward ? s.c : s.k);
  v.to_height = static_cast<int32_t>(forward ? s.oh : s.h);
  v.to_width = static_cast<int32_t>(forward ? s.ow : s.w);
  v.filters = static_cast<int32_t>(forward ? s.k : s.c);
  v.kernel = s.kernel;
  v.step = forward ? s.stride : 1;
  v.dilation = forward ? 1 : s.stride;
  v.offset = forward ? s.padding : s.kernel - 1 - s.padding;
  v.pixels = static_cast<int32_t>(s.n * v.to_height * v.to_width);
  v.depth = static_cast<int32_t>(s.taps() * v.channels);
  v.by_image = fast_divide(int64_t{v.to_height} * v.to_width);
  v.by_row = fast_divide(v.to_width);
  v.by_channels = fast_divide(v.channels);
  v.by_kernel = fast_divide(v.kernel);
  return v;
}

ConvPath path_of(const ConvView& v) {
  if (v.filters == 1) return ConvPath::dot;
  return v.channels <= direct_channels && v.depth <= direct_places ? ConvPath::direct : ConvPath::gemm;
}

uint64_t conv_packed_bytes(const CudaDevice& device, const FcddConvProblem& p, int32_t pass) {
  check_pass(pass);
  const ConvShape s = shape_of(p);
  return pass == FCDD_WEIGHT_GRAD ? 0 : packed_bytes(view_of(s, pass), device.precision);
}

uint64_t conv_workspace_bytes(const CudaDevice&, const FcddConvProblem& p, int32_t pass) {
  if (pass == FCDD_FORWARD_POOLED) return FCDD_DECLINED;
  check_pass(pass);
  const ConvShape s = shape_of(p);
  if (pass == FCDD_FORWARD) return image_sums_workspace(s.n, s.oh * s.ow, s.k);
  // The bias gradient comes after the weight gradient and takes its place.
  return pass == FCDD_WEIGHT_GRAD ? std::max(weight_grad_workspace(s), bias_grad_workspace(s)) : 0;
}

void conv_pack(CudaDevice& device, const FcddConvPack& a) {
  require(a.pass == FCDD_FORWARD || a.pass == FCDD_INPUT_GRAD,
          "conv_pack: this pass wants no packed weights");
  const ConvShape s = shape_of(a.p);
  const float* w = at<float>(device, a.w, s.weights(), "conv_pack: w");
  void* packed =
      at<uint8_t>(device, a.packed, packed_bytes(view_of(s, a.pass), device.precision), "conv_pack: packed");
  pack_weights(device, s, a.pass, w, packed);
}

void conv_forward(CudaDevice& device, const FcddConvForward& a) {
  require(a.pooled == 0, "conv_forward: pooling is a step of its own here");
  const ConvShape s = shape_of(a.p);
  const auto k = static_cast<uint64_t>(s.k);
  const ConvView v = view_of(s, FCDD_FORWARD);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_forward: x");
  const void* packed =
      at<uint8_t>(device, a.packed, packed_bytes(v, device.precision), "conv_forward: packed");
  float* y = at<float>(device, a.y, s.outputs(), "conv_forward: y");
  double* sums = at_or_null<double>(device, a.sums, static_cast<uint64_t>(s.n) * 2 * k, "conv_forward: sums");
  void* workspace =
      at<uint8_t>(device, a.workspace, sums == nullptr ? 0 : image_sums_workspace(s.n, s.oh * s.ow, s.k),
                  "conv_forward: workspace");
  const Epilogue epilogue{at_or_null<float>(device, a.bias, k, "conv_forward: bias"),
                          a.activation == FCDD_ACT_LEAKY, static_cast<float>(a.slope)};
  run(device, {v, x, packed, y, epilogue});
  if (sums != nullptr) image_sums(device, y, s.n, s.oh * s.ow, s.k, workspace, sums);
}

void conv_input_grad(CudaDevice& device, const FcddConvInputGrad& a) {
  const ConvShape s = shape_of(a.p);
  const ConvView v = view_of(s, FCDD_INPUT_GRAD);
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_input_grad: dy");
  const void* packed =
      at<uint8_t>(device, a.packed, packed_bytes(v, device.precision), "conv_input_grad: packed");
  float* dx = at<float>(device, a.dx, s.inputs(), "conv_input_grad: dx");
  run(device, {v, dy, packed, dx, {}});
}

void conv_weight_grad(CudaDevice& device, const FcddConvWeightGrad& a) {
  const ConvShape s = shape_of(a.p);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_weight_grad: x");
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_weight_grad: dy");
  float* dw = at<float>(device, a.dw, s.weights(), "conv_weight_grad: dw");
  float* dbias = at_or_null<float>(device, a.dbias, static_cast<uint64_t>(s.k), "conv_weight_grad: dbias");
  const uint64_t bytes = std::max(weight_grad_workspace(s), dbias == nullptr ? 0 : bias_grad_workspace(s));
  void* workspace = at<uint8_t>(device, a.workspace, bytes, "conv_weight_grad: workspace");
  weight_grad(device, s, x, dy, dw, static_cast<float*>(workspace));
  if (dbias != nullptr) bias_grad(device, s, dy, dbias, static_cast<double*>(workspace));
}

}  // namespace fcdd::cuda
