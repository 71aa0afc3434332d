// Every step of the device table by itself, on host arrays: for tests, benchmarks and other people's
// networks.
//
// Each function reserves device memory, uploads its inputs, runs the step and downloads the results; it
// returns when that is done. Arrays are double on the host whatever the device's type. Activations are
// N,H,W,C, weights K,C,k,k. Throws Error FCDD_INVALID_ARGUMENT naming the argument when a size does not fit
// the problem.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fcdd/network.h"
#include "fcdd/problems.h"

namespace fcdd::ops {

using Values = std::vector<double>;
using Bytes = std::vector<uint8_t>;

struct Conv {
  Values y;     // N,H',W',K
  Values sums;  // N,2,K when asked for: per image the sum and the sum of squared deviations from the image's
                // mean
};
// `bias` may be empty; the activation (FcddActivation) follows the bias.
Conv conv2d(const std::shared_ptr<Device>& device, const FcddConvProblem& problem, const Values& x,
            const Values& w, const Values& bias, int activation, double slope, bool sums);

Values conv2d_input_grad(const std::shared_ptr<Device>& device, const FcddConvProblem& problem,
                         const Values& dy, const Values& w);

struct ConvWeightGrad {
  Values dw;     // K,C,k,k
  Values dbias;  // K when asked for
};
ConvWeightGrad conv2d_weight_grad(const std::shared_ptr<Device>& device, const FcddConvProblem& problem,
                                  const Values& x, const Values& dy, bool bias);

// Batch normalisation's constants folded into a convolution with running statistics.
struct Folded {
  Values w, bias;
};
Folded conv2d_fold(const std::shared_ptr<Device>& device, int filters, int fan_in, double eps,
                   const Values& w, const Values& bias, const Values& gamma, const Values& beta,
                   const Values& running_mean, const Values& running_var);

struct NormStats {
  Values mean, inv_std, running_mean, running_var;  // C each
};
// `sums` as conv2d makes them (N,2,C).
NormStats norm_stats(const std::shared_ptr<Device>& device, const FcddPostProblem& problem,
                     const Values& sums, const Values& running_mean, const Values& running_var);
// The same of any tensor x (N,H,W,C): its sums are made by a convolution with the identity.
NormStats norm_stats_of(const std::shared_ptr<Device>& device, const FcddPostProblem& problem,
                        const Values& x, const Values& running_mean, const Values& running_var);

struct PostForward {
  Values y;      // N,H',W',C
  Bytes argmax;  // like y when there is a pool: the winner's index within its window
};
// y = pool(act(norm(x))). With FCDD_NORM_BATCH `mean` and `spread` are mean and 1/std, with FCDD_NORM_RUNNING
// running mean and running variance; without normalisation they are empty. gamma and beta may be empty.
PostForward post_forward(const std::shared_ptr<Device>& device, const FcddPostProblem& problem,
                         const Values& x, const Values& mean, const Values& spread, const Values& gamma,
                         const Values& beta);

struct PostBackward {
  Values dx, dgamma, dbeta;  // dgamma and dbeta where gamma and beta were given
};
PostBackward post_backward(const std::shared_ptr<Device>& device, const FcddPostProblem& problem,
                           const Values& dy, const Values& x, const Values& mean, const Values& inv_std,
                           const Values& gamma, const Values& beta, const Bytes& argmax);

struct Loss {
  Values losses;  // N
  Values dz;      // N,u,v: gradient of the mean over the batch
};
// Sample-wise when `taps` is empty (then only batch, in_height and in_width of `up` are read), else
// pixel-wise with masks (N,H,W of 0 and 1).
Loss loss(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& up, const Values& taps,
          const Values& z, const Bytes& labels, const Bytes& masks);

struct Score {
  Values scores, low, maps;  // N; N,u,v; N,H,W where asked for
};
Score score(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& up, const Values& taps,
            const Values& z, bool low, bool maps);

// Gaussian transposed upsampling, N,u,v -> N,H,W, or its adjoint, N,H,W -> N,u,v.
Values upsample(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& problem, const Values& taps,
                const Values& x, bool backward);

struct Updated {
  Values w, m, v;  // v with Adam only
};
// One optimiser step, number `step` counting from 1; buffers of `settings` are ignored.
Updated update(const std::shared_ptr<Device>& device, FcddUpdate settings, const Values& w,
               const Values& grad, const Values& m, const Values& v);

}  // namespace fcdd::ops
