// Statistics, normalisation, activation and pooling on the cuda device against `reference`, forward and
// backward.
#include <cmath>
#include <limits>

#include "check.h"
#include "cuda_harness.h"
#include "step_cases.h"

namespace fcdd::test {
namespace {

constexpr FcddPool pools[] = {{0, 0, 0}, {2, 2, 0}, {3, 2, 1}, {3, 3, 0}, {5, 2, 2}, {3, 1, 1}, {2, 3, 1}};

void check_post(const FcddPostProblem& p, const PostData& d) {
  check_cuda_case(
      name_of(p), [&](Bench& b) { return post_forward_and_backward(b, p, d); }, Operands::float32_only);
}

void check_problem(std::mt19937& random, const FcddPostProblem& p) {
  check_post(p, random_post_data(random, p));
}

Bench on_cuda() {
  return Bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_FLOAT32));
}

bool refused(const Bench& b, FcddStatus status, const char* why) {
  return status == FCDD_INVALID && std::string(b.table->last_error(b.device)).find(why) != std::string::npos;
}

}  // namespace

TEST(cuda_post_random_shapes) {
  std::mt19937 random(test_seed(41));
  for (int i = 0; i < 42; i++) {
    FcddPostProblem p{};
    p.pool = pools[i % 7];
    p.batch = uniform(random, 1, 3);
    p.height = uniform(random, 5, 9);
    p.width = uniform(random, 5, 9);
    p.channels = i % 2 == 0 ? 4 * uniform(random, 1, 9) : uniform(random, 1, 20);
    p.norm = i % 6 == 5 ? FCDD_NORM_RUNNING : uniform(random, 0, 4) == 0 ? FCDD_NORM_NONE : FCDD_NORM_BATCH;
    p.activation = uniform(random, 0, 4) == 0 ? FCDD_ACT_NONE : FCDD_ACT_LEAKY;
    p.slope = uniform(random, 0, 1) * 0.01;
    p.eps = 1e-4;
    check_problem(random, p);
  }
}

// Where the work is cut: channels over several blocks, the last one not full, one and four per thread; slices
// of the batch that end within an image, and more of them than a block of the second sum has rows.
TEST(cuda_post_cuts) {
  std::mt19937 random(test_seed(42));
  constexpr auto batch = FCDD_NORM_BATCH;
  constexpr auto leaky = FCDD_ACT_LEAKY;
  check_problem(random, {1, 3, 5, 257, batch, leaky, 0.01, 1e-4, 0.1, {2, 2, 0}});
  check_problem(random, {1, 2, 3, 1028, batch, leaky, 0, 1e-4, 0.1, {0, 0, 0}});
  check_problem(random, {3, 11, 13, 130, batch, leaky, 0.01, 1e-4, 0.1, {3, 2, 1}});
  check_problem(random, {2, 33, 35, 3, batch, leaky, 0.01, 1e-4, 0.1, {2, 2, 0}});
  check_problem(random, {2, 41, 43, 4, batch, leaky, 0.01, 1e-4, 0.1, {0, 0, 0}});
}

// More cells than 1024 slices of the least length.
TEST(cuda_post_longer_slices) {
  std::mt19937 random(test_seed(43));
  check_problem(random, {1, 91, 93, 129, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-4, 0.1, {0, 0, 0}});
}

// A smaller batch fits into the workspace of a larger one.
TEST(cuda_post_workspace_grows_with_the_batch) {
  Bench b = on_cuda();
  FcddPostProblem p{0, 30, 30, 130, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-4, 0.1, {0, 0, 0}};
  uint64_t before = 0;
  for (p.batch = 1; p.batch < 40; p.batch++) {
    const uint64_t bytes = b.table->post_workspace_bytes(b.device, &p);
    CHECK(bytes >= before);
    before = bytes;
  }
  p.norm = FCDD_NORM_NONE;
  CHECK(b.table->post_workspace_bytes(b.device, &p) == 0);
}

// Few distinct values: the winner is the first of many equals, also below zero under ReLU.
TEST(cuda_post_ties_go_to_the_first) {
  std::mt19937 random(test_seed(44));
  for (const FcddPool& pool : pools) {
    const FcddPostProblem p{2, 7, 9, 8, FCDD_NORM_NONE, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, pool};
    PostData d = random_post_data(random, p);
    for (double& v : d.x) v = uniform(random, -2, 1);
    check_post(p, d);
  }
}

