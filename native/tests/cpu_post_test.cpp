// Statistics, normalisation, activation and pooling on `cpu` against `reference`, forward and backward.
#include <cmath>
#include <limits>

#include "check.h"
#include "cpu_harness.h"
#include "step_cases.h"

namespace fcdd::test {
namespace {

void check_problem(std::mt19937& random, const FcddPostProblem& p) {
  const PostData d = random_post_data(random, p);
  check_case(name_of(p), [&](Bench& b) { return post_forward_and_backward(b, p, d); });
}

}  // namespace

TEST(cpu_post_random_shapes) {
  std::mt19937 random(test_seed(21));
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
  std::mt19937 random(test_seed(22));
  check_problem(random, {2, 60, 70, 40, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {3, 2, 1}});
  check_problem(random, {1, 9, 8, 1100, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {2, 2, 0}});
}

TEST(cpu_norm_stats) {
  std::mt19937 random(test_seed(23));
  for (int i = 0; i < 12; i++) {
    FcddPostProblem p{};
    p.batch = uniform(random, 1, 9);
    p.height = uniform(random, 1, 9);
    p.width = uniform(random, 2, 9);
    p.channels = uniform(random, 1, 70);
    p.eps = 1e-5;
    p.momentum = 0.1;
    const std::vector<double> sums = random_sums(random, p, 5);
    const std::vector<double> running = normal_values(random, p.channels);
    check_case("norm_stats", [&](Bench& b) { return batch_statistics(b, p, sums, running); });
  }
}

// Values around 1000 with a spread of 0.01: a variance from plain float sums of squares would be all noise.
TEST(cpu_conv_sums_are_accurate_far_from_zero) {
  std::mt19937 random(test_seed(24));
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
