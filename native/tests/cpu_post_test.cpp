// Statistics, normalisation, activation and pooling on `cpu` against `reference`, forward and backward.
#include <cmath>
#include <limits>
#include <string>

#include "check.h"
#include "cpu_harness.h"

namespace fcdd::test {
namespace {

struct Sizes {
  int64_t in, out;
};

Sizes sizes(const FcddPostProblem& p) {
  const FcddPool& pool = p.pool;
  int64_t oh = p.height, ow = p.width;
  if (pool.kernel > 0) {
    oh = fcdd_out_extent(p.height, pool.kernel, pool.stride, pool.padding);
    ow = fcdd_out_extent(p.width, pool.kernel, pool.stride, pool.padding);
  }
  return {int64_t{p.batch} * p.height * p.width * p.channels, p.batch * oh * ow * p.channels};
}

std::string name_of(const FcddPostProblem& p) {
  return "post " + std::to_string(p.batch) + "x" + std::to_string(p.height) + "x" + std::to_string(p.width) +
         "x" + std::to_string(p.channels) + ", norm " + std::to_string(p.norm) + ", activation " +
         std::to_string(p.activation) + ", slope " + std::to_string(p.slope) + ", pool " +
         std::to_string(p.pool.kernel) + "," + std::to_string(p.pool.stride) + "," +
         std::to_string(p.pool.padding);
}

struct Data {
  std::vector<double> x, dy, mean, spread, gamma, beta;  // spread: inverse deviation or variance
  bool affine, in_place;
};

Data random_data(std::mt19937& random, const FcddPostProblem& p) {
  Data d{normal_values(random, sizes(p).in, 2, 1),
         normal_values(random, sizes(p).out),
         normal_values(random, p.channels),
         normal_values(random, p.channels, 0.1, 0.7),
         normal_values(random, p.channels),
         normal_values(random, p.channels),
         uniform(random, 0, 3) > 0,
         uniform(random, 0, 1) == 1};
  for (double& v : d.spread) v = std::fabs(v) + 0.01;
  return d;
}

Outputs forward_and_backward(Bench& b, const FcddPostProblem& p, const Data& d) {
  FcddPostForward f{};
  f.p = p;
  f.x = b.real(d.x);
  f.mean = b.real(d.mean);
  f.inv_std = b.real(d.spread);
  if (d.affine) f.gamma = b.real(d.gamma), f.beta = b.real(d.beta);
  f.y = b.real_out(sizes(p).out);
  if (p.pool.kernel > 0 && p.norm != FCDD_NORM_RUNNING) f.argmax = b.bytes_out(sizes(p).out);
  b.run(b.table->post_forward(b.device, &f));
  Outputs outputs = {{"y", b.read_real(f.y)}};
  if (p.norm == FCDD_NORM_RUNNING) return outputs;

  FcddPostBackward g{};
  g.p = p;
  g.dy = b.real(d.dy);
  g.x = f.x, g.mean = f.mean, g.inv_std = f.inv_std, g.gamma = f.gamma, g.beta = f.beta, g.argmax = f.argmax;
  g.dx = d.in_place ? f.x : b.real_out(sizes(p).in);
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

void check_problem(std::mt19937& random, const FcddPostProblem& p) {
  const Data d = random_data(random, p);
  check_case(name_of(p), [&](Bench& b) { return forward_and_backward(b, p, d); });
}

}  // namespace

TEST(cpu_post_random_shapes) {
  std::mt19937 random(21);
  constexpr FcddPool pools[] = {{0, 0, 0}, {2, 2, 0}, {3, 2, 1}, {3, 3, 0}, {5, 2, 2}, {3, 1, 1}, {2, 3, 1}};
  for (int i = 0; i < 84; i++) {
    FcddPostProblem p{};
    p.pool = pools[i % 7];
    p.batch = uniform(random, 1, 4);
    p.height = uniform(random, 5, 17);
    p.width = uniform(random, 5, 17);
    p.channels = uniform(random, 1, i % 3 == 0 ? 130 : 20);
    p.norm = uniform(random, 0, 2);
    p.activation = uniform(random, 0, 4) == 0 ? FCDD_ACT_NONE : FCDD_ACT_LEAKY;
    p.slope = uniform(random, 0, 1) * 0.01;
    p.eps = 1e-4;
    check_problem(random, p);
  }
}

// Large enough for several slices per image and several blocks of channels.
TEST(cpu_post_large_images) {
  std::mt19937 random(22);
  check_problem(random, {2, 60, 70, 40, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {3, 2, 1}});
  check_problem(random, {1, 9, 8, 1100, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {2, 2, 0}});
}

TEST(cpu_norm_stats) {
  std::mt19937 random(23);
  for (int i = 0; i < 12; i++) {
    FcddPostProblem p{};
    p.batch = uniform(random, 1, 9);
    p.height = uniform(random, 1, 9);
    p.width = uniform(random, 2, 9);
    p.channels = uniform(random, 1, 70);
    p.eps = 1e-5;
    p.momentum = 0.1;
    std::vector<double> sums;
    for (int n = 0; n < p.batch; n++) {
      for (const double v : normal_values(random, p.channels, 1, 5)) sums.push_back(v * p.height * p.width);
      for (const double v : normal_values(random, p.channels)) sums.push_back(v * v);
    }
    const std::vector<double> running = normal_values(random, p.channels);
    check_case("norm_stats", [&](Bench& b) {
      FcddNormStats a{p,
                      b.doubles(sums),
                      b.real_out(p.channels),
                      b.real_out(p.channels),
                      b.real(running),
                      b.real(running)};
      b.run(b.table->norm_stats(b.device, &a));
      return Outputs{{"mean", b.read_real(a.mean)},
                     {"inv_std", b.read_real(a.inv_std)},
                     {"running_mean", b.read_real(a.running_mean)},
                     {"running_var", b.read_real(a.running_var)}};
    });
  }
}

// Values around 1000 with a spread of 0.01: a variance from plain float sums of squares would be all noise.
TEST(cpu_conv_sums_are_accurate_far_from_zero) {
  std::mt19937 random(24);
  const FcddConvProblem p{3, 20, 20, 1, 5, 1, 1, 0};
  const std::vector<double> x = normal_values(random, 3 * 400, 0.01, 1000), w(5, 1.0);
  check_case("sums", [&](Bench& b) {
    FcddConvPack pack{p, FCDD_FORWARD, b.real(w),
                      b.scratch(b.table->conv_packed_bytes(b.device, &p, FCDD_FORWARD))};
    b.run(b.table->conv_pack(b.device, &pack));
    FcddConvForward f{};
    f.p = p;
    f.x = b.real(x), f.packed = pack.packed, f.y = b.real_out(3 * 400 * 5), f.sums = b.doubles_out(3 * 2 * 5);
    f.workspace = b.scratch(b.table->conv_workspace_bytes(b.device, &p, FCDD_FORWARD));
    b.run(b.table->conv_forward(b.device, &f));
    const std::vector<double> sums = b.read_doubles(f.sums);
    Output totals{"totals", {}}, squares{"squares", {}};
    for (size_t i = 0; i < sums.size(); i++) (i / 5 % 2 == 0 ? totals : squares).values.push_back(sums[i]);
    return Outputs{totals, squares};
  });
}

// A NaN in the input reaches every output that depends on it, through ReLU and pooling, in every position.
TEST(cpu_post_passes_nan_on) {
  const FcddPostProblem p{1, 4, 4, 3, FCDD_NORM_NONE, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {2, 2, 0}};
  for (const std::string& isa : isas()) {
    for (int at = 0; at < 48; at++) {
      Bench b(fcdd_cpu_table(), isa.c_str(), 1);
      std::vector<double> x(48, 1.0);
      x[static_cast<size_t>(at)] = std::numeric_limits<double>::quiet_NaN();
      FcddPostForward f{};
      f.p = p;
      f.x = b.real(x), f.y = b.real_out(12), f.argmax = b.bytes_out(12);
      b.run(b.table->post_forward(b.device, &f));
      const std::vector<double> y = b.read_real(f.y);
      const int row = at / 12, column = at / 3 % 4, channel = at % 3;
      for (int o = 0; o < 12; o++) {
        const bool hit = o == (row / 2 * 2 + column / 2) * 3 + channel;
        CHECK(std::isnan(y[static_cast<size_t>(o)]) == hit);
      }
    }
  }
}

}  // namespace fcdd::test
