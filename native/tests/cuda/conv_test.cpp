// The passes of a convolution on cuda against `reference`: random shapes, and shapes that reach each path and
// each size of tile.
#include <cmath>
#include <cstring>
#include <string>

#include "check.h"
#include "cuda_harness.h"

namespace fcdd::test {
namespace {

int64_t out_extent(const FcddConvProblem& p, int32_t in) {
  return fcdd_out_extent(in, p.kernel, p.stride, p.padding);
}
int64_t out_pixels(const FcddConvProblem& p) {
  return p.batch * out_extent(p, p.height) * out_extent(p, p.width);
}
int64_t inputs(const FcddConvProblem& p) {
  return int64_t{p.batch} * p.height * p.width * p.channels;
}
int64_t outputs(const FcddConvProblem& p) {
  return out_pixels(p) * p.filters;
}
int64_t weights(const FcddConvProblem& p) {
  return int64_t{p.filters} * p.channels * p.kernel * p.kernel;
}

std::string label_of(const FcddConvProblem& p) {
  return std::to_string(p.batch) + "x" + std::to_string(p.height) + "x" + std::to_string(p.width) + "x" +
         std::to_string(p.channels) + " -> " + std::to_string(p.filters) + ", kernel " +
         std::to_string(p.kernel) + ", stride " + std::to_string(p.stride) + ", padding " +
         std::to_string(p.padding);
}

FcddBuffer pack(Bench& b, const FcddConvProblem& p, int32_t pass, const FcddBuffer& w) {
  FcddConvPack a{p, pass, w, b.scratch(b.table->conv_packed_bytes(b.device, &p, pass))};
  b.run(b.table->conv_pack(b.device, &a));
  return a.packed;
}

FcddBuffer workspace(Bench& b, const FcddConvProblem& p, int32_t pass) {
  const uint64_t bytes = b.table->conv_workspace_bytes(b.device, &p, pass);
  return bytes == 0 ? FcddBuffer{} : b.scratch(bytes);
}

struct Data {
  std::vector<double> x, w, bias, dy;
};

Data random_data(std::mt19937& random, const FcddConvProblem& p) {
  const double spread = 1 / std::sqrt(static_cast<double>(p.channels) * p.kernel * p.kernel);
  return {normal_values(random, inputs(p), 1, 0.3), normal_values(random, weights(p), spread),
          normal_values(random, p.filters), normal_values(random, outputs(p))};
}

// With bias and activation as inference wants them, or with the sums that batch normalisation wants.
Outputs forward(Bench& b, const FcddConvProblem& p, const Data& d, bool inference) {
  FcddConvForward a{};
  a.p = p;
  a.x = b.real(d.x);
  a.packed = pack(b, p, FCDD_FORWARD, b.real(d.w));
  a.y = b.real_out(outputs(p));
  a.bias = inference ? b.real(d.bias) : FcddBuffer{};
  a.activation = inference ? FCDD_ACT_LEAKY : FCDD_ACT_NONE;
  a.slope = 0.01;
  a.sums = inference ? FcddBuffer{} : b.doubles_out(int64_t{2} * p.batch * p.filters);
  a.workspace = workspace(b, p, FCDD_FORWARD);
  b.run(b.table->conv_forward(b.device, &a));
  if (inference) return {{"y", b.read_real(a.y)}};
  const std::vector<double> sums = b.read_doubles(a.sums);
  Output totals{"sums", {}}, squares{"squares", {}};
  for (size_t i = 0; i < sums.size(); i++) {
    const bool first = i / static_cast<size_t>(p.filters) % 2 == 0;
    (first ? totals : squares).values.push_back(sums[i]);
  }
  return {{"y", b.read_real(a.y)}, totals, squares};
}

Outputs input_grad(Bench& b, const FcddConvProblem& p, const Data& d) {
  FcddConvInputGrad a{};
  a.p = p;
  a.dy = b.real(d.dy);
  a.packed = pack(b, p, FCDD_INPUT_GRAD, b.real(d.w));
  a.dx = b.real_out(inputs(p));
  a.workspace = workspace(b, p, FCDD_INPUT_GRAD);
  b.run(b.table->conv_input_grad(b.device, &a));
  return {{"dx", b.read_real(a.dx)}};
}

Outputs weight_grad(Bench& b, const FcddConvProblem& p, const Data& d) {
  FcddConvWeightGrad a{};
  a.p = p;
  a.x = b.real(d.x);
  a.dy = b.real(d.dy);
  a.dw = b.real_out(weights(p));
  a.dbias = b.real_out(p.filters);
  a.workspace = workspace(b, p, FCDD_WEIGHT_GRAD);
  b.run(b.table->conv_weight_grad(b.device, &a));
  return {{"dw", b.read_real(a.dw)}, {"dbias", b.read_real(a.dbias)}};
}

Outputs all_passes(Bench& b, const FcddConvProblem& p, const Data& d, bool inference) {
  Outputs all = forward(b, p, d, inference);
  for (Output& o : input_grad(b, p, d)) all.push_back(std::move(o));
  for (Output& o : weight_grad(b, p, d)) all.push_back(std::move(o));
  return all;
}

void check_problem(std::mt19937& random, const FcddConvProblem& p) {
  const Data d = random_data(random, p);
  const bool inference = uniform(random, 0, 1) == 1;
  check_cuda_case(label_of(p), [&](Bench& b) { return all_passes(b, p, d, inference); });
}

}  // namespace

TEST(cuda_conv_random_shapes) {
  std::mt19937 random(test_seed(21));
  for (int i = 0; i < 24; i++) {
    FcddConvProblem p{};
    p.kernel = i % 8 == 7 ? 4 : 1 + 2 * (i % 3);
    p.stride = i % 4 == 3 ? 2 : 1;
    p.padding = uniform(random, 0, p.kernel);
    p.batch = uniform(random, 1, 3);
    p.height = uniform(random, p.kernel, 11);
    p.width = uniform(random, p.kernel, 11);
    p.channels = uniform(random, 1, i % 4 == 0 ? 40 : 10);
    p.filters = uniform(random, 1, i % 4 == 1 ? 70 : 20);
    check_problem(random, p);
  }
}

// Multiples of 4, as nearly all layers have: copies of 16 bytes.
TEST(cuda_conv_channels_by_four) {
  std::mt19937 random(test_seed(22));
  for (int i = 0; i < 16; i++) {
    FcddConvProblem p{};
    p.kernel = 1 + 2 * (i % 3);
    p.stride = i % 5 == 4 ? 2 : 1;
    p.padding = uniform(random, 0, 3) == 0 ? uniform(random, 0, p.kernel) : p.kernel / 2;
    p.batch = uniform(random, 1, 3);
    p.height = uniform(random, p.kernel, 9);
    p.width = uniform(random, p.kernel, 9);
    p.channels = 4 * uniform(random, 1, 10);
    p.filters = 4 * uniform(random, 1, i % 2 == 0 ? 8 : 20);
    check_problem(random, p);
  }
}

TEST(cuda_conv_paths) {
  std::mt19937 random(test_seed(23));
  for (const FcddConvProblem& p : std::initializer_list<FcddConvProblem>{
           {1, 1, 1, 1, 1, 1, 1, 0},     // one product
           {2, 1, 1, 8, 8, 3, 1, 1},     // images of one pixel
           {2, 14, 14, 1, 72, 5, 1, 2},  // first layers: direct, several tiles, filters beyond one tile
           {1, 17, 19, 3, 66, 3, 1, 1},
           {1, 9, 9, 3, 5, 5, 2, 2},
           {1, 8, 8, 3, 8, 7, 1, 3},    // too deep for the direct path
           {3, 7, 7, 132, 1, 1, 1, 0},  // heads: a warp per pixel
           {1, 6, 5, 37, 1, 3, 1, 1},
           {1, 5, 5, 4, 4, 1, 1, 2},  // windows that lie in the padding
           {1, 5, 7, 3, 2, 2, 1, 4},
           {1, 3, 40, 20, 36, 3, 3, 1},   // a stride that leaves pixels out
           {2, 21, 17, 8, 68, 3, 1, 1},   // weight gradient in slices, square tiles
           {2, 20, 18, 68, 72, 1, 1, 0},  // wide ones
       }) {
    check_problem(random, p);
  }
}

// Enough pixels for the wide tile, whose rows and columns end within the last blocks.
TEST(cuda_conv_wide_tile) {
  std::mt19937 random(test_seed(24));
  const FcddConvProblem p{1, 129, 127, 12, 66, 1, 1, 0};
  const Data d = random_data(random, p);
  check_cuda_case(label_of(p), [&](Bench& b) { return forward(b, p, d, true); });
}

// Images of several chunks, far from zero: their deviations must keep their digits. The identity leaves x as
// it is.
TEST(cuda_conv_sums_of_large_means) {
  std::mt19937 random(test_seed(25));
  for (const double mean : {0.0, -3e4}) {
    const FcddConvProblem p{2, 35, 31, 4, 4, 1, 1, 0};
    Data d = random_data(random, p);
    d.x = normal_values(random, inputs(p), 1, mean);
    d.w.assign(16, 0);
    for (size_t k = 0; k < 4; k++) d.w[5 * k] = 1;
    // bf16 and tf32 would round x itself, and y may then be constant.
    check_cuda_case(
        "sums around " + std::to_string(mean), [&](Bench& b) { return forward(b, p, d, false); },
        Operands::float32_only);
  }
  const FcddConvProblem many{1, 3, 5, 4, 70, 1, 1, 0};  // channels of several blocks
  const Data d = random_data(random, many);
  check_cuda_case("sums of many channels", [&](Bench& b) { return forward(b, many, d, false); });
}

// An image's output has the same bits alone and among others: also where that changes the tile.
TEST(cuda_conv_bits_do_not_depend_on_the_batch) {
  std::mt19937 random(test_seed(26));
  for (const FcddConvProblem& three : std::initializer_list<FcddConvProblem>{{3, 5, 7, 20, 36, 3, 1, 1},
                                                                             {3, 6, 5, 7, 9, 5, 1, 2},
                                                                             {3, 9, 7, 3, 20, 3, 1, 1},
                                                                             {3, 5, 5, 12, 1, 1, 1, 0},
                                                                             {3, 74, 74, 4, 68, 1, 1, 0}}) {
    FcddConvProblem one = three;
    one.batch = 1;
    const Data d = random_data(random, three);
    for (const FcddPrecision precision : cuda_precisions()) {
      Bench b(fcdd_cuda_table(), cuda_options(precision));
      const Outputs y = forward(b, three, d, true), dx = input_grad(b, three, d);
      for (int i = 0; i < 3; i++) {
        Data alone = d;
        alone.x.assign(d.x.begin() + i * inputs(one), d.x.begin() + (i + 1) * inputs(one));
        alone.dy.assign(d.dy.begin() + i * outputs(one), d.dy.begin() + (i + 1) * outputs(one));
        const std::vector<double> y1 = forward(b, one, alone, true)[0].values;
        const std::vector<double> dx1 = input_grad(b, one, alone)[0].values;
        CHECK(std::equal(y1.begin(), y1.end(), y[0].values.begin() + i * outputs(one)));
        CHECK(std::equal(dx1.begin(), dx1.end(), dx[0].values.begin() + i * inputs(one)));
      }
    }
  }
}

// The engine hands over parts of a larger buffer: an offset that is no multiple of 16 bytes.
TEST(cuda_conv_of_a_shifted_buffer) {
  std::mt19937 random(test_seed(27));
  const FcddConvProblem p{1, 5, 6, 8, 10, 3, 1, 1};
  const Data d = random_data(random, p);
  for (const FcddPrecision precision : cuda_precisions()) {
    Bench b(fcdd_cuda_table(), cuda_options(precision));
    FcddConvForward a{};
    a.p = p;
    a.packed = pack(b, p, FCDD_FORWARD, b.real(d.w));
    a.y = b.real_out(outputs(p));
    std::vector<double> shifted = d.x;
    shifted.insert(shifted.begin(), 0.0);
    a.x = b.real(shifted);
    a.x.offset = 4;
    a.x.bytes -= 4;
    b.run(b.table->conv_forward(b.device, &a));
    const std::vector<double> got = b.read_real(a.y);
    a.x = b.real(d.x);
    a.y = b.real_out(outputs(p));
    b.run(b.table->conv_forward(b.device, &a));
    CHECK(got == b.read_real(a.y));
  }
}

TEST(cuda_conv_fold) {
  std::mt19937 random(test_seed(28));
  const int64_t filters = 5, fan_in = 131;
  const std::vector<double> w = normal_values(random, filters * fan_in),
                            bias = normal_values(random, filters), gamma = normal_values(random, filters),
                            beta = normal_values(random, filters), mean = normal_values(random, filters);
  std::vector<double> var = normal_values(random, filters);
  for (double& v : var) v = v * v + 0.1;
  for (const bool affine : {true, false}) {
    check_cuda_case(
        affine ? "fold" : "fold without affine terms",
        [&](Bench& b) -> Outputs {
          FcddConvFold a{};
          a.filters = static_cast<int32_t>(filters);
          a.fan_in = static_cast<int32_t>(fan_in);
          a.eps = 1e-4;
          a.w = b.real(w);
          if (affine) a.bias = b.real(bias), a.gamma = b.real(gamma), a.beta = b.real(beta);
          a.running_mean = b.real(mean);
          a.running_var = b.real(var);
          a.folded_w = b.real_out(filters * fan_in);
          a.folded_bias = b.real_out(filters);
          b.run(b.table->conv_fold(b.device, &a));
          return {{"w", b.read_real(a.folded_w)}, {"bias", b.read_real(a.folded_bias)}};
        },
        Operands::float32_only);
  }
}

TEST(cuda_conv_refuses_wrong_arguments) {
  Bench b(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_FLOAT32));
  const FcddConvProblem p{1, 4, 4, 2, 3, 3, 1, 1};
  FcddConvForward a{};
  a.p = p;
  CHECK(b.table->conv_forward(b.device, &a) == FCDD_INVALID);
  CHECK(std::string(b.table->last_error(b.device)).find("conv_forward: x") != std::string::npos);
  a.x = b.real_out(inputs(p) - 1);
  CHECK(b.table->conv_forward(b.device, &a) == FCDD_INVALID);
  a.x = b.real_out(inputs(p));
  a.p.kernel = 9;
  CHECK(b.table->conv_forward(b.device, &a) == FCDD_INVALID);
  a.p = {65536, 256, 256, 1, 1, 1, 1, 0};
  CHECK(b.table->conv_forward(b.device, &a) == FCDD_INVALID);
}

}  // namespace fcdd::test
