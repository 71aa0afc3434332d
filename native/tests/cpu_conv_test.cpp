// The three passes of a convolution on `cpu` against `reference`: random shapes, and those of the networks'
// layers.
#include <cstdlib>
#include <string>

#include "check.h"
#include "cpu_harness.h"

namespace fcdd::test {
namespace {

int64_t out_extent(const FcddConvProblem& p, int32_t in) {
  return fcdd_out_extent(in, p.kernel, p.stride, p.padding);
}
int64_t inputs(const FcddConvProblem& p) {
  return int64_t{p.batch} * p.height * p.width * p.channels;
}
int64_t outputs(const FcddConvProblem& p) {
  return p.batch * out_extent(p, p.height) * out_extent(p, p.width) * p.filters;
}
int64_t weights(const FcddConvProblem& p) {
  return int64_t{p.filters} * p.channels * p.kernel * p.kernel;
}

std::string name_of(const FcddConvProblem& p) {
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
  return b.scratch(b.table->conv_workspace_bytes(b.device, &p, pass));
}

struct Data {
  std::vector<double> x, w, bias, dy;
};

Data random_data(std::mt19937& random, const FcddConvProblem& p) {
  const double spread = 1 / std::sqrt(static_cast<double>(p.channels) * p.kernel * p.kernel);
  return {normal_values(random, inputs(p), 1, 0.3), normal_values(random, weights(p), spread),
          normal_values(random, p.filters), normal_values(random, outputs(p))};
}

Outputs all_passes(Bench& b, const FcddConvProblem& p, const Data& d, bool inference) {
  const FcddBuffer x = b.real(d.x), w = b.real(d.w), dy = b.real(d.dy);
  FcddConvForward forward{};
  forward.p = p;
  forward.x = x;
  forward.packed = pack(b, p, FCDD_FORWARD, w);
  forward.y = b.real_out(outputs(p));
  forward.bias = inference ? b.real(d.bias) : FcddBuffer{};
  forward.activation = inference ? FCDD_ACT_LEAKY : FCDD_ACT_NONE;
  forward.slope = 0.01;
  forward.sums = b.doubles_out(int64_t{2} * p.batch * p.filters);
  forward.workspace = workspace(b, p, FCDD_FORWARD);
  b.run(b.table->conv_forward(b.device, &forward));

  FcddConvInputGrad input{};
  input.p = p;
  input.dy = dy;
  input.packed = pack(b, p, FCDD_INPUT_GRAD, w);
  input.dx = b.real_out(inputs(p));
  input.workspace = workspace(b, p, FCDD_INPUT_GRAD);
  b.run(b.table->conv_input_grad(b.device, &input));

  FcddConvWeightGrad weight{};
  weight.p = p;
  weight.x = x;
  weight.dy = dy;
  weight.dw = b.real_out(weights(p));
  weight.dbias = b.real_out(p.filters);
  weight.workspace = workspace(b, p, FCDD_WEIGHT_GRAD);
  b.run(b.table->conv_weight_grad(b.device, &weight));
  return {{"y", b.read_real(forward.y)},
          {"sums", b.read_doubles(forward.sums)},
          {"dx", b.read_real(input.dx)},
          {"dw", b.read_real(weight.dw)},
          {"dbias", b.read_real(weight.dbias)}};
}

void check_problem(std::mt19937& random, const FcddConvProblem& p) {
  const Data d = random_data(random, p);
  const bool inference = uniform(random, 0, 1) == 1;
  check_case(name_of(p), [&](Bench& b) { return all_passes(b, p, d, inference); });
}

}  // namespace

TEST(cpu_conv_random_shapes) {
  std::mt19937 random(test_seed(11));
  for (int i = 0; i < 60; i++) {
    FcddConvProblem p{};
    p.kernel = uniform(random, 1, 7);
    p.stride = uniform(random, 1, 2);
    p.padding = uniform(random, 0, p.kernel);
    p.batch = uniform(random, 1, 3);
    p.height = uniform(random, p.kernel, 19);
    p.width = uniform(random, p.kernel, 33);
    p.channels = uniform(random, 1, i % 4 == 0 ? 130 : 20);
    p.filters = uniform(random, 1, i % 4 == 1 ? 130 : 20);
    check_problem(random, p);
  }
}

// Kernels 3 and 5 with "same" padding: the shapes that have an algorithm of their own.
TEST(cpu_conv_same_padding) {
  std::mt19937 random(test_seed(12));
  for (int i = 0; i < 24; i++) {
    FcddConvProblem p{};
    p.kernel = i % 2 == 0 ? 3 : 5;
    p.stride = 1;
    p.padding = uniform(random, 0, 3) == 0 ? 0 : p.kernel / 2;
    p.batch = uniform(random, 1, 4);
    p.height = uniform(random, p.kernel, 21);
    p.width = uniform(random, p.kernel, 21);
    p.channels = uniform(random, 1, 130);
    p.filters = uniform(random, 1, 130);
    check_problem(random, p);
  }
}

// Weights so many that workers share blocks of tiles: one block, and (very many filters) two.
TEST(cpu_conv_many_channels) {
  std::mt19937 random(test_seed(18));
  for (const FcddConvProblem& p : std::initializer_list<FcddConvProblem>{{1, 5, 6, 290, 310, 3, 1, 1},
                                                                         {2, 9, 11, 310, 290, 3, 1, 1},
                                                                         {1, 7, 13, 210, 240, 5, 1, 2},
                                                                         {1, 20, 24, 8, 10960, 3, 1, 1}}) {
    check_problem(random, p);
  }
}

// The same with the direct algorithm, which large layers no longer reach by themselves.
TEST(cpu_conv_direct_of_winograd_shapes) {
  setenv("FCDD_CPU_CONV", "direct", 1);
  std::mt19937 random(test_seed(15));
  for (int i = 0; i < 8; i++) {
    const int kernel = i % 2 == 0 ? 3 : 5;
    check_problem(random, {uniform(random, 1, 6), uniform(random, kernel, 21), uniform(random, kernel, 21),
                           uniform(random, 24, 130), uniform(random, 24, 130), kernel, 1, kernel / 2});
  }
  unsetenv("FCDD_CPU_CONV");
}

TEST(cpu_conv_layers_of_the_networks) {
  std::mt19937 random(test_seed(13));
  for (const FcddConvProblem& p : std::initializer_list<FcddConvProblem>{
           {2, 28, 28, 1, 128, 5, 1, 2},  // cnn28-w
           {2, 14, 14, 128, 128, 5, 1, 2},
           {2, 7, 7, 128, 1, 1, 1, 0},
           {2, 32, 32, 3, 128, 3, 1, 1},  // cnn32-lw3k
           {2, 16, 16, 128, 256, 3, 1, 1},
           {1, 8, 8, 256, 128, 3, 1, 1},
           {1, 64, 60, 3, 8, 5, 1, 2},  // cnn224, smaller
           {1, 32, 30, 8, 32, 5, 1, 2},
           {1, 23, 14, 64, 64, 3, 2, 1},
       }) {
    check_problem(random, p);
  }
}

// Winograd's products of kernel 3 in bf16, odd channels included; everything else is float32 there too.
TEST(cpu_conv_bf16) {
  std::mt19937 random(test_seed(19));
  for (int i = 0; i < 24; i++) {
    const int kernel = i % 2 == 0 ? 3 : 5;
    const FcddConvProblem p{uniform(random, 1, 4),
                            uniform(random, kernel, 21),
                            uniform(random, kernel, 21),
                            uniform(random, 1, 130),
                            uniform(random, 1, 130),
                            kernel,
                            1,
                            kernel / 2};
    const Data d = random_data(random, p);
    check_case_bf16(name_of(p), [&](Bench& b) { return all_passes(b, p, d, i % 3 == 0); });
  }
}

// An image's output has the same bits alone and among others.
TEST(cpu_conv_bits_do_not_depend_on_the_batch) {
  std::mt19937 random(test_seed(14));
  for (const int kernel : {1, 3, 5}) {
    const FcddConvProblem five{5, 11, 13, 40, 36, kernel, 1, kernel / 2};
    FcddConvProblem one = five;
    one.batch = 1;
    const Data d = random_data(random, five);
    for (const std::string& isa : isas()) {
      Bench b(fcdd_cpu_table(), isa.c_str(), 2);
      const std::vector<double> together = all_passes(b, five, d, true)[0].values;
      for (int i = 0; i < 5; i++) {
        Data alone = d;
        alone.x.assign(d.x.begin() + i * inputs(one), d.x.begin() + (i + 1) * inputs(one));
        alone.dy.resize(static_cast<size_t>(outputs(one)));
        const std::vector<double> y = all_passes(b, one, alone, true)[0].values;
        CHECK(std::equal(y.begin(), y.end(), together.begin() + i * outputs(one)));
      }
    }
  }
}

// Convolution and max pooling as one step have the bits of the two, whatever the algorithm, also where the
// last row or column is left over.
TEST(cpu_conv_pooled) {
  std::mt19937 random(test_seed(16));
  for (int i = 0; i < 24; i++) {
    const int kernel = i % 4 == 3 ? 1 : i % 2 == 0 ? 3 : 5;
    const int spread = i < 4 ? 90 : 23;  // several blocks of rows
    const FcddConvProblem p{uniform(random, 1, 3),
                            uniform(random, kernel + 1, spread),
                            uniform(random, kernel + 1, spread),
                            uniform(random, 1, 40),
                            uniform(random, 1, 70),
                            kernel,
                            i % 5 == 0 ? 2 : 1,
                            kernel / 2};
    const Data d = random_data(random, p);
    const int oh = static_cast<int>(out_extent(p, p.height)), ow = static_cast<int>(out_extent(p, p.width));
    if (oh < 2 || ow < 2) continue;
    for (const std::string& isa : isas()) {
      Bench b(fcdd_cpu_table(), isa.c_str(), 2);
      FcddConvForward f{};
      f.p = p;
      f.x = b.real(d.x);
      f.packed = pack(b, p, FCDD_FORWARD, b.real(d.w));
      f.bias = b.real(d.bias);
      f.activation = FCDD_ACT_LEAKY;
      f.slope = 0.01;
      f.y = b.real_out(outputs(p));
      f.workspace = workspace(b, p, FCDD_FORWARD);
      b.run(b.table->conv_forward(b.device, &f));
      FcddPostForward post{};
      post.p = {p.batch, oh, ow, p.filters, FCDD_NORM_NONE, FCDD_ACT_NONE, 0, 0, 0, {2, 2, 0}};
      post.x = f.y;
      post.y = b.real_out(int64_t{p.batch} * (oh / 2) * (ow / 2) * p.filters);
      b.run(b.table->post_forward(b.device, &post));

      f.pooled = 1;
      f.y = b.real_out(int64_t{p.batch} * (oh / 2) * (ow / 2) * p.filters);
      f.workspace = workspace(b, p, FCDD_FORWARD_POOLED);
      b.run(b.table->conv_forward(b.device, &f));
      CHECK(b.read_real(f.y) == b.read_real(post.y));
    }
  }
}

// Memory is reserved for the largest batch; the last one of an epoch is smaller.
TEST(cpu_conv_memory_grows_with_the_batch) {
  std::mt19937 random(test_seed(17));
  for (int i = 0; i < 40; i++) {
    const int kernel = i % 2 == 0 ? 3 : 5;
    FcddConvProblem p{1,
                      uniform(random, kernel, 60),
                      uniform(random, kernel, 60),
                      uniform(random, 1, i % 4 == 0 ? 400 : 200),
                      uniform(random, 1, i % 4 == 0 ? 400 : 200),
                      kernel,
                      1,
                      kernel / 2};
    for (const std::string& isa : isas()) {
      Bench b(fcdd_cpu_table(), isa.c_str(), uniform(random, 1, 3));
      for (int pass : {FCDD_FORWARD, FCDD_INPUT_GRAD, FCDD_WEIGHT_GRAD, FCDD_FORWARD_POOLED}) {
        uint64_t before = 0;
        for (p.batch = 1; p.batch <= 40; p.batch++) {
          const uint64_t bytes = b.table->conv_workspace_bytes(b.device, &p, pass);
          CHECK(bytes >= before);
          before = bytes;
        }
      }
    }
  }
}

TEST(cpu_conv_refuses_wrong_arguments) {
  Bench b(fcdd_cpu_table(), nullptr, 1);
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
}

}  // namespace fcdd::test
