// What follows a convolution: y = pool(act(norm(x))), each part optional, and the gradient of all of it.
//
// Rules (PyTorch's): pooling ties go to the first element in row-major order, padding never wins, a NaN wins;
// the derivative of the activation at 0 is `slope`. The backward pass computes norm(x) anew instead of
// keeping it.
#include <algorithm>
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

struct Sizes {
  int64_t out_height, out_width;
};

Sizes sizes(const FcddPostProblem& p) {
  if (p.batch < 1 || p.height < 1 || p.width < 1 || p.channels < 1) {
    throw Error("FCDD_INVALID_ARGUMENT", "a post step needs a positive batch, height, width and channels");
  }
  if (p.pool.kernel == 0) return {p.height, p.width};
  if (p.pool.kernel < 1 || p.pool.kernel > 16 || p.pool.stride < 1 || p.pool.padding < 0 ||
      2 * p.pool.padding > p.pool.kernel || p.pool.kernel > p.height + 2 * p.pool.padding ||
      p.pool.kernel > p.width + 2 * p.pool.padding) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a pooling window must be of 1 to 16, fit into the padded input and be "
                "padded by at most half of it, got kernel " +
                    std::to_string(p.pool.kernel) + ", padding " + std::to_string(p.pool.padding) + " on " +
                    std::to_string(p.height) + "x" + std::to_string(p.width));
  }
  return {fcdd_out_extent(p.height, p.pool.kernel, p.pool.stride, p.pool.padding),
          fcdd_out_extent(p.width, p.pool.kernel, p.pool.stride, p.pool.padding)};
}

// The affine map of one channel: norm(x) = (x - mean) * inv_std * gamma + beta.
struct Channel {
  double mean = 0, inv_std = 1, gamma = 1, beta = 0;
  double normalised(double x) const { return (x - mean) * inv_std; }
  double norm(double x) const { return normalised(x) * gamma + beta; }
};

class Channels {
 public:
  Channels(const ReferenceDevice& device, const FcddPostProblem& p, const FcddBuffer& mean,
           const FcddBuffer& inv_std, const FcddBuffer& gamma, const FcddBuffer& beta)
      : norm_(p.norm), eps_(p.eps) {
    if (norm_ == FCDD_NORM_NONE) return;
    mean_ = device.need<double>(mean, count(p.channels), "mean");
    inv_std_ = device.need<double>(inv_std, count(p.channels), "inv_std");
    gamma_ = device.maybe<double>(gamma, count(p.channels), "gamma");
    beta_ = device.maybe<double>(beta, count(p.channels), "beta");
  }

  Channel operator[](int64_t c) const {
    if (norm_ == FCDD_NORM_NONE) return {};
    const double inv_std = norm_ == FCDD_NORM_RUNNING ? 1 / std::sqrt(inv_std_[c] + eps_) : inv_std_[c];
    return {mean_[c], inv_std, gamma_ == nullptr ? 1 : gamma_[c], beta_ == nullptr ? 0 : beta_[c]};
  }

 private:
  int32_t norm_;
  double eps_;
  const double *mean_ = nullptr, *inv_std_ = nullptr, *gamma_ = nullptr, *beta_ = nullptr;
};

double activate(const FcddPostProblem& p, double x) {
  return p.activation == FCDD_ACT_NONE || x > 0 ? x : p.slope * x;
}

double activation_slope(const FcddPostProblem& p, double x) {
  return p.activation == FCDD_ACT_NONE || x > 0 ? 1 : p.slope;
}

// Visits output elements of one image: visit(output index, row and column of the window's first element,
// channel).
template <class Visit>
void for_each_window(const FcddPostProblem& p, const Sizes& s, Visit visit) {
  for (int64_t i = 0; i < s.out_height; i++) {
    for (int64_t j = 0; j < s.out_width; j++) {
      for (int64_t c = 0; c < p.channels; c++) {
        visit((i * s.out_width + j) * p.channels + c, i * p.pool.stride - p.pool.padding,
              j * p.pool.stride - p.pool.padding, c);
      }
    }
  }
}

struct Winner {
  double value;
  int64_t index;  // within the window, row-major
};

// The largest of act(norm(x)) within the window that starts at (top, left) of one image.
Winner window_max(const FcddPostProblem& p, const Channel& channel, const double* image, int64_t top,
                  int64_t left, int64_t c) {
  Winner best{0, -1};
  for (int64_t r = 0; r < p.pool.kernel; r++) {
    for (int64_t t = 0; t < p.pool.kernel; t++) {
      const int64_t y = top + r, x = left + t;
      if (y < 0 || y >= p.height || x < 0 || x >= p.width) continue;
      const double value = activate(p, channel.norm(image[(y * p.width + x) * p.channels + c]));
      if (best.index < 0 || value > best.value || std::isnan(value)) best = {value, r * p.pool.kernel + t};
    }
  }
  return best;
}

