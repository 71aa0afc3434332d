#include <cmath>
#include <limits>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

struct PostShape {
  int64_t n, h, w, c, oh, ow;
  int kernel, stride, padding;
};

PostShape shape_of(const FcddPostProblem& p) {
  PostShape s{p.batch, p.height, p.width, p.channels, p.height, p.width, 1, 1, 0};
  if (p.pool.kernel > 0) {
    s.kernel = p.pool.kernel, s.stride = p.pool.stride, s.padding = p.pool.padding;
    s.oh = fcdd_out_extent(p.height, s.kernel, s.stride, s.padding);
    s.ow = fcdd_out_extent(p.width, s.kernel, s.stride, s.padding);
  }
  return s;
}

}  // namespace

uint64_t post_workspace_bytes(const CpuDevice&, const FcddPostProblem& p) {
  return static_cast<uint64_t>(p.batch) * 2 * static_cast<uint64_t>(p.channels) * sizeof(double);
}

void post_forward(CpuDevice& device, const FcddPostForward& a) {
  const PostShape s = shape_of(a.p);
  const auto c64 = static_cast<uint64_t>(s.c);
  const auto outputs = static_cast<uint64_t>(s.n * s.oh * s.ow * s.c);
  const float* x = at<float>(device, a.x, static_cast<uint64_t>(s.n * s.h * s.w * s.c), "post_forward: x");
  const bool norm = a.p.norm != FCDD_NORM_NONE;
  const float* mean = norm ? at<float>(device, a.mean, c64, "post_forward: mean") : nullptr;
  const float* inv_std = norm ? at<float>(device, a.inv_std, c64, "post_forward: inv_std") : nullptr;
  const float* gamma = at_or_null<float>(device, a.gamma, c64, "post_forward: gamma");
  const float* beta = at_or_null<float>(device, a.beta, c64, "post_forward: beta");
  float* y = at<float>(device, a.y, outputs, "post_forward: y");
  uint8_t* argmax = at_or_null<uint8_t>(device, a.argmax, outputs, "post_forward: argmax");
  const auto slope = static_cast<float>(a.p.slope);
  parallel(device.threads, s.n * s.oh, [&](int64_t row, int) {
    const int64_t n = row / s.oh, oy = row % s.oh;
    for (int64_t ox = 0; ox < s.ow; ox++)
      for (int64_t c = 0; c < s.c; c++) {
        float best = -std::numeric_limits<float>::infinity();
        int winner = -1;
        for (int r = 0; r < s.kernel; r++)
          for (int q = 0; q < s.kernel; q++) {
            const int64_t iy = oy * s.stride + r - s.padding, ix = ox * s.stride + q - s.padding;
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            float v = x[((n * s.h + iy) * s.w + ix) * s.c + c];
            if (norm) {
              const float inv = a.p.norm == FCDD_NORM_RUNNING
                                    ? static_cast<float>(1 / std::sqrt(inv_std[c] + a.p.eps))
                                    : inv_std[c];
              v = (v - mean[c]) * (inv * (gamma ? gamma[c] : 1)) + (beta ? beta[c] : 0);
            }
            if (a.p.activation == FCDD_ACT_LEAKY) v = v > 0 ? v : slope * v;
            if (winner < 0 || v > best || v != v) best = v, winner = r * s.kernel + q;
          }
        y[(row * s.ow + ox) * s.c + c] = best;
        if (argmax) argmax[(row * s.ow + ox) * s.c + c] = static_cast<uint8_t>(winner);
      }
  });
}

void post_backward(CpuDevice& device, const FcddPostBackward& a) {
  const PostShape s = shape_of(a.p);
  const auto c64 = static_cast<uint64_t>(s.c);
  const auto inputs = static_cast<uint64_t>(s.n * s.h * s.w * s.c);
  const auto outputs = static_cast<uint64_t>(s.n * s.oh * s.ow * s.c);
  const bool norm = a.p.norm != FCDD_NORM_NONE;
  const float* dy = at<float>(device, a.dy, outputs, "post_backward: dy");
  const float* x = at<float>(device, a.x, inputs, "post_backward: x");
  const float* mean = norm ? at<float>(device, a.mean, c64, "post_backward: mean") : nullptr;
  const float* inv_std = norm ? at<float>(device, a.inv_std, c64, "post_backward: inv_std") : nullptr;
  const float* gamma = at_or_null<float>(device, a.gamma, c64, "post_backward: gamma");
  const float* beta = at_or_null<float>(device, a.beta, c64, "post_backward: beta");
  const uint8_t* argmax =
      a.p.pool.kernel > 0 ? at<uint8_t>(device, a.argmax, outputs, "post_backward: argmax") : nullptr;
  float* dx = at<float>(device, a.dx, inputs, "post_backward: dx");
  float* dgamma = at_or_null<float>(device, a.dgamma, c64, "post_backward: dgamma");
  float* dbeta = at_or_null<float>(device, a.dbeta, c64, "post_backward: dbeta");
  const auto slope = static_cast<float>(a.p.slope);
  parallel(device.threads, s.c, [&](int64_t c, int) {
    const int64_t pixels = s.h * s.w;
    const float m = norm ? mean[c] : 0, inv = norm ? inv_std[c] : 1;
    const float g = gamma ? gamma[c] : 1, b = beta ? beta[c] : 0;
    for (int64_t i = 0; i < s.n * pixels; i++) dx[i * s.c + c] = 0;
    for (int64_t o = 0; o < s.n * s.oh * s.ow; o++) {
      const int64_t n = o / (s.oh * s.ow), oy = o / s.ow % s.oh, ox = o % s.ow;
      const int winner = argmax ? argmax[o * s.c + c] : 0;
      const int64_t iy = oy * s.stride + winner / s.kernel - s.padding;
      const int64_t ix = ox * s.stride + winner % s.kernel - s.padding;
      dx[((n * s.h + iy) * s.w + ix) * s.c + c] += dy[o * s.c + c];
    }
    double sum = 0, product = 0;
    for (int64_t i = 0; i < s.n * pixels; i++) {
      const float v = x[i * s.c + c];
      const float pre = norm ? (v - m) * (inv * g) + b : v;
      float& d = dx[i * s.c + c];
      if (a.p.activation == FCDD_ACT_LEAKY) d = pre > 0 ? d : slope * d;
      sum += static_cast<double>(d);
      product += static_cast<double>(d) * static_cast<double>((v - m) * inv);
    }
    if (!norm) return;
    if (dgamma) dgamma[c] = static_cast<float>(product);
    if (dbeta) dbeta[c] = static_cast<float>(sum);
    const auto count = static_cast<double>(s.n * pixels);
    for (int64_t i = 0; i < s.n * pixels; i++) {
      const double xhat = static_cast<double>((x[i * s.c + c] - m) * inv);
      float& d = dx[i * s.c + c];
      d = static_cast<float>((static_cast<double>(d) - sum / count - xhat * product / count) *
                             static_cast<double>(g * inv));
    }
  });
}

}  // namespace fcdd::cpu
