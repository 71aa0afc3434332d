// y = pool(act(norm(x))), forward.
#include <cmath>

#include "cpu/post_shape.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

struct Constants {
  const float *mean, *inv_std, *gamma, *beta;
};

// norm(x) = (x - mean) scale + shift for channels first..first+count-1.
void fold(const FcddPostProblem& p, const Constants& k, int64_t first, int count, float* scale,
          float* shift) {
  for (int i = 0; i < count; i++) {
    const int64_t c = first + i;
    const float inv_std = p.norm == FCDD_NORM_RUNNING
                              ? static_cast<float>(1 / std::sqrt(static_cast<double>(k.inv_std[c]) + p.eps))
                              : k.inv_std[c];
    scale[i] = k.gamma != nullptr ? inv_std * k.gamma[c] : inv_std;
    shift[i] = k.beta != nullptr ? k.beta[c] : 0;
  }
}

}  // namespace

void post_forward(CpuDevice& device, const FcddPostForward& a) {
  const PostShape s = shape_of(a.p);
  const float* x = at<float>(device, a.x, s.inputs(), "post_forward: x");
  float* y = at<float>(device, a.y, s.outputs(), "post_forward: y");
  uint8_t* argmax = at_or_null<uint8_t>(device, a.argmax, s.outputs(), "post_forward: argmax");
  Constants k{};
  if (s.norm) {
    k.mean = at<float>(device, a.mean, s.channels(), "post_forward: mean");
    k.inv_std = at<float>(device, a.inv_std, s.channels(), "post_forward: inv_std");
    k.gamma = at_or_null<float>(device, a.gamma, s.channels(), "post_forward: gamma");
    k.beta = at_or_null<float>(device, a.beta, s.channels(), "post_forward: beta");
  }
  const int64_t slice = rows_per_slice(s.oh, s.ow * s.c * std::max(1, a.p.pool.stride * a.p.pool.stride));
  const int64_t slices = (s.oh + slice - 1) / slice;
  parallel(device.threads, s.n * slices, [&](int64_t index, int) {
    const int64_t image = index / slices, first_row = index % slices * slice;
    float scale[post_channels], shift[post_channels];
    for (int64_t c = 0; c < s.c; c += post_channels) {
      PostRows rows = rows_of(a.p, s);
      rows.channels = static_cast<int>(std::min<int64_t>(post_channels, s.c - c));
      if (s.norm) {
        fold(a.p, k, c, rows.channels, scale, shift);
        rows.mean = k.mean + c, rows.scale = scale, rows.shift = shift;
      }
      const int64_t out = image * s.oh * s.ow * s.c + c;
      device.isa->post_forward(rows, x + image * s.h * s.w * s.c + c, static_cast<int>(first_row),
                               static_cast<int>(std::min(first_row + slice, s.oh)), y + out,
                               argmax != nullptr && rows.kernel > 0 ? argmax + out : nullptr);
    }
  });
}

}  // namespace fcdd::cpu
