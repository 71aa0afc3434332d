// Convolution (cross-correlation, zero padding, square kernel, stride 1 or 2) and its two gradients, in
// float64.
//
//   y[n,i,j,k] = bias[k] + sum over r,s,c of x[n, i*stride - padding + r, j*stride - padding + s, c]
//   w[k,c,r,s]
//
// Every pass visits the same set of (output pixel, tap) pairs; `for_each_tap` is that set, so that the
// gradients cannot disagree with the forward pass about borders. Packing only reorders the weights so that
// the innermost loop runs over neighbours in memory.
#include <algorithm>
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

struct Sizes {
  int64_t out_height, out_width, in_pixels, out_pixels, taps;
};

Sizes sizes(const FcddConvProblem& p) {
  const bool positive = p.batch > 0 && p.height > 0 && p.width > 0 && p.channels > 0 && p.filters > 0;
  if (!positive || p.kernel < 1 || p.stride < 1 || p.padding < 0 || p.kernel > p.height + 2 * p.padding ||
      p.kernel > p.width + 2 * p.padding) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a convolution's sizes do not fit: kernel " + std::to_string(p.kernel) + ", stride " +
                    std::to_string(p.stride) + ", padding " + std::to_string(p.padding) + " on " +
                    std::to_string(p.height) + "x" + std::to_string(p.width));
  }
  const int64_t oh = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  const int64_t ow = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  return {oh, ow, static_cast<int64_t>(p.height) * p.width, oh * ow,
          static_cast<int64_t>(p.kernel) * p.kernel};
}

// Calls visit(input pixel, output pixel, tap) for each pair of pixels that a tap of the kernel connects,
// within one image. Pixels and taps are row-major indices.
template <class Visit>
void for_each_tap(const FcddConvProblem& p, const Sizes& s, Visit visit) {
  for (int64_t i = 0; i < s.out_height; i++) {
    for (int64_t j = 0; j < s.out_width; j++) {
      for (int64_t r = 0; r < p.kernel; r++) {
        const int64_t y = i * p.stride - p.padding + r;
        if (y < 0 || y >= p.height) continue;
        for (int64_t t = 0; t < p.kernel; t++) {
          const int64_t x = j * p.stride - p.padding + t;
          if (x < 0 || x >= p.width) continue;
          visit(y * p.width + x, i * s.out_width + j, r * p.kernel + t);
        }
      }
    }
  }
}

// to[j] += sum over i of from[i] * w[i * many + j]
void accumulate(double* __restrict to, const double* from, const double* w, int64_t few, int64_t many) {
  for (int64_t i = 0; i < few; i++) {
    const double factor = from[i];
    for (int64_t j = 0; j < many; j++) to[j] += factor * w[i * many + j];
  }
}

// Per filter: the sum over the image's pixels, and the sum of squared deviations from the image's mean.
void image_sums(const double* y, int64_t pixels, int64_t filters, double* sums) {
  for (int64_t k = 0; k < filters; k++) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < pixels; i++) sum += y[i * filters + k];
    const double mean = sum / static_cast<double>(pixels);
    for (int64_t i = 0; i < pixels; i++) squares += (y[i * filters + k] - mean) * (y[i * filters + k] - mean);
    sums[k] = sum;
    sums[filters + k] = squares;
  }
}

}  // namespace

uint64_t conv_packed_bytes(const FcddConvProblem& p) {
  return count(p.filters, p.channels, p.kernel, p.kernel) * sizeof(double);
}

uint64_t conv_workspace_bytes(const FcddConvProblem& p, int32_t pass) {
  if (pass == FCDD_FORWARD_POOLED) return FCDD_DECLINED;  // the plain sequence says what it must equal
  return pass == FCDD_WEIGHT_GRAD ? conv_packed_bytes(p) : 0;
}

// Forward: packed[tap][c][k]. Input gradient: packed[tap][k][c].
void conv_pack(ReferenceDevice& device, const FcddConvPack& a) {
  const Sizes s = sizes(a.p);
  const int64_t K = a.p.filters, C = a.p.channels;
  const double* w = device.need<double>(a.w, count(K, C, s.taps), "w");
  double* packed = device.need<double>(a.packed, count(K, C, s.taps), "packed");
  for (int64_t k = 0; k < K; k++) {
    for (int64_t c = 0; c < C; c++) {
      for (int64_t tap = 0; tap < s.taps; tap++) {
        const int64_t to = a.pass == FCDD_FORWARD ? (tap * C + c) * K + k : (tap * K + k) * C + c;
        packed[to] = w[(k * C + c) * s.taps + tap];
      }
    }
  }
}

