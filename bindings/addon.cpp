// The addon's exports; src/engine/native.ts has their types. Everything per environment is in AddonData.
#include <napi.h>

#include "convert.h"
#include "fcdd/layers.h"
#include "results.h"
#include "wrappers.h"

namespace fcdd::bindings {

namespace {

Napi::Value create_abort_flag(const Napi::CallbackInfo& info) {
  return addon_data(info.Env()).abort_flag.New({});
}

Napi::Value js_receptive_field(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ReceptiveField field =
        receptive_field(read_layers(info[0], "layers"), read_input(info[1], "input"));
    const auto object = Napi::Object::New(info.Env());
    object.Set("height", field.height);
    object.Set("width", field.width);
    object.Set("jump", field.jump);
    object.Set("extent", field.extent);
    object.Set("start", field.start);
    return object;
  });
}

Napi::Value js_output_shapes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto shapes = output_shapes(read_layers(info[0], "layers"), read_input(info[1], "input"));
    const auto array = Napi::Array::New(info.Env(), shapes.size());
    for (uint32_t i = 0; i < shapes.size(); i++) {
      const auto object = Napi::Object::New(info.Env());
      object.Set("channels", shapes[i].channels);
      object.Set("height", shapes[i].height);
      object.Set("width", shapes[i].width);
      array.Set(i, object);
    }
    return array;
  });
}

Napi::Value js_gaussian_taps(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto extent = static_cast<int>(read_integer(info[0], "extent", 1, 1 << 15));
    const double sigma = read_number(info[1], "sigma");
    if (sigma <= 0) reject("a number above 0", "sigma", describe(info[1]));
    return to_js(info.Env(), gaussian_taps(extent, sigma));
  });
}

Napi::Value js_default_sigma(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto extent = static_cast<int>(read_integer(info[0], "extent", 1, 1 << 15));
    return Napi::Number::New(info.Env(), default_sigma(extent));
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;  // freed with the environment
  data->abort_flag = Napi::Persistent(AbortFlag::define(env));
  data->store = Napi::Persistent(StoreWrap::define(env));
  data->network = Napi::Persistent(NetworkWrap::define(env));
  data->trainer = Napi::Persistent(TrainerWrap::define(env));
  data->device = Napi::Persistent(DeviceWrap::define(env));
  env.SetInstanceData(data);
  exports.Set("openDevice", Napi::Function::New(env, DeviceWrap::open));
  exports.Set("deviceLibraries", Napi::Function::New(env, DeviceWrap::libraries));
  exports.Set("libraryFacts", Napi::Function::New(env, DeviceWrap::facts));
  exports.Set("createAbortFlag", Napi::Function::New(env, create_abort_flag));
  exports.Set("receptiveField", Napi::Function::New(env, js_receptive_field));
  exports.Set("outputShapes", Napi::Function::New(env, js_output_shapes));
  exports.Set("gaussianTaps", Napi::Function::New(env, js_gaussian_taps));
  exports.Set("defaultSigma", Napi::Function::New(env, js_default_sigma));
  return exports;
}

}  // namespace

Napi::Function AbortFlag::define(Napi::Env env) {
  return DefineClass(env, "NativeAbortFlag", {InstanceMethod("abort", &AbortFlag::abort)});
}

StopFlag read_abort(Napi::Env env, Fields& options) {
  if (!options.has("abort")) return std::make_shared<std::atomic<bool>>(false);
  return unwrap<AbortFlag>(options.raw("abort"), addon_data(env).abort_flag, "an abort flag",
                           options.path("abort"))
      .flag();
}

}  // namespace fcdd::bindings

static Napi::Object fcdd_init(Napi::Env env, Napi::Object exports) {
  return fcdd::bindings::init(env, exports);
}
NODE_API_MODULE(fcdd, fcdd_init)
