// Gaussian upsampling of a low-resolution map to the input's size (FCDD, Liznerski et al., ICLR 2021, section
// 4): a transposed convolution with a fixed kernel of the receptive field's extent, shifted by the field's
// centre.
//   A'[y,x] = sum over i,l of A[i,l] k[y + pad - shift - i*jump] k[x + pad - shift - l*jump],  pad =
//   (taps-1)/2,
// k the 1-D kernel, 0 outside 0..taps-1. The 2-D kernel is the outer product, written out here term by term.
#include <algorithm>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

// Calls visit(source index, target index, weight) for every pair of one image that the kernel connects.
template <class Visit>
void for_each_pair(const FcddUpsampleProblem& p, const double* taps, Visit visit) {
  const int64_t start = (p.taps - 1) / 2 - p.shift;
  for (int64_t y = 0; y < p.height; y++) {
    for (int64_t i = 0; i < p.in_height; i++) {
      const int64_t v = y + start - i * p.jump;
      if (v < 0 || v >= p.taps) continue;
      for (int64_t x = 0; x < p.width; x++) {
        for (int64_t l = 0; l < p.in_width; l++) {
          const int64_t h = x + start - l * p.jump;
          if (h < 0 || h >= p.taps) continue;
          visit(i * p.in_width + l, y * p.width + x, taps[v] * taps[h]);
        }
      }
    }
  }
}

}  // namespace

void upsample_forward(const FcddUpsampleProblem& p, const double* taps, const double* x, double* y) {
  const int64_t in = static_cast<int64_t>(p.in_height) * p.in_width,
                out = static_cast<int64_t>(p.height) * p.width;
  std::fill_n(y, p.batch * out, 0.0);
  for (int64_t n = 0; n < p.batch; n++) {
    for_each_pair(p, taps,
                  [&](int64_t from, int64_t to, double w) { y[n * out + to] += w * x[n * in + from]; });
  }
}

void upsample_backward(const FcddUpsampleProblem& p, const double* taps, const double* dy, double* dx) {
  const int64_t in = static_cast<int64_t>(p.in_height) * p.in_width,
                out = static_cast<int64_t>(p.height) * p.width;
  std::fill_n(dx, p.batch * in, 0.0);
  for (int64_t n = 0; n < p.batch; n++) {
    for_each_pair(p, taps,
                  [&](int64_t from, int64_t to, double w) { dx[n * in + from] += w * dy[n * out + to]; });
  }
}

// Loss and score keep the map A and, in the loss, its upsampled form here.
uint64_t upsample_workspace_bytes(const FcddUpsampleProblem& p) {
  return (count(p.batch, p.in_height, p.in_width) + count(p.batch, p.height, p.width)) * sizeof(double);
}

void upsample(ReferenceDevice& device, const FcddUpsample& a) {
  const uint64_t in = count(a.p.batch, a.p.in_height, a.p.in_width),
                 out = count(a.p.batch, a.p.height, a.p.width);
  const double* taps = device.need<double>(a.taps, count(a.p.taps), "taps");
  const double* x = device.need<double>(a.x, a.backward ? out : in, "x");
  double* y = device.need<double>(a.y, a.backward ? in : out, "y");
  if (a.backward) {
    upsample_backward(a.p, taps, x, y);
  } else {
    upsample_forward(a.p, taps, x, y);
  }
}

}  // namespace fcdd::reference
