#include "ops.h"

#include <utility>
#include <variant>
#include <vector>

#include "fcdd/ops.h"
#include "fcdd/stopwatch.h"
#include "fields.h"
#include "results.h"

namespace fcdd::bindings {

namespace {

using ops::Bytes;
using ops::Values;

// Results by name; an empty one was not asked for and stays absent.
using Result = std::vector<std::pair<const char*, std::variant<Values, Bytes>>>;
using Work = std::function<Result(const std::shared_ptr<Device>&)>;

constexpr int64_t largest = 1 << 20;

FcddConvProblem read_conv(Fields& f) {
  return {f.integer("batch", 1, largest),   f.integer("height", 1, largest),
          f.integer("width", 1, largest),   f.integer("channels", 1, largest),
          f.integer("filters", 1, largest), f.integer("kernel", 1, 4096),
          f.integer_or("stride", 1, 1, 2),  f.integer_or("padding", 0, 0, 4096)};
}

FcddPool read_pool(Fields& f) {
  auto pool = f.object_or_none("pool");
  if (!pool) return {};
  const int kernel = pool->integer("kernel", 1, 16);
  const FcddPool made{kernel, pool->integer_or("stride", kernel, 1, 4096),
                      pool->integer_or("padding", 0, 0, 8)};
  pool->done();
  return made;
}

FcddPostProblem read_post(Fields& f) {
  FcddPostProblem p{};
  p.batch = f.integer("batch", 1, largest);
  p.height = f.integer("height", 1, largest);
  p.width = f.integer("width", 1, largest);
  p.channels = f.integer("channels", 1, largest);
  p.norm = f.has("norm") ? read_choice(f.raw("norm"), f.path("norm"), {"none", "batch", "running"})
                         : FCDD_NORM_NONE;
  p.activation = f.has("slope") ? FCDD_ACT_LEAKY : FCDD_ACT_NONE;
  p.slope = f.number_or("slope", 0);
  p.eps = f.number_from("eps", 1e-5, 0);
  p.momentum = f.number_from("momentum", 0.1, 0);
  p.pool = read_pool(f);
  return p;
}

FcddUpsampleProblem read_upsample(Fields& f) {
  return {f.integer("batch", 1, largest),   f.integer("inHeight", 1, largest),
          f.integer("inWidth", 1, largest), f.integer("height", 1, largest),
          f.integer("width", 1, largest),   f.integer("taps", 1, 1 << 15),
          f.integer("jump", 1, 1 << 15),    f.integer_or("shift", 0, -largest)};
}

// A map without upsampling; taps stay empty.
FcddUpsampleProblem read_map(Fields& f) {
  FcddUpsampleProblem p{};
  p.batch = f.integer("batch", 1, largest);
  p.in_height = f.integer("inHeight", 1, largest);
  p.in_width = f.integer("inWidth", 1, largest);
  return p;
}

Work conv2d(Fields& f, Fields& o) {
  const auto p = read_conv(f);
  const bool activate = o.has("slope"), sums = o.flag_or("sums", false);
  const double slope = o.number_or("slope", 0);
  return [=, x = o.values("x"), w = o.values("w"),
          bias = o.values_or_none("bias")](const auto& device) -> Result {
    auto made = ops::conv2d(device, p, x, w, bias, activate ? FCDD_ACT_LEAKY : FCDD_ACT_NONE, slope, sums);
    return {{"y", std::move(made.y)}, {"sums", std::move(made.sums)}};
  };
}

Work conv2d_input_grad(Fields& f, Fields& o) {
  const auto p = read_conv(f);
  return [=, dy = o.values("dy"), w = o.values("w")](const auto& device) -> Result {
    return {{"dx", ops::conv2d_input_grad(device, p, dy, w)}};
  };
}

Work conv2d_weight_grad(Fields& f, Fields& o) {
  const auto p = read_conv(f);
  const bool bias = o.flag_or("bias", false);
  return [=, x = o.values("x"), dy = o.values("dy")](const auto& device) -> Result {
    auto made = ops::conv2d_weight_grad(device, p, x, dy, bias);
    return {{"dw", std::move(made.dw)}, {"dbias", std::move(made.dbias)}};
  };
}

Work conv2d_fold(Fields& f, Fields& o) {
  const int filters = f.integer("filters", 1, largest), fan_in = f.integer("fanIn", 1, largest);
  const double eps = f.number_from("eps", 1e-5, 0);
  return [=, w = o.values("w"), bias = o.values_or_none("bias"), gamma = o.values_or_none("gamma"),
          beta = o.values_or_none("beta"), mean = o.values("runningMean"),
          variance = o.values("runningVar")](const auto& device) -> Result {
    auto made = ops::conv2d_fold(device, filters, fan_in, eps, w, bias, gamma, beta, mean, variance);
    return {{"w", std::move(made.w)}, {"bias", std::move(made.bias)}};
  };
}

Work batch_norm_stats(Fields& f, Fields& o) {
  const auto p = read_post(f);
  return [=, x = o.values_or_none("x"), sums = o.values_or_none("sums"), mean = o.values("runningMean"),
          variance = o.values("runningVar")](const auto& device) -> Result {
    auto made = sums.empty() ? ops::norm_stats_of(device, p, x, mean, variance)
                             : ops::norm_stats(device, p, sums, mean, variance);
    return {{"mean", std::move(made.mean)},
            {"invStd", std::move(made.inv_std)},
            {"runningMean", std::move(made.running_mean)},
            {"runningVar", std::move(made.running_var)}};
  };
}

Work post(Fields& f, Fields& o) {
  const auto p = read_post(f);
  const char* spread = p.norm == FCDD_NORM_RUNNING ? "variance" : "invStd";
  return [=, x = o.values("x"), mean = o.values_or_none("mean"), spread = o.values_or_none(spread),
          gamma = o.values_or_none("gamma"), beta = o.values_or_none("beta")](const auto& device) -> Result {
    auto made = ops::post_forward(device, p, x, mean, spread, gamma, beta);
    return {{"y", std::move(made.y)}, {"argmax", std::move(made.argmax)}};
  };
}

Work post_backward(Fields& f, Fields& o) {
  const auto p = read_post(f);
  const int window = p.pool.kernel * p.pool.kernel;
  return [=, dy = o.values("dy"), x = o.values("x"), mean = o.values_or_none("mean"),
          inv_std = o.values_or_none("invStd"), gamma = o.values_or_none("gamma"),
          beta = o.values_or_none("beta"),
          argmax = window > 0 ? o.bytes("argmax", window - 1) : Bytes{}](const auto& device) -> Result {
    auto made = ops::post_backward(device, p, dy, x, mean, inv_std, gamma, beta, argmax);
    return {{"dx", std::move(made.dx)}, {"dgamma", std::move(made.dgamma)}, {"dbeta", std::move(made.dbeta)}};
  };
}

Work fcdd_loss(Fields& f, Fields& o) {
  const bool pixelwise = o.has("taps");
  const auto p = pixelwise ? read_upsample(f) : read_map(f);
  return [=, taps = o.values_or_none("taps"), z = o.values("z"), labels = o.bytes("labels", 1),
          masks = o.bytes_or_none("masks", 1)](const auto& device) -> Result {
    auto made = ops::loss(device, p, taps, z, labels, masks);
    return {{"losses", std::move(made.losses)}, {"dz", std::move(made.dz)}};
  };
}

Work score(Fields& f, Fields& o) {
  const bool maps = o.has("taps"), low = o.flag_or("low", false);
  const auto p = maps ? read_upsample(f) : read_map(f);
  return [=, taps = o.values_or_none("taps"), z = o.values("z")](const auto& device) -> Result {
    auto made = ops::score(device, p, taps, z, low, maps);
    return {{"scores", std::move(made.scores)}, {"low", std::move(made.low)}, {"maps", std::move(made.maps)}};
  };
}

Work upsample(Fields& f, Fields& o, bool backward) {
  const auto p = read_upsample(f);
  return [=, taps = o.values("taps"), x = o.values("x")](const auto& device) -> Result {
    return {{"y", ops::upsample(device, p, taps, x, backward)}};
  };
}
Work gaussian_upsample(Fields& f, Fields& o) {
  return upsample(f, o, false);
}
Work gaussian_upsample_backward(Fields& f, Fields& o) {
  return upsample(f, o, true);
}

Work update(Fields& f, Fields& o) {
  FcddUpdate a{};
  a.kind = read_choice(f.raw("kind"), f.path("kind"), {"sgd", "adam"}) == 0 ? FCDD_SGD : FCDD_ADAM;
  a.step = f.integer("step", 1);
  a.lr = f.number("lr");
  a.weight_decay = f.number_or("weightDecay", 0);
  a.momentum = f.number_or("momentum", 0.9);
  a.beta1 = f.number_or("beta1", 0.9);
  a.beta2 = f.number_or("beta2", 0.999);
  a.eps = f.number_or("eps", 1e-8);
  return [=, w = o.values("w"), grad = o.values("grad"), m = o.values("m"),
          v = o.values_or_none("v")](const auto& device) -> Result {
    auto made = ops::update(device, a, w, grad, m, v);
    return {{"w", std::move(made.w)}, {"m", std::move(made.m)}, {"v", std::move(made.v)}};
  };
}

Work peaks(Fields&, Fields&) {
  return [](const auto& device) -> Result {
    const ops::Peaks measured = ops::measure_peaks(*device);
    return {{"gflops", Values{measured.gflops}}, {"gigabytes", Values{measured.gigabytes}}};
  };
}

using Reader = Work (*)(Fields&, Fields&);
const std::vector<std::pair<const char*, Reader>> readers = {
    {"conv2d", conv2d},
    {"conv2dInputGrad", conv2d_input_grad},
    {"conv2dWeightGrad", conv2d_weight_grad},
    {"conv2dFold", conv2d_fold},
    {"batchNormStats", batch_norm_stats},
    {"post", post},
    {"postBackward", post_backward},
    {"fcddLoss", fcdd_loss},
    {"score", score},
    {"gaussianUpsample", gaussian_upsample},
    {"gaussianUpsampleBackward", gaussian_upsample_backward},
    {"update", update},
    {"peaks", peaks},
};

Napi::Value result_to_js(Napi::Env env, Result& result) {
  const auto object = Napi::Object::New(env);
  for (const auto& [name, array] : result) {
    std::visit(
        [&, key = name](const auto& values) {
          if (!values.empty()) object.Set(key, to_js(env, values));
        },
        array);
  }
  return object;
}

}  // namespace

Napi::Value run_op(Napi::Env env, const std::shared_ptr<Device>& device,
                   const std::shared_ptr<Dispatcher>& dispatcher, const std::string& name,
                   const Napi::Value& problem, const Napi::Value& operands, int calls) {
  for (const auto& [known, reader] : readers) {
    if (name != known) continue;
    Fields f(problem, "problem"), o(operands, "operands");
    Work work = reader(f, o);
    f.done();
    o.done();
    return dispatcher->promise<Result>(
        env, nullptr,
        [device, calls, work = std::move(work)] {
          ops::Stopwatch watch(calls);
          Result result = work(device);
          if (calls > 0) result.push_back({"milliseconds", watch.milliseconds()});
          return result;
        },
        result_to_js);
  }
  reject("the name of an operation", "name", '"' + name + '"');
}

}  // namespace fcdd::bindings
