// Bodies of cases (cpu_harness.h) for the steps between and after the convolutions: the same inputs on every
// device, outputs and workspaces full of NaN.
#pragma once

#include <cmath>
#include <string>

#include "cpu_harness.h"

namespace fcdd::test {

// ---- normalisation, activation, pooling ----------------------------------------------------------------

struct PostSizes {
  int64_t in, out;
};

inline PostSizes post_sizes(const FcddPostProblem& p) {
  const FcddPool& pool = p.pool;
  int64_t oh = p.height, ow = p.width;
  if (pool.kernel > 0) {
    oh = fcdd_out_extent(p.height, pool.kernel, pool.stride, pool.padding);
    ow = fcdd_out_extent(p.width, pool.kernel, pool.stride, pool.padding);
  }
  return {int64_t{p.batch} * p.height * p.width * p.channels, p.batch * oh * ow * p.channels};
}

inline std::string name_of(const FcddPostProblem& p) {
  return "post " + std::to_string(p.batch) + "x" + std::to_string(p.height) + "x" + std::to_string(p.width) +
         "x" + std::to_string(p.channels) + ", norm " + std::to_string(p.norm) + ", activation " +
         std::to_string(p.activation) + ", slope " + std::to_string(p.slope) + ", pool " +
         std::to_string(p.pool.kernel) + "," + std::to_string(p.pool.stride) + "," +
         std::to_string(p.pool.padding);
}

struct PostData {
  std::vector<double> x, dy, mean, spread, gamma, beta;  // spread: inverse deviation or variance
  bool affine, in_place;
};

inline PostData random_post_data(std::mt19937& random, const FcddPostProblem& p) {
  PostData d{normal_values(random, post_sizes(p).in, 2, 1),
             normal_values(random, post_sizes(p).out),
             normal_values(random, p.channels),
             normal_values(random, p.channels, 0.1, 0.7),
             normal_values(random, p.channels),
             normal_values(random, p.channels),
             uniform(random, 0, 3) > 0,
             uniform(random, 0, 1) == 1};
  for (double& v : d.spread) v = std::fabs(v) + 0.01;
  return d;
}

inline Outputs post_forward_and_backward(Bench& b, const FcddPostProblem& p, const PostData& d) {
  FcddPostForward f{};
  f.p = p;
  f.x = b.real(d.x);
  f.mean = b.real(d.mean);
  f.inv_std = b.real(d.spread);
  if (d.affine) f.gamma = b.real(d.gamma), f.beta = b.real(d.beta);
  f.y = b.real_out(post_sizes(p).out);
  if (p.pool.kernel > 0 && p.norm != FCDD_NORM_RUNNING) f.argmax = b.bytes_out(post_sizes(p).out);
  b.run(b.table->post_forward(b.device, &f));
  Outputs outputs = {{"y", b.read_real(f.y)}};
  if (p.norm == FCDD_NORM_RUNNING) return outputs;

  FcddPostBackward g{};
  g.p = p;
  g.dy = b.real(d.dy);
  g.x = f.x, g.mean = f.mean, g.inv_std = f.inv_std, g.gamma = f.gamma, g.beta = f.beta, g.argmax = f.argmax;
  g.dx = d.in_place ? f.x : b.real_out(post_sizes(p).in);
  if (d.affine) g.dgamma = b.real_out(p.channels), g.dbeta = b.real_out(p.channels);
  g.workspace = b.scratch(b.table->post_workspace_bytes(b.device, &p));
  b.run(b.table->post_backward(b.device, &g));
  outputs.push_back({"dx", b.read_real(g.dx)});
  if (p.pool.kernel > 0) outputs.push_back({"argmax", b.read_bytes(f.argmax)});
  if (d.affine && p.norm == FCDD_NORM_BATCH) {
    outputs.push_back({"dgamma", b.read_real(g.dgamma)});
    outputs.push_back({"dbeta", b.read_real(g.dbeta)});
  }
  return outputs;
}

// Per-image sums and sums of squared deviations of p's batch.
inline std::vector<double> random_sums(std::mt19937& random, const FcddPostProblem& p, double mean) {
  std::vector<double> sums;
  for (int n = 0; n < p.batch; n++) {
    for (const double v : normal_values(random, p.channels, 1, mean)) sums.push_back(v * p.height * p.width);
    for (const double v : normal_values(random, p.channels)) sums.push_back(v * v);
  }
  return sums;
}

inline Outputs batch_statistics(Bench& b, const FcddPostProblem& p, const std::vector<double>& sums,
                                const std::vector<double>& running) {
  FcddNormStats a{
      p, b.doubles(sums), b.real_out(p.channels), b.real_out(p.channels), b.real(running), b.real(running)};
  b.run(b.table->norm_stats(b.device, &a));
  return {{"mean", b.read_real(a.mean)},
          {"inv_std", b.read_real(a.inv_std)},
          {"running_mean", b.read_real(a.running_mean)},
          {"running_var", b.read_real(a.running_var)}};
}

// ---- upsampling, loss, score ---------------------------------------------------------------------------

// Gaussian of `taps` values; its exact shape does not matter here.
inline std::vector<double> bell(int taps) {
  std::vector<double> k;
  for (int i = 0; i < taps; i++) {
    const double x = (i - (taps - 1) / 2.0) / (0.2 * taps + 0.5);
    k.push_back(static_cast<double>(static_cast<float>(std::exp(-x * x / 2))));
  }
  return k;
}

inline FcddUpsampleProblem random_upsampling(std::mt19937& random, int batch) {
  FcddUpsampleProblem p{};
  p.batch = batch;
  p.in_height = uniform(random, 1, 9);
  p.in_width = uniform(random, 1, 9);
  p.jump = uniform(random, 1, 8);
  p.height = p.in_height * p.jump + uniform(random, 0, 3);
  p.width = p.in_width * p.jump + uniform(random, 0, 3);
  p.taps = uniform(random, 1, 62);
  p.shift = uniform(random, 0, 4);
  return p;
}

inline int64_t low_size(const FcddUpsampleProblem& p) {
  return int64_t{p.batch} * p.in_height * p.in_width;
}
inline int64_t full_size(const FcddUpsampleProblem& p) {
  return int64_t{p.batch} * p.height * p.width;
}

inline std::vector<uint8_t> random_bits(std::mt19937& random, int64_t count) {
  std::vector<uint8_t> bits;
  for (int64_t i = 0; i < count; i++) bits.push_back(static_cast<uint8_t>(uniform(random, 0, 1)));
  return bits;
}

inline Outputs upsample_and_adjoint(Bench& b, const FcddUpsampleProblem& p, const std::vector<double>& low,
                                    const std::vector<double>& full) {
  Outputs outputs;
  for (const int backward : {0, 1}) {
    FcddUpsample a{p,
                   backward,
                   b.real(bell(p.taps)),
                   b.real(backward ? full : low),
                   b.real_out(backward ? low_size(p) : full_size(p)),
                   b.scratch(b.table->upsample_workspace_bytes(b.device, &p))};
    b.run(b.table->upsample(b.device, &a));
    outputs.push_back({backward ? "adjoint" : "upsampled", b.read_real(a.y)});
  }
  return outputs;
}

struct LossData {
  FcddUpsampleProblem up;
  bool pixelwise;
  std::vector<double> z;
  std::vector<uint8_t> labels, masks;
};

inline LossData random_loss(std::mt19937& random, const FcddUpsampleProblem& up, bool pixelwise) {
  // From where A keeps no digit in its plain form to large.
  LossData d{up, pixelwise, normal_values(random, low_size(up), std::pow(10.0, uniform(random, -5, 1))),
             random_bits(random, up.batch), random_bits(random, full_size(up))};
  // A sample without anomaly.
  for (int64_t i = 0; i < full_size(up) / up.batch; i++) d.masks[static_cast<size_t>(i)] = 0;
  return d;
}

inline Outputs loss_and_gradient(Bench& b, const LossData& d) {
  FcddLoss l{};
  l.batch = d.up.batch, l.height = d.up.in_height, l.width = d.up.in_width;
  l.pixelwise = d.pixelwise;
  l.up = d.up;
  l.taps = b.real(bell(d.up.taps));
  l.z = b.real(d.z), l.labels = b.bytes(d.labels), l.masks = b.bytes(d.masks);
  l.losses = b.doubles_out(d.up.batch), l.dz = b.real_out(low_size(d.up));
  l.report = b.doubles({1, 2, 3, 4, 5});
  l.workspace = b.scratch(b.table->upsample_workspace_bytes(b.device, &d.up));
  b.run(b.table->loss(b.device, &l));
  return {
      {"losses", b.read_doubles(l.losses)}, {"dz", b.read_real(l.dz)}, {"report", b.read_doubles(l.report)}};
}

// The low maps or the upsampled ones may be left out.
inline Outputs scores_and_maps(Bench& b, const FcddUpsampleProblem& up, const std::vector<double>& z,
                               bool low = true, bool maps = true) {
  FcddScore s{};
  s.batch = up.batch, s.height = up.in_height, s.width = up.in_width;
  s.up = up;
  s.taps = b.real(bell(up.taps));
  s.z = b.real(z), s.scores = b.doubles_out(up.batch);
  if (low) s.low = b.real_out(low_size(up));
  if (maps) s.maps = b.real_out(full_size(up));
  s.workspace = b.scratch(b.table->upsample_workspace_bytes(b.device, &up));
  b.run(b.table->score(b.device, &s));
  Outputs outputs = {{"scores", b.read_doubles(s.scores)}};
  if (low) outputs.push_back({"low", b.read_real(s.low)});
  if (maps) outputs.push_back({"maps", b.read_real(s.maps)});
  return outputs;
}

// ---- optimisers ----------------------------------------------------------------------------------------

// Three steps from moments of zero.
inline Outputs three_updates(Bench& b, int kind, const std::vector<double>& w,
                             const std::vector<std::vector<double>>& gradients) {
  const std::vector<double> zero(w.size());
  FcddUpdate a{};
  a.kind = kind, a.count = w.size();
  a.lr = 0.01, a.weight_decay = 1e-2, a.momentum = 0.9, a.beta1 = 0.9, a.beta2 = 0.999, a.eps = 1e-8;
  a.w = b.real(w), a.m = b.real(zero), a.v = b.real(zero);
  for (a.step = 1; a.step <= 3; a.step++) {
    a.grad = b.real(gradients[static_cast<size_t>(a.step - 1)]);
    b.run(b.table->update(b.device, &a));
  }
  return {{"w", b.read_real(a.w)}, {"m", b.read_real(a.m)}, {"v", b.read_real(a.v)}};
}

}  // namespace fcdd::test
