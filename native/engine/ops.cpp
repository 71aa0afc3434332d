// Steps by themselves: each operand gets a reservation of its own, so that a step that leaves its buffer is
// found.
#include "fcdd/ops.h"

#include <chrono>
#include <string>

#include "engine/transfer.h"
#include "fcdd/stopwatch.h"

namespace fcdd::ops {
namespace {

void require(bool ok, const std::string& message) {
  if (!ok) throw Error("FCDD_INVALID_ARGUMENT", message);
}

void require_size(size_t received, size_t expected, const char* name) {
  require(received == expected, "Expected " + std::to_string(expected) + " values for " + name +
                                    " but received " + std::to_string(received));
}

// Empty stands for "none".
void require_size_or_none(size_t received, size_t expected, const char* name) {
  if (received > 0) require_size(received, expected, name);
}

// The operands of one step on one device.
class Bench {
 public:
  explicit Bench(const std::shared_ptr<Device>& device) : device_(device) {}

  FcddBuffer bytes(uint64_t count) {
    if (count == 0) return {0, 0, 0};
    arenas_.push_back(std::make_unique<Arena>(device_, count));
    return arenas_.back()->slice(0, count);
  }
  FcddBuffer real(uint64_t count) { return bytes(count * device_->info().real_bytes); }
  FcddBuffer doubles(uint64_t count) { return bytes(count * sizeof(double)); }

  FcddBuffer real(const Values& values) {
    const FcddBuffer buffer = real(values.size());
    upload_real(*device_, buffer, values.data(), values.size());
    return buffer;
  }
  FcddBuffer doubles(const Values& values) {
    const FcddBuffer buffer = doubles(values.size());
    upload_bytes(*device_, buffer, values.data(), values.size() * sizeof(double));
    return buffer;
  }
  FcddBuffer bytes(const Bytes& values) {
    const FcddBuffer buffer = bytes(values.size());
    upload_bytes(*device_, buffer, values.data(), values.size());
    return buffer;
  }

  Values take_real(FcddBuffer from) const {
    return download_real<double>(*device_, from, from.bytes / device_->info().real_bytes);
  }
  Values take_doubles(FcddBuffer from) const {
    return download<double>(*device_, from, from.bytes / sizeof(double));
  }
  Bytes take_bytes(FcddBuffer from) const { return download<uint8_t>(*device_, from, from.bytes); }

  const FcddDeviceTable& table() const { return device_->table(); }
  FcddDevice* handle() const { return device_->handle(); }
  void check(FcddStatus status, const char* what) const { device_->check(status, what); }

  // Runs a step once, or as often as a stopwatch asks for.
  template <class Arguments>
  void run(FcddStatus (*step)(FcddDevice*, const Arguments*), const Arguments& a, const char* what) const {
    check(step(handle(), &a), what);
    Stopwatch* watch = Stopwatch::current;
    for (int i = 0; watch != nullptr && i < watch->calls(); i++) {
      check(table().synchronise(handle()), what);
      const auto begin = std::chrono::steady_clock::now();
      check(step(handle(), &a), what);
      check(table().synchronise(handle()), what);
      const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
      watch->record(spent.count());
    }
  }

