// The reference steps on cases small enough to check by hand, and what they say about wrong arguments.
#include "check.h"
#include "cpu_harness.h"

namespace fcdd::test {
namespace {

struct Reference : Bench {
  Reference() : Bench(fcdd_reference_table(), nullptr, 1) {}
};

using Values = std::vector<double>;

double distance(double a, double b) {
  return std::abs(a - b);
}

// Losses of a batch of 1x1 maps.
Values losses_of(const Values& z, const std::vector<uint8_t>& labels) {
  Reference r;
  FcddLoss a{};
  a.batch = static_cast<int32_t>(z.size());
  a.height = a.width = 1;
  a.up = {a.batch, 1, 1, 1, 1, 1, 1, 0};
  a.z = r.real(z);
  a.labels = r.bytes(labels);
  a.losses = r.doubles_out(a.batch);
  a.report = r.doubles({10, 20, 30, 40, 50});
  a.workspace = r.scratch(r.table->upsample_workspace_bytes(r.device, &a.up));
  r.run(r.table->loss(r.device, &a));
  const Values losses = r.read_doubles(a.losses), report = r.read_doubles(a.report);
  double sum = 0, anomalies = 0;
  for (size_t i = 0; i < z.size(); i++) {
    sum += losses[i];
    anomalies += labels[i];
  }
  CHECK_LESS(distance(report[0], 10 + sum), 1e-12);
  CHECK_LESS(distance(report[1] + report[2], 50 + sum), 1e-12);
  CHECK(report[3] == 40 + static_cast<double>(z.size()) - anomalies && report[4] == 50 + anomalies);
  return losses;
}

}  // namespace

// 3x3 kernel whose values tell its taps apart, on a 3x3 image: y[0,0] misses the first row and column.
TEST(reference_conv_is_cross_correlation) {
  Reference r;
  const FcddConvProblem p{1, 3, 3, 1, 1, 3, 2, 1};
  const FcddConvPack pack{p, FCDD_FORWARD, r.real({1, 2, 3, 4, 5, 6, 7, 8, 9}), r.real_out(9)};
  r.run(r.table->conv_pack(r.device, &pack));
  FcddConvForward a{};
  a.p = p;
  a.x = r.real({1, 0, 0, 0, 10, 0, 0, 0, 100});
  a.packed = pack.packed;
  a.bias = r.real({-50});
  a.y = r.real_out(4);
  a.activation = FCDD_ACT_LEAKY;
  a.slope = 0.5;
  a.sums = r.doubles_out(2);
  r.run(r.table->conv_forward(r.device, &a));
  // Before the activation: 5*1 + 9*10 - 50, 7*10 - 50, 3*10 - 50, 1*10 + 5*100 - 50.
  CHECK(r.read_real(a.y) == Values({45, 20, -10, 460}));
  const double mean = 515 / 4.0;
  const double squares = (45 - mean) * (45 - mean) + (20 - mean) * (20 - mean) + (-10 - mean) * (-10 - mean) +
                         (460 - mean) * (460 - mean);
  CHECK(r.read_doubles(a.sums) == Values({515, squares}));
}

TEST(reference_pool_takes_the_first_of_equals_and_never_padding) {
  Reference r;
  FcddPostForward a{};
  a.p = {1, 2, 3, 1, FCDD_NORM_NONE, FCDD_ACT_NONE, 0, 0, 0, {3, 2, 1}};
  a.x = r.real({-5, -1, -1, -1, -7, -1});
  a.y = r.real_out(2);
  a.argmax = r.bytes_out(2);
  r.run(r.table->post_forward(r.device, &a));
  CHECK(r.read_real(a.y) == Values({-1, -1}));
  CHECK(r.read_bytes(a.argmax) == Values({5, 3}));  // row-major within the window, whose corner is padding
}

TEST(reference_activation_at_zero_has_its_slope) {
  Reference r;
  FcddPostBackward a{};
  a.p = {1, 1, 3, 1, FCDD_NORM_NONE, FCDD_ACT_LEAKY, 0.25, 0, 0, {0, 0, 0}};
  a.x = a.dx = r.real({-1, 0, 1});  // in place
  a.dy = r.real({4, 4, 4});
  a.workspace = r.scratch(r.table->post_workspace_bytes(r.device, &a.p));
  r.run(r.table->post_backward(r.device, &a));
  CHECK(r.read_real(a.dx) == Values({1, 1, 4}));
}

// Two images of two pixels: 1, 3 and 5, 11. Mean 5, biased variance 14, unbiased 56/3.
TEST(reference_statistics_of_a_batch) {
  Reference r;
  FcddNormStats a{};
  a.p = {2, 1, 2, 1, FCDD_NORM_BATCH, FCDD_ACT_NONE, 0, 2, 0.25, {0, 0, 0}};
  a.sums = r.doubles({4, 2, 16, 18});
  a.mean = r.real_out(1);
  a.inv_std = r.real_out(1);
  a.running_mean = r.real({1});
  a.running_var = r.real({2});
  r.run(r.table->norm_stats(r.device, &a));
  CHECK(r.read_real(a.mean) == Values({5}) && r.read_real(a.inv_std) == Values({0.25}));
  CHECK(r.read_real(a.running_mean) == Values({2}));
  CHECK_LESS(distance(r.read_real(a.running_var)[0], 1.5 + 56 / 12.0), 1e-14);
}

TEST(reference_losses) {
  const double a = std::sqrt(5) - 1;
  const Values losses = losses_of({2, 2, 0, 0, 1e-5}, {0, 1, 0, 1, 0});
  CHECK_LESS(distance(losses[0], a), 1e-15);
  CHECK_LESS(distance(losses[1], -std::log(1 - std::exp(-a))), 1e-14);
  CHECK(losses[2] == 0);
  CHECK_LESS(distance(losses[3], -std::log(1e-31)), 1e-13);
  CHECK_LESS(distance(losses[4] / 5e-11, 1), 1e-9);  // the plain form would lose all but six digits
}

// One pixel is a sample's whole map and kernel: n = A (1-Y), a = -log(1 - exp(-A Y)).
TEST(reference_pixel_loss) {
  Reference r;
  FcddLoss a{};
  a.batch = 2;
  a.height = 1;
  a.width = 2;
  a.pixelwise = 1;
  a.up = {2, 1, 2, 1, 2, 1, 1, 0};
  const double one = std::sqrt(2) - 1, two = std::sqrt(5) - 1;
  a.taps = r.real({1});
  a.z = r.real({1, 2, 1, 2});
  a.labels = r.bytes({0, 1});
  a.masks = r.bytes({0, 0, 0, 1});
  a.losses = r.doubles_out(2);
  a.workspace = r.scratch(r.table->upsample_workspace_bytes(r.device, &a.up));
  r.run(r.table->loss(r.device, &a));
  const Values losses = r.read_doubles(a.losses);
  CHECK_LESS(distance(losses[0], (one + two) / 2), 1e-15);
  CHECK_LESS(distance(losses[1], one / 2 - std::log(1 - std::exp(-two / 2))), 1e-14);
}

// The pixel i*jump + shift of the output is the centre of the receptive field of pixel i of the map: the peak
// goes there.
TEST(reference_upsampling_puts_the_peak_at_the_centre) {
  Reference r;
  const FcddUpsampleProblem p{1, 2, 2, 6, 5, 3, 2, 1};
  const FcddUpsample a{p, 0, r.real({0.5, 1, 0.25}), r.real({0, 0, 8, 0}), r.real_out(30), {}};
  r.run(r.table->upsample(r.device, &a));
  Values expected(30, 0);
  for (int y = 2; y <= 4; y++) {
    for (int x = 0; x <= 2; x++)
      expected[y * 5 + x] = 8 * Values{0.5, 1, 0.25}[y - 2] * Values{0.5, 1, 0.25}[x];
  }
  CHECK(r.read_real(a.y) == expected);
}

// Two steps by hand. SGD with Nesterov momentum: v = d at first, then 0.9 v + d; w -= lr (d + 0.9 v).
TEST(reference_updates) {
  Reference r;
  FcddUpdate a{};
  a.count = 1;
  a.lr = 0.1;
  a.weight_decay = 0.5;
  a.momentum = 0.9;
  a.w = r.real({2});
  a.grad = r.real({3});
  a.m = r.real({777});  // not read in the first step
  double w = 2, v = 0;
  for (a.step = 1; a.step <= 2; a.step++) {
    r.run(r.table->update(r.device, &a));
    const double d = 3 + 0.5 * w;
    v = a.step == 1 ? d : 0.9 * v + d;
    w -= 0.1 * (d + 0.9 * v);
    CHECK_LESS(distance(r.read_real(a.w)[0], w), 1e-14);
  }
  // Adam's first step moves by lr whatever the gradient's size.
  a.kind = FCDD_ADAM;
  a.step = 1;
  a.beta1 = 0.9;
  a.beta2 = 0.999;
  a.eps = 0;
  a.m = r.real({0});
  a.v = r.real({0});
  r.run(r.table->update(r.device, &a));
  CHECK_LESS(distance(r.read_real(a.w)[0], w - 0.1), 1e-14);
}

TEST(reference_refuses_wrong_arguments) {
  Reference r;
  FcddConvForward a{};
  a.p = {1, 3, 3, 1, 1, 3, 1, 1};
  a.packed = r.real_out(9);
  a.y = r.real_out(9);
  CHECK(r.table->conv_forward(r.device, &a) == FCDD_INVALID);
  CHECK(std::string(r.table->last_error(r.device)) == "buffer x is missing");
  a.x = r.real_out(8);
  CHECK(r.table->conv_forward(r.device, &a) == FCDD_INVALID);
  CHECK(std::string(r.table->last_error(r.device)) == "buffer x holds 64 bytes, the step needs 72");
  a.x = r.real_out(9);
  a.x.offset = 8;
  CHECK(r.table->conv_forward(r.device, &a) == FCDD_INVALID);
  a.p.kernel = 9;
  CHECK(r.table->conv_forward(r.device, &a) == FCDD_INVALID);
  uint64_t arena = 0;
  CHECK(r.table->reserve(r.device, uint64_t{1} << 60, &arena) == FCDD_OUT_OF_MEMORY);
}

}  // namespace fcdd::test
