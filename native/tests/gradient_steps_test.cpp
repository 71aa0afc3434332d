// Every backward step of `reference` against finite differences of its forward step.
#include "cpu_harness.h"
#include "fcdd/layers.h"
#include "gradient_check.h"
#include "test_seed.h"

namespace fcdd::test {
namespace {

// A fresh device per evaluation: buffers of a Bench live as long as it does.
struct Reference : Bench {
  Reference() : Bench(fcdd_reference_table(), nullptr, 1) {}
};

int64_t in_count(const FcddConvProblem& p) {
  return int64_t{p.batch} * p.height * p.width * p.channels;
}
int64_t out_count(const FcddConvProblem& p) {
  return int64_t{p.batch} * fcdd_out_extent(p.height, p.kernel, p.stride, p.padding) *
         fcdd_out_extent(p.width, p.kernel, p.stride, p.padding) * p.filters;
}
int64_t weight_count(const FcddConvProblem& p) {
  return int64_t{p.filters} * p.channels * p.kernel * p.kernel;
}

std::vector<double> conv(const FcddConvProblem& p, const std::vector<double>& x, const std::vector<double>& w,
                         const std::vector<double>& bias) {
  Reference r;
  FcddConvPack pack{p, FCDD_FORWARD, r.real(w), r.real_out(weight_count(p))};
  r.run(r.table->conv_pack(r.device, &pack));
  FcddConvForward a{};
  a.p = p;
  a.x = r.real(x);
  a.packed = pack.packed;
  a.bias = r.real(bias);
  a.y = r.real_out(out_count(p));
  r.run(r.table->conv_forward(r.device, &a));
  return r.read_real(a.y);
}

struct ConvGradients {
  std::vector<double> dx, dw, dbias;
};

ConvGradients conv_gradients(const FcddConvProblem& p, const std::vector<double>& x,
                             const std::vector<double>& w, const std::vector<double>& dy) {
  Reference r;
  FcddConvPack pack{p, FCDD_INPUT_GRAD, r.real(w), r.real_out(weight_count(p))};
  r.run(r.table->conv_pack(r.device, &pack));
  FcddConvInputGrad in{};
  in.p = p;
  in.dy = r.real(dy);
  in.packed = pack.packed;
  in.dx = r.real_out(in_count(p));
  r.run(r.table->conv_input_grad(r.device, &in));
  FcddConvWeightGrad weight{};
  weight.p = p;
  weight.x = r.real(x);
  weight.dy = in.dy;
  weight.dw = r.real_out(weight_count(p));
  weight.dbias = r.real_out(p.filters);
  weight.workspace = r.scratch(r.table->conv_workspace_bytes(r.device, &p, FCDD_WEIGHT_GRAD));
  r.run(r.table->conv_weight_grad(r.device, &weight));
  return {r.read_real(in.dx), r.read_real(weight.dw), r.read_real(weight.dbias)};
}

void check_conv(const FcddConvProblem& p) {
  std::mt19937 random(test_seed(7));
  const auto x = normal_values(random, in_count(p)), w = normal_values(random, weight_count(p));
  const auto bias = normal_values(random, p.filters), dy = normal_values(random, out_count(p));
  const ConvGradients g = conv_gradients(p, x, w, dy);
  const std::string label = "convolution k" + std::to_string(p.kernel) + " s" + std::to_string(p.stride) +
                            " p" + std::to_string(p.padding);
  check_gradient(
      label + " dx", [&](const auto& v) { return dot(conv(p, v, w, bias), dy); }, x, g.dx);
  check_gradient(
      label + " dw", [&](const auto& v) { return dot(conv(p, x, v, bias), dy); }, w, g.dw);
  check_gradient(
      label + " dbias", [&](const auto& v) { return dot(conv(p, x, w, v), dy); }, bias, g.dbias);
}

// ---- post ----------------------------------------------------------------------------------------------

int64_t post_in(const FcddPostProblem& p) {
  return int64_t{p.batch} * p.height * p.width * p.channels;
}
int64_t post_out(const FcddPostProblem& p) {
  if (p.pool.kernel == 0) return post_in(p);
  return int64_t{p.batch} * fcdd_out_extent(p.height, p.pool.kernel, p.pool.stride, p.pool.padding) *
         fcdd_out_extent(p.width, p.pool.kernel, p.pool.stride, p.pool.padding) * p.channels;
}

// Per image and channel: sum and squared deviations, as a convolution writes them.
std::vector<double> image_sums(const FcddPostProblem& p, const std::vector<double>& x) {
  const int C = p.channels, pixels = p.height * p.width;
  std::vector<double> sums(static_cast<size_t>(p.batch) * 2 * C, 0);
  for (int n = 0; n < p.batch; n++) {
    for (int c = 0; c < C; c++) {
      double &sum = sums[(n * 2) * C + c], &squares = sums[(n * 2 + 1) * C + c];
      for (int i = 0; i < pixels; i++) sum += x[(n * pixels + i) * C + c];
      for (int i = 0; i < pixels; i++) {
        const double d = x[(n * pixels + i) * C + c] - sum / pixels;
        squares += d * d;
      }
    }
  }
  return sums;
}

struct Affine {
  std::vector<double> gamma, beta;  // empty: none
};

struct PostRun {
  std::vector<double> y, dx, dgamma, dbeta;
};

// Statistics, forward and backward of a whole post step.
PostRun post(const FcddPostProblem& p, const std::vector<double>& x, const Affine& affine,
             const std::vector<double>& dy) {
  Reference r;
  FcddPostForward f{};
  f.p = p;
  f.x = r.real(x);
  f.y = r.real_out(post_out(p));
  f.argmax = p.pool.kernel > 0 ? r.bytes_out(post_out(p)) : FcddBuffer{};
  if (p.norm == FCDD_NORM_BATCH) {
    const std::vector<double> zero(static_cast<size_t>(p.channels), 0);
    const FcddNormStats stats{p,
                              r.doubles(image_sums(p, x)),
                              r.real_out(p.channels),
                              r.real_out(p.channels),
                              r.real(zero),
                              r.real(zero)};
    r.run(r.table->norm_stats(r.device, &stats));
    f.mean = stats.mean;
    f.inv_std = stats.inv_std;
    if (!affine.gamma.empty()) f.gamma = r.real(affine.gamma);
    if (!affine.beta.empty()) f.beta = r.real(affine.beta);
  }
  r.run(r.table->post_forward(r.device, &f));
  FcddPostBackward b{};
  b.p = p;
  b.dy = r.real(dy);
  b.x = f.x;
  b.mean = f.mean;
  b.inv_std = f.inv_std;
  b.gamma = f.gamma;
  b.beta = f.beta;
  b.argmax = f.argmax;
  b.dx = r.real_out(post_in(p));
  b.dgamma = r.real_out(p.channels);
  b.dbeta = r.real_out(p.channels);
  b.workspace = r.scratch(r.table->post_workspace_bytes(r.device, &p));
  r.run(r.table->post_backward(r.device, &b));
  return {r.read_real(f.y), r.read_real(b.dx), r.read_real(b.dgamma), r.read_real(b.dbeta)};
}

void check_post(const FcddPostProblem& p, bool with_affine) {
  std::mt19937 random(test_seed(11));
  const auto x = normal_values(random, post_in(p)), dy = normal_values(random, post_out(p));
  Affine affine;
  if (with_affine) affine = {normal_values(random, p.channels, 0.5, 1), normal_values(random, p.channels)};
  const PostRun run = post(p, x, affine, dy);
  const std::string label = "post norm " + std::to_string(p.norm) + " act " + std::to_string(p.activation) +
                            " slope " + std::to_string(p.slope) + " pool " + std::to_string(p.pool.kernel) +
                            (with_affine ? " affine" : "");
  check_gradient(
      label + " dx", [&](const auto& v) { return dot(post(p, v, affine, dy).y, dy); }, x, run.dx);
  if (p.norm == FCDD_NORM_NONE) return;
  if (!with_affine) return;
  const auto by_gamma = [&](const auto& v) { return dot(post(p, x, {v, affine.beta}, dy).y, dy); };
  const auto by_beta = [&](const auto& v) { return dot(post(p, x, {affine.gamma, v}, dy).y, dy); };
  check_gradient(label + " dgamma", by_gamma, affine.gamma, run.dgamma);
  check_gradient(label + " dbeta", by_beta, affine.beta, run.dbeta);
}

// ---- loss ----------------------------------------------------------------------------------------------

struct LossRun {
  std::vector<double> losses, dz;
  double mean() const {
    double sum = 0;
    for (const double l : losses) sum += l;
    return sum / static_cast<double>(losses.size());
  }
};

LossRun run_loss(FcddLoss a, const std::vector<double>& z, const std::vector<double>& taps,
                 const std::vector<uint8_t>& labels, const std::vector<uint8_t>& masks) {
  Reference r;
  a.z = r.real(z);
  a.labels = r.bytes(labels);
  if (a.pixelwise) a.taps = r.real(taps);
  if (a.pixelwise) a.masks = r.bytes(masks);
  a.losses = r.doubles_out(a.batch);
  a.dz = r.real_out(static_cast<int64_t>(z.size()));
  a.workspace = r.scratch(r.table->upsample_workspace_bytes(r.device, &a.up));
  r.run(r.table->loss(r.device, &a));
  return {r.read_doubles(a.losses), r.read_real(a.dz)};
}

FcddLoss loss_problem(bool pixelwise, int taps) {
  FcddLoss a{};
  a.batch = 3;
  a.height = 4;
  a.width = 3;
  a.pixelwise = pixelwise;
  a.up = {.batch = 3,
          .in_height = 4,
          .in_width = 3,
          .height = 8,
          .width = 6,
          .taps = taps,
          .jump = 2,
          .shift = 1};
  return a;
}

}  // namespace

TEST(gradient_conv) {
  for (const int kernel : {1, 3, 5}) {
    for (const int stride : {1, 2}) {
      for (const int padding : {0, kernel / 2, kernel}) check_conv({2, 6, 5, 2, 3, kernel, stride, padding});
    }
  }
}

TEST(gradient_post) {
  const FcddPool pools[] = {{0, 0, 0}, {2, 2, 0}, {3, 2, 1}, {3, 1, 0}};
  struct Act {
    int32_t activation;
    double slope;
  };
  const Act acts[] = {{FCDD_ACT_NONE, 0}, {FCDD_ACT_LEAKY, 0}, {FCDD_ACT_LEAKY, 0.01}};
  for (const int32_t norm : {FCDD_NORM_NONE, FCDD_NORM_BATCH}) {
    for (const auto& act : acts) {
      for (const FcddPool& pool : pools) {
        const FcddPostProblem p{2, 6, 5, 3, norm, act.activation, act.slope, 1e-4, 0.1, pool};
        check_post(p, false);
        if (norm == FCDD_NORM_BATCH) check_post(p, true);
      }
    }
  }
}

TEST(gradient_loss_of_samples) {
  std::mt19937 random(test_seed(3));
  const FcddLoss a = loss_problem(false, 1);
  const auto z = normal_values(random, 36);
  for (const std::vector<uint8_t>& labels : {std::vector<uint8_t>{0, 1, 0}, {1, 1, 1}, {0, 0, 0}}) {
    check_gradient(
        "sample-wise loss", [&](const auto& v) { return run_loss(a, v, {}, labels, {}).mean(); }, z,
        run_loss(a, z, {}, labels, {}).dz);
  }
}

TEST(gradient_loss_of_pixels) {
  std::mt19937 random(test_seed(4));
  const auto z = normal_values(random, 36);
  for (const int extent : {5, 6}) {
    const FcddLoss a = loss_problem(true, extent);
    const auto taps = gaussian_taps(extent, 1.2);
    std::vector<uint8_t> masks(3 * 48, 0);  // of three samples: none, some, all
    for (size_t i = 48; i < 96; i++) masks[i] = i % 3 == 0;
    for (size_t i = 96; i < masks.size(); i++) masks[i] = 1;
    check_gradient(
        "pixel-wise loss",
        [&](const auto& v) {
          return run_loss(a, v, taps, {0, 1, 1}, masks).mean();
        },
        z, run_loss(a, z, taps, {0, 1, 1}, masks).dz);
  }
}

// The backward pass is the adjoint: <up(x), y> = <x, adjoint(y)>, for odd and even kernels and negative
// shifts.
TEST(gradient_upsample) {
  std::mt19937 random(test_seed(5));
  for (const int extent : {1, 5, 6, 16}) {
    for (const int shift : {-1, 0, 3}) {
      const FcddUpsampleProblem p{2, 4, 3, 9, 14, extent, 4, shift};
      const auto x = normal_values(random, 24), y = normal_values(random, 2 * 9 * 14);
      const auto taps = gaussian_taps(extent, 2);
      const auto apply = [&](int32_t backward, const std::vector<double>& v, int64_t count) {
        Reference r;
        const FcddUpsample a{p, backward, r.real(taps), r.real(v), r.real_out(count), {}};
        r.run(r.table->upsample(r.device, &a));
        return r.read_real(a.y);
      };
      const auto adjoint = apply(1, y, 24);
      CHECK_LESS(std::abs(dot(apply(0, x, 2 * 9 * 14), y) - dot(x, adjoint)), 1e-12);
      check_gradient(
          "upsampling", [&](const auto& v) { return dot(apply(0, v, 2 * 9 * 14), y); }, x, adjoint);
    }
  }
}

}  // namespace fcdd::test
