// Loss, score, upsampling, folding and the optimisers on `cpu` against `reference`.
#include <cmath>
#include <string>

#include "check.h"
#include "cpu_harness.h"

namespace fcdd::test {
namespace {

// Gaussian of `taps` values; its exact shape does not matter here.
std::vector<double> bell(int taps) {
  std::vector<double> k;
  for (int i = 0; i < taps; i++) {
    const double x = (i - (taps - 1) / 2.0) / (0.2 * taps + 0.5);
    k.push_back(static_cast<double>(static_cast<float>(std::exp(-x * x / 2))));
  }
  return k;
}

FcddUpsampleProblem random_upsampling(std::mt19937& random, int batch) {
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

std::vector<uint8_t> random_bits(std::mt19937& random, int64_t count) {
  std::vector<uint8_t> bits;
  for (int64_t i = 0; i < count; i++) bits.push_back(static_cast<uint8_t>(uniform(random, 0, 1)));
  return bits;
}

}  // namespace

TEST(cpu_upsample_and_adjoint) {
  std::mt19937 random(31);
  for (int i = 0; i < 20; i++) {
    const FcddUpsampleProblem p = random_upsampling(random, uniform(random, 1, 4));
    const int64_t low = int64_t{p.batch} * p.in_height * p.in_width,
                  full = int64_t{p.batch} * p.height * p.width;
    const std::vector<double> small = normal_values(random, low), large = normal_values(random, full);
    check_case("upsample", [&](Bench& b) {
      Outputs outputs;
      for (const int backward : {0, 1}) {
        FcddUpsample a{p,
                       backward,
                       b.real(bell(p.taps)),
                       b.real(backward ? large : small),
                       b.real_out(backward ? low : full),
                       b.scratch(b.table->upsample_workspace_bytes(b.device, &p))};
        b.run(b.table->upsample(b.device, &a));
        outputs.push_back({backward ? "adjoint" : "upsampled", b.read_real(a.y)});
      }
      return outputs;
    });
  }
}

TEST(cpu_loss) {
  std::mt19937 random(32);
  for (int i = 0; i < 24; i++) {
    FcddLoss a{};
    a.batch = uniform(random, 1, 6);
    a.pixelwise = i % 2;
    a.up = random_upsampling(random, a.batch);
    a.height = a.up.in_height, a.width = a.up.in_width;
    const int64_t low = int64_t{a.batch} * a.height * a.width,
                  full = int64_t{a.batch} * a.up.height * a.up.width;
    // From where A keeps no digit in its plain form to large.
    const std::vector<double> z = normal_values(random, low, std::pow(10.0, uniform(random, -5, 1)));
    const std::vector<uint8_t> labels = random_bits(random, a.batch);
    std::vector<uint8_t> masks = random_bits(random, full);
    for (int64_t j = 0; j < full / a.batch; j++)
      masks[static_cast<size_t>(j)] = 0;  // a sample without anomaly
    check_case("loss", [&](Bench& b) {
      FcddLoss l = a;
      l.taps = b.real(bell(a.up.taps));
      l.z = b.real(z), l.labels = b.bytes(labels), l.masks = b.bytes(masks);
      l.losses = b.doubles_out(a.batch), l.dz = b.real_out(low);
      l.report = b.doubles({1, 2, 3, 4, 5});
      l.workspace = b.scratch(b.table->upsample_workspace_bytes(b.device, &a.up));
      b.run(b.table->loss(b.device, &l));
      return Outputs{{"losses", b.read_doubles(l.losses)},
                     {"dz", b.read_real(l.dz)},
                     {"report", b.read_doubles(l.report)}};
    });
  }
}

TEST(cpu_score) {
  std::mt19937 random(33);
  for (int i = 0; i < 10; i++) {
    FcddScore a{};
    a.batch = uniform(random, 1, 5);
    a.up = random_upsampling(random, a.batch);
    a.height = a.up.in_height, a.width = a.up.in_width;
    const int64_t low = int64_t{a.batch} * a.height * a.width,
                  full = int64_t{a.batch} * a.up.height * a.up.width;
    const std::vector<double> z = normal_values(random, low);
    check_case("score", [&](Bench& b) {
      FcddScore s = a;
      s.taps = b.real(bell(a.up.taps));
      s.z = b.real(z), s.scores = b.doubles_out(a.batch), s.low = b.real_out(low), s.maps = b.real_out(full);
      s.workspace = b.scratch(b.table->upsample_workspace_bytes(b.device, &a.up));
      b.run(b.table->score(b.device, &s));
      return Outputs{
          {"scores", b.read_doubles(s.scores)}, {"low", b.read_real(s.low)}, {"maps", b.read_real(s.maps)}};
    });
  }
}

TEST(cpu_conv_fold) {
  std::mt19937 random(34);
  for (const bool affine : {false, true}) {
    const int filters = 37, fan_in = 50;
    const auto w = normal_values(random, filters * fan_in), per_filter = normal_values(random, filters);
    std::vector<double> var = normal_values(random, filters);
    for (double& v : var) v = std::fabs(v);
    check_case("fold", [&](Bench& b) {
      FcddConvFold a{};
      a.filters = filters, a.fan_in = fan_in, a.eps = 1e-4;
      a.w = b.real(w);
      if (affine) a.bias = a.gamma = a.beta = b.real(per_filter);
      a.running_mean = b.real(per_filter), a.running_var = b.real(var);
      a.folded_w = b.real_out(filters * fan_in), a.folded_bias = b.real_out(filters);
      b.run(b.table->conv_fold(b.device, &a));
      return Outputs{{"w", b.read_real(a.folded_w)}, {"bias", b.read_real(a.folded_bias)}};
    });
  }
}

// Three steps, over a count that leaves a tail in the last piece of 16384 values.
TEST(cpu_update) {
  std::mt19937 random(35);
  const int64_t count = 3 * 16384 + 77;
  const auto w = normal_values(random, count), zero = std::vector<double>(static_cast<size_t>(count));
  std::vector<std::vector<double>> gradients;
  for (int i = 0; i < 3; i++) gradients.push_back(normal_values(random, count));
  for (const int kind : {FCDD_SGD, FCDD_ADAM}) {
    check_case(kind == FCDD_SGD ? "sgd" : "adam", [&](Bench& b) {
      FcddUpdate a{};
      a.kind = kind, a.count = static_cast<uint64_t>(count);
      a.lr = 0.01, a.weight_decay = 1e-2, a.momentum = 0.9, a.beta1 = 0.9, a.beta2 = 0.999, a.eps = 1e-8;
      a.w = b.real(w), a.m = b.real(zero), a.v = b.real(zero);
      for (a.step = 1; a.step <= 3; a.step++) {
        a.grad = b.real(gradients[static_cast<size_t>(a.step - 1)]);
        b.run(b.table->update(b.device, &a));
      }
      return Outputs{{"w", b.read_real(a.w)}, {"m", b.read_real(a.m)}, {"v", b.read_real(a.v)}};
    });
  }
}

}  // namespace fcdd::test