// A NaN in the input reaches every output that depends on it, through ReLU and pooling, in every position.
TEST(cuda_post_passes_nan_on) {
  for (const int channels : {3, 4}) {
    const FcddPostProblem p{1, 4, 4, channels, FCDD_NORM_NONE, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {2, 2, 0}};
    for (int at = 0; at < 16 * channels; at++) {
      Bench b = on_cuda();
      std::vector<double> x(static_cast<size_t>(16 * channels), 1.0);
      x[static_cast<size_t>(at)] = std::numeric_limits<double>::quiet_NaN();
      FcddPostForward f{};
      f.p = p;
      f.x = b.real(x), f.y = b.real_out(4 * channels), f.argmax = b.bytes_out(4 * channels);
      b.run(b.table->post_forward(b.device, &f));
      const std::vector<double> y = b.read_real(f.y);
      const int row = at / (4 * channels), column = at / channels % 4, channel = at % channels;
      for (int o = 0; o < 4 * channels; o++) {
        const bool hit = o == (row / 2 * 2 + column / 2) * channels + channel;
        CHECK(std::isnan(y[static_cast<size_t>(o)]) == hit);
      }
    }
  }
}

// With given statistics an image's output has the same bits alone and among others, and wherever its memory
// begins (chunks of a batch begin at odd places).
TEST(cuda_post_forward_of_an_image_alone) {
  std::mt19937 random(test_seed(45));
  for (const FcddPool& pool : pools) {
    FcddPostProblem p{3, 9, 7, 12, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-5, 0.1, pool};
    const PostData d = random_post_data(random, p);
    Bench b = on_cuda();
    FcddPostForward f{};
    f.p = p;
    f.x = b.real(d.x), f.mean = b.real(d.mean), f.inv_std = b.real(d.spread);
    f.y = b.real_out(post_sizes(p).out);
    b.run(b.table->post_forward(b.device, &f));
    const std::vector<double> all = b.read_real(f.y);
    f.p.batch = 1;
    const auto in = static_cast<size_t>(post_sizes(f.p).in), out = static_cast<size_t>(post_sizes(f.p).out);
    std::vector<double> one(1, 0.0);  // so that the image begins at byte 4
    one.insert(one.end(), d.x.end() - static_cast<int64_t>(in), d.x.end());
    f.x = b.real(one);
    f.x.offset += sizeof(float), f.x.bytes -= sizeof(float);
    f.y = b.real_out(static_cast<int64_t>(out));
    b.run(b.table->post_forward(b.device, &f));
    CHECK(same_bits({{"y", b.read_real(f.y)}},
                    {{"y", std::vector<double>(all.end() - static_cast<int64_t>(out), all.end())}}));
  }
}

TEST(cuda_norm_stats) {
  std::mt19937 random(test_seed(46));
  for (const int batch : {1, 2, 7, 8, 9, 16, 19, 40}) {
    FcddPostProblem p{};
    p.batch = batch;
    p.height = uniform(random, 1, 9);
    p.width = uniform(random, 2, 9);
    p.channels = uniform(random, 1, 70);
    p.eps = 1e-5;
    p.momentum = 0.1;
    const std::vector<double> sums = random_sums(random, p, batch % 2 == 0 ? 1e4 : 5);
    const std::vector<double> running = normal_values(random, p.channels);
    check_cuda_case(
        "norm_stats of " + std::to_string(batch) + " images",
        [&](Bench& b) { return batch_statistics(b, p, sums, running); }, Operands::float32_only);
  }
}

TEST(cuda_post_refuses) {
  Bench b = on_cuda();
  const FcddPostProblem p{1, 4, 4, 4, FCDD_NORM_RUNNING, FCDD_ACT_NONE, 0, 1e-5, 0.1, {2, 2, 0}};
  FcddPostBackward g{};
  g.p = p;
  CHECK(refused(b, b.table->post_backward(b.device, &g), "no gradient through running statistics"));
  g.p.norm = FCDD_NORM_NONE;
  CHECK(refused(b, b.table->post_backward(b.device, &g), "dy is missing"));
  g.dy = b.real_out(16);
  g.x = b.real_out(63);
  CHECK(refused(b, b.table->post_backward(b.device, &g), "x holds 252 bytes, expected 256"));
  g.x = b.real_out(64), g.argmax = b.bytes_out(16), g.dx = b.real_out(65);
  g.dx.offset = 4, g.dx.bytes = 256;
  CHECK(refused(b, b.table->post_backward(b.device, &g), "aligned to 16 bytes"));

  FcddPostForward f{};
  f.p = p;
  f.p.pool = {5, 1, 0};
  CHECK(refused(b, b.table->post_forward(b.device, &f), "a pooling window of 1 to 16"));
  f.p.pool = {3, 1, 2};
  CHECK(refused(b, b.table->post_forward(b.device, &f), "padded by at most half"));
  f.p.batch = 1 << 27;
  f.p.pool = {0, 0, 0};
  CHECK(refused(b, b.table->post_forward(b.device, &f), "less than 2^31 pixels"));

  FcddNormStats stats{};
  stats.p = p;
  stats.p.height = stats.p.width = 1;
  CHECK(refused(b, b.table->norm_stats(b.device, &stats), "more than one value per channel"));
}

}  // namespace fcdd::test
