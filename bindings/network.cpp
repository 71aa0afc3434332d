// Networks: weights in and out, inference, trainers.
#include "convert.h"
#include "results.h"
#include "wrappers.h"

namespace fcdd::bindings {

namespace {

using Content = std::pair<std::shared_ptr<NetworkWrap::Object>, InputShape>;

Napi::Value nothing(Napi::Env env, bool&) {
  return env.Undefined();
}

uint64_t parameter_bytes(const Network& network) {
  uint64_t values = 0;
  for (const auto& tensor : network.tensors()) {
    uint64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= static_cast<uint64_t>(extent);
    values += count;
  }
  return values * static_cast<uint64_t>(network.device()->info().real_bytes);
}

// A result that an abort cut short is no result.
InferResult complete(InferResult result, int count, const StopFlag& stop) {
  if (*stop && result.scores.size() < static_cast<size_t>(count))
    throw Error("FCDD_ABORTED", "The inference was aborted");
  return result;
}

}  // namespace

Napi::Function NetworkWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeNetwork",
      {InstanceMethod("tensors", &NetworkWrap::tensors), InstanceMethod("get", &NetworkWrap::get),
       InstanceMethod("set", &NetworkWrap::set), InstanceMethod("initialise", &NetworkWrap::initialise),
       InstanceMethod("infer", &NetworkWrap::infer),
       InstanceMethod("inferImages", &NetworkWrap::infer_images),
       InstanceMethod("trainingBytes", &NetworkWrap::training_bytes),
       InstanceMethod("inferenceBytes", &NetworkWrap::inference_bytes),
       InstanceMethod("createTrainer", &NetworkWrap::create_trainer),
       InstanceMethod("dispose", &NetworkWrap::dispose)});
}

NetworkWrap::NetworkWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  std::tie(owned_, input_) = taken<Content>(info);
}

Napi::Object NetworkWrap::create(Napi::Env env, const std::shared_ptr<Dispatcher>& dispatcher,
                                 const std::shared_ptr<Device>& device, const Napi::Value& js_layers,
                                 const Napi::Value& js_input) {
  const auto layers = read_layers(js_layers, "layers");
  const auto input = read_input(js_input, "input");
  output_shapes(layers, input);  // a list that does not fit is an error of this call, even behind a long run
  auto owned = std::make_shared<Object>(dispatcher, "network");
  const auto object = wrap(env, addon_data(env).network, Content{owned, input});
  owned->create(
      env, [device, layers, input] { return std::make_shared<Network>(device, layers, input); },
      parameter_bytes);
  return object;
}

Napi::Value NetworkWrap::tensors(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    return to_js(info.Env(), owned_->wait().tensors());
  });
}

Napi::Value NetworkWrap::get(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    const std::string name = read_text(info[0], "name");
    return owned_->dispatcher()->promise<std::vector<double>>(
        info.Env(), nullptr, [network = owned_, name] { return network->get()->get(name); },
        [](Napi::Env env, std::vector<double>& values) { return to_js(env, values); });
  });
}

Napi::Value NetworkWrap::set(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    const std::string name = read_text(info[0], "name");
    return owned_->dispatcher()->promise<bool>(
        info.Env(), nullptr,
        [network = owned_, name, values = read_values(info[1], "values")] {
          network->get()->set(name, values);
          return true;
        },
        nothing);
  });
}

Napi::Value NetworkWrap::initialise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    const auto seed = static_cast<uint64_t>(read_integer(info[0], "seed", 0, INT64_MAX));
    return owned_->dispatcher()->promise<bool>(
        info.Env(), nullptr,
        [network = owned_, seed] {
          network->get()->initialise(seed);
          return true;
        },
        nothing);
  });
}

Napi::Value NetworkWrap::infer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    auto pixels = read_reals(info[0], "pixels");
    const size_t values = std::visit([](const auto& v) { return v.size(); }, pixels);
    Fields f(info[1], "options");
    const InferOptions options = read_infer_options(f);
    const StopFlag stop = read_abort(info.Env(), f);
    f.done();
    const size_t per_image = static_cast<size_t>(input_.channels) * input_.height * input_.width;
    if (values == 0 || values % per_image != 0) {
      reject("a positive multiple of " + std::to_string(per_image) + " values (height × width × channels)",
             "pixels", std::to_string(values));
    }
    const int count = static_cast<int>(values / per_image);
    return owned_->dispatcher()->promise<InferResult>(
        info.Env(), stop,
        [network = owned_, pixels = std::move(pixels), count, options, stop] {
          if (*stop) throw Error("FCDD_ABORTED", "The inference was aborted");
          return std::visit([&](const auto& v) { return network->get()->infer(v, count, options); }, pixels);
        },
        [options](Napi::Env env, InferResult& result) { return to_js(env, result, options); });
  });
}

Napi::Value NetworkWrap::infer_images(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    const auto store =
        unwrap<StoreWrap>(info[0], addon_data(info.Env()).store, "an image store", "store").owned();
    store->require_alive();
    if (store->dispatcher() != owned_->dispatcher()) {
      reject("an image store of the network's device", "store", "one of another device");
    }
    const FcddPipeline pipeline = read_pipeline(info[1], "pipeline");
    Fields range(info[2], "range");
    const int first = range.integer("first", 0);
    const int count = range.integer("count", 1);
    range.done();
    Fields f(info[3], "options");
    const InferOptions options = read_infer_options(f);
    const StopFlag stop = read_abort(info.Env(), f);
    f.done();
    return owned_->dispatcher()->promise<InferResult>(
        info.Env(), stop,
        [network = owned_, store, pipeline, first, count, options, stop] {
          if (*stop) throw Error("FCDD_ABORTED", "The inference was aborted");
          auto result = network->get()->infer(*store->get(), pipeline, first, count, options, stop.get());
          return complete(std::move(result), count, stop);
        },
        [options](Napi::Env env, InferResult& result) { return to_js(env, result, options); });
  });
}

Napi::Value NetworkWrap::training_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    owned_->require_alive();
    const auto batch = static_cast<int>(read_integer(info[0], "batch", 1, 1 << 20));
    Fields f(info[1], "options");
    const bool adam = read_flag(f.raw("adam"), f.path("adam"));
    const bool pixelwise = read_flag(f.raw("pixelwise"), f.path("pixelwise"));
    f.done();
    const uint64_t bytes = owned_->wait().training_bytes(batch, adam, pixelwise);
    return Napi::Number::New(info.Env(), static_cast<double>(bytes));
  });
}

Napi::Value NetworkWrap::inference_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    owned_->require_alive();
    const auto batch = static_cast<int>(read_integer(info[0], "batch", 1, 1 << 20));
    return Napi::Number::New(info.Env(), static_cast<double>(owned_->wait().inference_bytes(batch)));
  });
}

Napi::Value NetworkWrap::create_trainer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    return TrainerWrap::create(info.Env(), owned_, input_, info[0]);
  });
}

}  // namespace fcdd::bindings
