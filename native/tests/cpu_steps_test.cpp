// Loss, score, upsampling, folding and the optimisers on `cpu` against `reference`.
#include <cmath>

#include "check.h"
#include "cpu_harness.h"
#include "step_cases.h"

namespace fcdd::test {

TEST(cpu_upsample_and_adjoint) {
  std::mt19937 random(test_seed(31));
  for (int i = 0; i < 20; i++) {
    const FcddUpsampleProblem p = random_upsampling(random, uniform(random, 1, 4));
    const std::vector<double> low = normal_values(random, low_size(p)),
                              full = normal_values(random, full_size(p));
    check_case("upsample", [&](Bench& b) { return upsample_and_adjoint(b, p, low, full); });
  }
}

TEST(cpu_loss) {
  std::mt19937 random(test_seed(32));
  for (int i = 0; i < 24; i++) {
    const LossData d = random_loss(random, random_upsampling(random, uniform(random, 1, 6)), i % 2 == 1);
    check_case("loss", [&](Bench& b) { return loss_and_gradient(b, d); });
  }
}

TEST(cpu_score) {
  std::mt19937 random(test_seed(33));
  for (int i = 0; i < 10; i++) {
    const FcddUpsampleProblem up = random_upsampling(random, uniform(random, 1, 5));
    const std::vector<double> z = normal_values(random, low_size(up));
    check_case("score", [&](Bench& b) { return scores_and_maps(b, up, z); });
  }
}

TEST(cpu_conv_fold) {
  std::mt19937 random(test_seed(34));
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

// Over a count that leaves a tail in the last piece of 16384 values.
TEST(cpu_update) {
  std::mt19937 random(test_seed(35));
  const int64_t count = 3 * 16384 + 77;
  const auto w = normal_values(random, count);
  std::vector<std::vector<double>> gradients;
  for (int i = 0; i < 3; i++) gradients.push_back(normal_values(random, count));
  for (const int kind : {FCDD_SGD, FCDD_ADAM}) {
    check_case(kind == FCDD_SGD ? "sgd" : "adam",
               [&](Bench& b) { return three_updates(b, kind, w, gradients); });
  }
}

}  // namespace fcdd::test