void conv_forward(ReferenceDevice& device, const FcddConvForward& a) {
  if (a.pooled != 0) throw Error("FCDD_INVALID_ARGUMENT", "conv_forward: pooling is a step of its own here");
  const Sizes s = sizes(a.p);
  const int64_t N = a.p.batch, C = a.p.channels, K = a.p.filters;
  const double* x = device.need<double>(a.x, count(N, s.in_pixels, C), "x");
  const double* w = device.need<double>(a.packed, count(K, C, s.taps), "packed");
  double* y = device.need<double>(a.y, count(N, s.out_pixels, K), "y");
  const double* bias = device.maybe<double>(a.bias, count(K), "bias");
  double* sums = device.maybe<double>(a.sums, count(N, 2, K), "sums");
  for (int64_t n = 0; n < N; n++) {
    const double* image = x + n * s.in_pixels * C;
    double* out = y + n * s.out_pixels * K;
    for (int64_t i = 0; i < s.out_pixels * K; i++) out[i] = bias == nullptr ? 0 : bias[i % K];
    for_each_tap(a.p, s, [&](int64_t in_pixel, int64_t out_pixel, int64_t tap) {
      accumulate(out + out_pixel * K, image + in_pixel * C, w + tap * C * K, C, K);
    });
    if (a.activation == FCDD_ACT_LEAKY) {
      for (int64_t i = 0; i < s.out_pixels * K; i++) out[i] = out[i] > 0 ? out[i] : a.slope * out[i];
    }
    if (sums != nullptr) image_sums(out, s.out_pixels, K, sums + n * 2 * K);
  }
}

void conv_input_grad(ReferenceDevice& device, const FcddConvInputGrad& a) {
  const Sizes s = sizes(a.p);
  const int64_t N = a.p.batch, C = a.p.channels, K = a.p.filters;
  const double* dy = device.need<double>(a.dy, count(N, s.out_pixels, K), "dy");
  const double* w = device.need<double>(a.packed, count(K, C, s.taps), "packed");
  double* dx = device.need<double>(a.dx, count(N, s.in_pixels, C), "dx");
  std::fill_n(dx, count(N, s.in_pixels, C), 0.0);
  for (int64_t n = 0; n < N; n++) {
    const double* out = dy + n * s.out_pixels * K;
    double* image = dx + n * s.in_pixels * C;
    for_each_tap(a.p, s, [&](int64_t in_pixel, int64_t out_pixel, int64_t tap) {
      accumulate(image + in_pixel * C, out + out_pixel * K, w + tap * K * C, K, C);
    });
  }
}

void conv_weight_grad(ReferenceDevice& device, const FcddConvWeightGrad& a) {
  const Sizes s = sizes(a.p);
  const int64_t N = a.p.batch, C = a.p.channels, K = a.p.filters;
  const double* x = device.need<double>(a.x, count(N, s.in_pixels, C), "x");
  const double* dy = device.need<double>(a.dy, count(N, s.out_pixels, K), "dy");
  double* dw = device.need<double>(a.dw, count(K, C, s.taps), "dw");
  double* dbias = device.maybe<double>(a.dbias, count(K), "dbias");
  double* sum = device.need<double>(a.workspace, count(K, C, s.taps), "workspace");  // [tap][k][c]
  std::fill_n(sum, count(K, C, s.taps), 0.0);
  for (int64_t n = 0; n < N; n++) {
    const double* image = x + n * s.in_pixels * C;
    const double* out = dy + n * s.out_pixels * K;
    for_each_tap(a.p, s, [&](int64_t in_pixel, int64_t out_pixel, int64_t tap) {
      for (int64_t k = 0; k < K; k++) {
        accumulate(sum + (tap * K + k) * C, out + out_pixel * K + k, image + in_pixel * C, 1, C);
      }
    });
  }
  for (int64_t k = 0; k < K; k++) {
    for (int64_t c = 0; c < C; c++) {
      for (int64_t tap = 0; tap < s.taps; tap++) dw[(k * C + c) * s.taps + tap] = sum[(tap * K + k) * C + c];
    }
  }
  if (dbias == nullptr) return;
  std::fill_n(dbias, K, 0.0);
  for (int64_t i = 0; i < N * s.out_pixels; i++) {
    for (int64_t k = 0; k < K; k++) dbias[k] += dy[i * K + k];
  }
}

}  // namespace fcdd::reference