 private:
  std::shared_ptr<Device> device_;
  std::vector<std::unique_ptr<Arena>> arenas_;
};

struct Extents {
  size_t x, w, y;  // elements
};

Extents check_conv(const FcddConvProblem& p) {
  require(p.batch >= 1 && p.height >= 1 && p.width >= 1 && p.channels >= 1 && p.filters >= 1 && p.kernel >= 1,
          "Expected extents of at least 1 for the convolution");
  require(p.stride == 1 || p.stride == 2, "Expected a stride of 1 or 2 for the convolution");
  require(p.padding >= 0 && p.height + 2 * p.padding >= p.kernel && p.width + 2 * p.padding >= p.kernel,
          "Expected an input at least as large as the kernel for the convolution");
  const size_t n = p.batch, k = p.filters, c = p.channels;
  const size_t out_h = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  const size_t out_w = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  return {n * p.height * p.width * c, k * c * p.kernel * p.kernel, n * out_h * out_w * k};
}

struct PostExtents {
  size_t x, y;
};

PostExtents check_post(const FcddPostProblem& p) {
  require(p.batch >= 1 && p.height >= 1 && p.width >= 1 && p.channels >= 1,
          "Expected extents of at least 1 for the tensor x");
  const size_t n = p.batch, c = p.channels, x = n * p.height * p.width * c;
  const FcddPool& pool = p.pool;
  if (pool.kernel == 0) return {x, x};
  require(pool.kernel >= 1 && pool.kernel <= 16 && pool.stride >= 1 && pool.padding >= 0,
          "Expected a window from 1 to 16, a stride of at least 1 and no negative padding for the pool");
  require(2 * pool.padding <= pool.kernel, "Expected a padding of at most half the window for the pool");
  require(p.height + 2 * pool.padding >= pool.kernel && p.width + 2 * pool.padding >= pool.kernel,
          "Expected an input at least as large as the window for the pool");
  const size_t out_h = fcdd_out_extent(p.height, pool.kernel, pool.stride, pool.padding);
  const size_t out_w = fcdd_out_extent(p.width, pool.kernel, pool.stride, pool.padding);
  return {x, n * out_h * out_w * c};
}

void check_upsample(const FcddUpsampleProblem& p, const Values& taps) {
  require(p.batch >= 1 && p.in_height >= 1 && p.in_width >= 1 && p.height >= 1 && p.width >= 1,
          "Expected extents of at least 1 for the upsampling");
  require(p.taps >= 1 && p.jump >= 1,
          "Expected at least one tap and a jump of at least 1 for the upsampling");
  require_size(taps.size(), p.taps, "taps");
}

FcddBuffer pack(Bench& bench, const FcddConvProblem& p, FcddPass pass, const Values& w) {
  FcddConvPack a{p, pass, bench.real(w),
                 bench.bytes(bench.table().conv_packed_bytes(bench.handle(), &p, pass))};
  bench.check(bench.table().conv_pack(bench.handle(), &a), "conv_pack");
  return a.packed;
}

FcddBuffer conv_workspace(Bench& bench, const FcddConvProblem& p, FcddPass pass) {
  return bench.bytes(bench.table().conv_workspace_bytes(bench.handle(), &p, pass));
}

// Sizes of the operands of a normalisation; without one mean and spread are empty.
void check_norm_operands(const FcddPostProblem& p, const Values& mean, const Values& spread,
                         const Values& gamma, const Values& beta) {
  const size_t c = p.norm == FCDD_NORM_NONE ? 0 : p.channels;
  require_size(mean.size(), c, "mean");
  require_size(spread.size(), c, p.norm == FCDD_NORM_RUNNING ? "variance" : "invStd");
  require_size_or_none(gamma.size(), p.channels, "gamma");
  require_size_or_none(beta.size(), p.channels, "beta");
}

}  // namespace

Conv conv2d(const std::shared_ptr<Device>& device, const FcddConvProblem& p, const Values& x, const Values& w,
            const Values& bias, int activation, double slope, bool sums) {
  const Extents e = check_conv(p);
  require_size(x.size(), e.x, "x");
  require_size(w.size(), e.w, "w");
  require_size_or_none(bias.size(), p.filters, "bias");
  Bench bench(device);
  FcddConvForward a{};
  a.p = p;
  a.x = bench.real(x);
  a.packed = pack(bench, p, FCDD_FORWARD, w);
  a.y = bench.real(e.y);
  a.bias = bench.real(bias);
  a.activation = activation;
  a.slope = slope;
  a.sums = bench.doubles(sums ? static_cast<size_t>(p.batch) * 2 * p.filters : 0);
  a.workspace = conv_workspace(bench, p, FCDD_FORWARD);
  bench.run(bench.table().conv_forward, a, "conv2d");
  return {bench.take_real(a.y), bench.take_doubles(a.sums)};
}

Values conv2d_input_grad(const std::shared_ptr<Device>& device, const FcddConvProblem& p, const Values& dy,
                         const Values& w) {
  const Extents e = check_conv(p);
  require_size(dy.size(), e.y, "dy");
  require_size(w.size(), e.w, "w");
  Bench bench(device);
  FcddConvInputGrad a{};
  a.p = p;
  a.dy = bench.real(dy);
  a.packed = pack(bench, p, FCDD_INPUT_GRAD, w);
  a.dx = bench.real(e.x);
  a.workspace = conv_workspace(bench, p, FCDD_INPUT_GRAD);
  bench.run(bench.table().conv_input_grad, a, "conv2dInputGrad");
  return bench.take_real(a.dx);
}

ConvWeightGrad conv2d_weight_grad(const std::shared_ptr<Device>& device, const FcddConvProblem& p,
                                  const Values& x, const Values& dy, bool bias) {
  const Extents e = check_conv(p);
  require_size(x.size(), e.x, "x");
  require_size(dy.size(), e.y, "dy");
  Bench bench(device);
  FcddConvWeightGrad a{};
  a.p = p;
  a.x = bench.real(x);
  a.dy = bench.real(dy);
  a.dw = bench.real(e.w);
  a.dbias = bench.real(bias ? p.filters : 0);
  a.workspace = conv_workspace(bench, p, FCDD_WEIGHT_GRAD);
  bench.run(bench.table().conv_weight_grad, a, "conv2dWeightGrad");
  return {bench.take_real(a.dw), bench.take_real(a.dbias)};
}

Folded conv2d_fold(const std::shared_ptr<Device>& device, int filters, int fan_in, double eps,
                   const Values& w, const Values& bias, const Values& gamma, const Values& beta,
                   const Values& running_mean, const Values& running_var) {
  require(filters >= 1 && fan_in >= 1, "Expected extents of at least 1 for the convolution");
  require_size(w.size(), static_cast<size_t>(filters) * fan_in, "w");
  require_size_or_none(bias.size(), filters, "bias");
  require_size_or_none(gamma.size(), filters, "gamma");
  require_size_or_none(beta.size(), filters, "beta");
  require_size(running_mean.size(), filters, "runningMean");
  require_size(running_var.size(), filters, "runningVar");
  Bench bench(device);
  FcddConvFold a{};
  a.filters = filters;
  a.fan_in = fan_in;
  a.eps = eps;
  a.w = bench.real(w);
  a.bias = bench.real(bias);
  a.gamma = bench.real(gamma);
  a.beta = bench.real(beta);
  a.running_mean = bench.real(running_mean);
  a.running_var = bench.real(running_var);
  a.folded_w = bench.real(w.size());
  a.folded_bias = bench.real(filters);
  bench.run(bench.table().conv_fold, a, "conv2dFold");
  return {bench.take_real(a.folded_w), bench.take_real(a.folded_bias)};
}

NormStats norm_stats(const std::shared_ptr<Device>& device, const FcddPostProblem& p, const Values& sums,
                     const Values& running_mean, const Values& running_var) {
  check_post(p);
  require_size(sums.size(), static_cast<size_t>(p.batch) * 2 * p.channels, "sums");
  require_size(running_mean.size(), p.channels, "runningMean");
  require_size(running_var.size(), p.channels, "runningVar");
  Bench bench(device);
  FcddNormStats a{};
  a.p = p;
  a.sums = bench.doubles(sums);
  a.mean = bench.real(p.channels);
  a.inv_std = bench.real(p.channels);
  a.running_mean = bench.real(running_mean);
  a.running_var = bench.real(running_var);
  bench.run(bench.table().norm_stats, a, "normStats");
  return {bench.take_real(a.mean), bench.take_real(a.inv_std), bench.take_real(a.running_mean),
          bench.take_real(a.running_var)};
}

NormStats norm_stats_of(const std::shared_ptr<Device>& device, const FcddPostProblem& p, const Values& x,
                        const Values& running_mean, const Values& running_var) {
  check_post(p);
  const size_t channels = p.channels;
  Values identity(channels * channels);
  for (size_t c = 0; c < channels; c++) identity[c * channels + c] = 1;
  const FcddConvProblem conv{p.batch, p.height, p.width, p.channels, p.channels, 1, 1, 0};
  const Conv made = conv2d(device, conv, x, identity, {}, FCDD_ACT_NONE, 0, true);
  return norm_stats(device, p, made.sums, running_mean, running_var);
}

PostForward post_forward(const std::shared_ptr<Device>& device, const FcddPostProblem& p, const Values& x,
                         const Values& mean, const Values& spread, const Values& gamma, const Values& beta) {
  const PostExtents e = check_post(p);
  require_size(x.size(), e.x, "x");
  check_norm_operands(p, mean, spread, gamma, beta);
  Bench bench(device);
  FcddPostForward a{};
  a.p = p;
  a.x = bench.real(x);
  a.mean = bench.real(mean);
  a.inv_std = bench.real(spread);
  a.gamma = bench.real(gamma);
  a.beta = bench.real(beta);
  a.y = bench.real(e.y);
  a.argmax = bench.bytes(p.pool.kernel > 0 ? e.y : 0);
  bench.run(bench.table().post_forward, a, "post");
  return {bench.take_real(a.y), bench.take_bytes(a.argmax)};
}

PostBackward post_backward(const std::shared_ptr<Device>& device, const FcddPostProblem& p, const Values& dy,
                           const Values& x, const Values& mean, const Values& inv_std, const Values& gamma,
                           const Values& beta, const Bytes& argmax) {
  const PostExtents e = check_post(p);
  require(p.norm != FCDD_NORM_RUNNING, "Expected batch statistics or no normalisation for the backward pass");
  require_size(dy.size(), e.y, "dy");
  require_size(x.size(), e.x, "x");
  check_norm_operands(p, mean, inv_std, gamma, beta);
  require_size(argmax.size(), p.pool.kernel > 0 ? e.y : 0, "argmax");
  const int window = p.pool.kernel * p.pool.kernel;
  for (const uint8_t index : argmax) require(index < window, "Expected indices within the window for argmax");
  Bench bench(device);
  FcddPostBackward a{};
  a.p = p;
  a.dy = bench.real(dy);
  a.x = bench.real(x);
  a.mean = bench.real(mean);
  a.inv_std = bench.real(inv_std);
  a.gamma = bench.real(gamma);
  a.beta = bench.real(beta);
  a.argmax = bench.bytes(argmax);
  a.dx = bench.real(e.x);
  a.dgamma = bench.real(gamma.size());
  a.dbeta = bench.real(beta.size());
  a.workspace = bench.bytes(bench.table().post_workspace_bytes(bench.handle(), &p));
  bench.run(bench.table().post_backward, a, "postBackward");
  return {bench.take_real(a.dx), bench.take_real(a.dgamma), bench.take_real(a.dbeta)};
}

Loss loss(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& up, const Values& taps,
          const Values& z, const Bytes& labels, const Bytes& masks) {
  const size_t n = up.batch, low = n * up.in_height * up.in_width;
  const bool pixelwise = !taps.empty();
  require(up.batch >= 1 && up.in_height >= 1 && up.in_width >= 1, "Expected extents of at least 1 for z");
  if (pixelwise) check_upsample(up, taps);
  require_size(z.size(), low, "z");
  require_size(labels.size(), n, "labels");
  require_size(masks.size(), pixelwise ? n * up.height * up.width : 0, "masks");
  Bench bench(device);
  FcddLoss a{};
  a.batch = up.batch;
  a.height = up.in_height;
  a.width = up.in_width;
  a.pixelwise = pixelwise;
  a.up = up;
  a.taps = bench.real(taps);
  a.z = bench.real(z);
  a.labels = bench.bytes(labels);
  a.masks = bench.bytes(masks);
  a.losses = bench.doubles(n);
  a.dz = bench.real(low);
  a.workspace = bench.bytes(bench.table().upsample_workspace_bytes(bench.handle(), &up));
  bench.run(bench.table().loss, a, "fcddLoss");
  return {bench.take_doubles(a.losses), bench.take_real(a.dz)};
}

Score score(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& up, const Values& taps,
            const Values& z, bool low, bool maps) {
  const size_t n = up.batch, area = static_cast<size_t>(up.in_height) * up.in_width;
  require(up.batch >= 1 && up.in_height >= 1 && up.in_width >= 1, "Expected extents of at least 1 for z");
  if (maps) check_upsample(up, taps);
  require_size(z.size(), n * area, "z");
  Bench bench(device);
  FcddScore a{};
  a.batch = up.batch;
  a.height = up.in_height;
  a.width = up.in_width;
  a.up = up;
  a.taps = bench.real(taps);
  a.z = bench.real(z);
  a.scores = bench.doubles(n);
  a.low = bench.real(low ? n * area : 0);
  a.maps = bench.real(maps ? n * up.height * up.width : 0);
  a.workspace = bench.bytes(bench.table().upsample_workspace_bytes(bench.handle(), &up));
  bench.run(bench.table().score, a, "score");
  return {bench.take_doubles(a.scores), bench.take_real(a.low), bench.take_real(a.maps)};
}

Values upsample(const std::shared_ptr<Device>& device, const FcddUpsampleProblem& p, const Values& taps,
                const Values& x, bool backward) {
  check_upsample(p, taps);
  const size_t n = p.batch, in = n * p.in_height * p.in_width, out = n * p.height * p.width;
  require_size(x.size(), backward ? out : in, "x");
  Bench bench(device);
  FcddUpsample a{p, backward, bench.real(taps), bench.real(x), bench.real(backward ? in : out), {}};
  a.workspace = bench.bytes(bench.table().upsample_workspace_bytes(bench.handle(), &p));
  bench.run(bench.table().upsample, a, "gaussianUpsample");
  return bench.take_real(a.y);
}

Updated update(const std::shared_ptr<Device>& device, FcddUpdate a, const Values& w, const Values& grad,
               const Values& m, const Values& v) {
  require(!w.empty() && a.step >= 1, "Expected at least one weight and a step of at least 1 for the update");
  require_size(grad.size(), w.size(), "grad");
  require_size(m.size(), w.size(), "m");
  require_size(v.size(), a.kind == FCDD_ADAM ? w.size() : 0, "v");
  Bench bench(device);
  a.count = w.size();
  a.w = bench.real(w);
  a.grad = bench.real(grad);
  a.m = bench.real(m);
  a.v = bench.real(v);
  bench.run(bench.table().update, a, "update");
  return {bench.take_real(a.w), bench.take_real(a.m), bench.take_real(a.v)};
}

}  // namespace fcdd::ops