// Gradient of pooling: each output's gradient goes to the winner of its window; windows may overlap.
void unpool(const FcddPostProblem& p, const Sizes& s, const double* dy, const uint8_t* argmax, double* dx) {
  std::fill_n(dx, count(p.height, p.width, p.channels), 0.0);
  for_each_window(p, s, [&](int64_t out, int64_t top, int64_t left, int64_t c) {
    const int64_t y = top + argmax[out] / p.pool.kernel, x = left + argmax[out] % p.pool.kernel;
    dx[(y * p.width + x) * p.channels + c] += dy[out];
  });
}

// dx of channel c from dz, the gradient of norm(x) for all images, with the statistics of this batch:
// dx = gamma inv_std (dz - mean(dz) - xhat mean(dz xhat)).
void norm_backward(const FcddPostProblem& p, int64_t c, const Channel& channel, const double* x,
                   const double* dz, double* dx, double* dgamma, double* dbeta) {
  const int64_t values = static_cast<int64_t>(p.batch) * p.height * p.width, C = p.channels;
  double sum = 0, product = 0;
  for (int64_t i = c; i < values * C; i += C) {
    sum += dz[i];
    product += dz[i] * channel.normalised(x[i]);
  }
  const double n = static_cast<double>(values);
  for (int64_t i = c; i < values * C; i += C) {
    dx[i] = channel.gamma * channel.inv_std * (dz[i] - sum / n - channel.normalised(x[i]) * product / n);
  }
  if (dgamma != nullptr) dgamma[c] = product;
  if (dbeta != nullptr) dbeta[c] = sum;
}

}  // namespace

// The gradient of norm(x).
uint64_t post_workspace_bytes(const FcddPostProblem& p) {
  return count(p.batch, p.height, p.width, p.channels) * sizeof(double);
}

void post_forward(ReferenceDevice& device, const FcddPostForward& a) {
  const Sizes s = sizes(a.p);
  const int64_t N = a.p.batch, C = a.p.channels;
  const int64_t in = static_cast<int64_t>(a.p.height) * a.p.width * C, out = s.out_height * s.out_width * C;
  const double* x = device.need<double>(a.x, count(N, in), "x");
  double* y = device.need<double>(a.y, count(N, out), "y");
  uint8_t* argmax = device.maybe<uint8_t>(a.argmax, count(N, out), "argmax");
  const Channels channels(device, a.p, a.mean, a.inv_std, a.gamma, a.beta);
  for (int64_t n = 0; n < N; n++) {
    const double* image = x + n * in;
    if (a.p.pool.kernel == 0) {
      for (int64_t i = 0; i < in; i++) y[n * out + i] = activate(a.p, channels[i % C].norm(image[i]));
      continue;
    }
    for_each_window(a.p, s, [&](int64_t o, int64_t top, int64_t left, int64_t c) {
      const Winner best = window_max(a.p, channels[c], image, top, left, c);
      y[n * out + o] = best.value;
      if (argmax != nullptr) argmax[n * out + o] = static_cast<uint8_t>(best.index);
    });
  }
}

void post_backward(ReferenceDevice& device, const FcddPostBackward& a) {
  const Sizes s = sizes(a.p);
  const int64_t N = a.p.batch, C = a.p.channels;
  const int64_t in = static_cast<int64_t>(a.p.height) * a.p.width * C, out = s.out_height * s.out_width * C;
  if (a.p.norm == FCDD_NORM_RUNNING) {
    throw Error("FCDD_INVALID_ARGUMENT", "there is no backward pass through running statistics");
  }
  const double* dy = device.need<double>(a.dy, count(N, out), "dy");
  const double* x = device.need<double>(a.x, count(N, in), "x");
  double* dx = device.need<double>(a.dx, count(N, in), "dx");
  double* dgamma = device.maybe<double>(a.dgamma, count(C), "dgamma");
  double* dbeta = device.maybe<double>(a.dbeta, count(C), "dbeta");
  double* dz = device.need<double>(a.workspace, count(N, in), "workspace");
  const Channels channels(device, a.p, a.mean, a.inv_std, a.gamma, a.beta);
  if (a.p.pool.kernel == 0) {
    std::copy_n(dy, count(N, in), dz);
  } else {
    const uint8_t* argmax = device.need<uint8_t>(a.argmax, count(N, out), "argmax");
    for (int64_t n = 0; n < N; n++) unpool(a.p, s, dy + n * out, argmax + n * out, dz + n * in);
  }
  for (int64_t i = 0; i < N * in; i++) dz[i] *= activation_slope(a.p, channels[i % C].norm(x[i]));
  if (a.p.norm == FCDD_NORM_NONE) {
    std::copy_n(dz, count(N, in), dx);
    return;
  }
  for (int64_t c = 0; c < C; c++) norm_backward(a.p, c, channels[c], x, dz, dx, dgamma, dbeta);
}

}  // namespace fcdd::reference
