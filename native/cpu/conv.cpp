#include <cmath>
#include <cstring>

#include "cpu/conv_shape.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {

uint64_t conv_packed_bytes(const CpuDevice&, const FcddConvProblem& p, int32_t pass) {
  return pass == FCDD_WEIGHT_GRAD ? 0 : shape_of(p).weights() * sizeof(float);
}
uint64_t conv_workspace_bytes(const CpuDevice&, const FcddConvProblem&, int32_t) {
  return 0;
}

void conv_pack(CpuDevice& device, const FcddConvPack& a) {
  const ConvShape s = shape_of(a.p);
  std::memcpy(at<float>(device, a.packed, s.weights(), "conv_pack: packed"),
              at<float>(device, a.w, s.weights(), "conv_pack: w"), s.weights() * sizeof(float));
}

void conv_forward(CpuDevice& device, const FcddConvForward& a) {
  const ConvShape s = shape_of(a.p);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_forward: x");
  const float* w = at<float>(device, a.packed, s.weights(), "conv_forward: packed");
  float* y = at<float>(device, a.y, s.outputs(), "conv_forward: y");
  const float* bias = at_or_null<float>(device, a.bias, static_cast<uint64_t>(s.k), "conv_forward: bias");
  double* sums =
      at_or_null<double>(device, a.sums, static_cast<uint64_t>(s.n * 2 * s.k), "conv_forward: sums");
  const auto slope = static_cast<float>(a.slope);
  parallel(device.threads, s.n * s.oh, [&](int64_t row, int) {
    const int64_t n = row / s.oh, oy = row % s.oh;
    for (int64_t ox = 0; ox < s.ow; ox++)
      for (int64_t k = 0; k < s.k; k++) {
        float sum = bias ? bias[k] : 0;
        for (int r = 0; r < s.kernel; r++)
          for (int q = 0; q < s.kernel; q++) {
            const int64_t iy = oy * s.stride + r - s.padding, ix = ox * s.stride + q - s.padding;
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            const float* px = x + ((n * s.h + iy) * s.w + ix) * s.c;
            const float* pw = w + k * s.c * s.kernel * s.kernel + r * s.kernel + q;
            for (int64_t c = 0; c < s.c; c++) sum += px[c] * pw[c * s.kernel * s.kernel];
          }
        if (a.activation == FCDD_ACT_LEAKY) sum = sum > 0 ? sum : slope * sum;
        y[(row * s.ow + ox) * s.k + k] = sum;
      }
  });
  if (sums == nullptr) return;
  parallel(device.threads, s.n, [&](int64_t n, int) {
    const int64_t pixels = s.oh * s.ow;
    for (int64_t k = 0; k < s.k; k++) {
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < pixels; i++) sum += static_cast<double>(y[(n * pixels + i) * s.k + k]);
      for (int64_t i = 0; i < pixels; i++) {
        const double d =
            static_cast<double>(y[(n * pixels + i) * s.k + k]) - sum / static_cast<double>(pixels);
        squares += d * d;
      }
      sums[n * 2 * s.k + k] = sum;
      sums[n * 2 * s.k + s.k + k] = squares;
    }
  });
}

void conv_input_grad(CpuDevice& device, const FcddConvInputGrad& a) {
  const ConvShape s = shape_of(a.p);
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_input_grad: dy");
  const float* w = at<float>(device, a.packed, s.weights(), "conv_input_grad: packed");
  float* dx = at<float>(device, a.dx, s.inputs(), "conv_input_grad: dx");
  parallel(device.threads, s.n * s.h, [&](int64_t row, int) {
    const int64_t n = row / s.h, iy = row % s.h;
    for (int64_t ix = 0; ix < s.w; ix++)
      for (int64_t c = 0; c < s.c; c++) {
        float sum = 0;
        for (int r = 0; r < s.kernel; r++)
          for (int q = 0; q < s.kernel; q++) {
            const int64_t ty = iy + s.padding - r, tx = ix + s.padding - q;
            if (ty < 0 || tx < 0 || ty % s.stride || tx % s.stride) continue;
            const int64_t oy = ty / s.stride, ox = tx / s.stride;
            if (oy >= s.oh || ox >= s.ow) continue;
            const float* pd = dy + ((n * s.oh + oy) * s.ow + ox) * s.k;
            const float* pw = w + (c * s.kernel + r) * s.kernel + q;
            for (int64_t k = 0; k < s.k; k++) sum += pd[k] * pw[k * s.c * s.kernel * s.kernel];
          }
        dx[(row * s.w + ix) * s.c + c] = sum;
      }
  });
}

void conv_weight_grad(CpuDevice& device, const FcddConvWeightGrad& a) {
  const ConvShape s = shape_of(a.p);
  const float* x = at<float>(device, a.x, s.inputs(), "conv_weight_grad: x");
  const float* dy = at<float>(device, a.dy, s.outputs(), "conv_weight_grad: dy");
  float* dw = at<float>(device, a.dw, s.weights(), "conv_weight_grad: dw");
  float* dbias = at_or_null<float>(device, a.dbias, static_cast<uint64_t>(s.k), "conv_weight_grad: dbias");
  parallel(device.threads, s.k, [&](int64_t k, int) {
    float* d = dw + k * s.c * s.kernel * s.kernel;
    std::memset(d, 0, sizeof(float) * static_cast<size_t>(s.c * s.kernel * s.kernel));
    double total = 0;
    for (int64_t row = 0; row < s.n * s.oh; row++)
      for (int64_t ox = 0; ox < s.ow; ox++) {
        const int64_t n = row / s.oh, oy = row % s.oh;
        const float g = dy[(row * s.ow + ox) * s.k + k];
        total += static_cast<double>(g);
        for (int r = 0; r < s.kernel; r++)
          for (int q = 0; q < s.kernel; q++) {
            const int64_t iy = oy * s.stride + r - s.padding, ix = ox * s.stride + q - s.padding;
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            const float* px = x + ((n * s.h + iy) * s.w + ix) * s.c;
            float* pd = d + r * s.kernel + q;
            for (int64_t c = 0; c < s.c; c++) pd[c * s.kernel * s.kernel] += g * px[c];
          }
      }
    if (dbias) dbias[k] = static_cast<float>(total);
  });
}

}  // namespace fcdd::cpu
