// Devices: opening, facts, and the objects they make. A device stays open until its last object is gone.
#include "convert.h"
#include "engine/device_library.h"
#include "ops.h"
#include "results.h"
#include "wrappers.h"

namespace fcdd::bindings {

Napi::Function DeviceWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeDevice",
      {InstanceMethod("createNetwork", &DeviceWrap::create_network),
       InstanceMethod("createImageStore", &DeviceWrap::create_store), InstanceMethod("op", &DeviceWrap::op),
       InstanceMethod("dispose", &DeviceWrap::dispose)});
}

Napi::Value DeviceWrap::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string name = read_text(info[0], "name");
    Fields f(info[1], "options");
    FcddDeviceOptions options{};
    options.threads = f.integer_or("threads", 0, 1, 1024);
    static const std::vector<const char*> isas = {"baseline", "avx2", "avx512"};
    if (f.has("isa")) options.isa = isas[read_choice(f.raw("isa"), f.path("isa"), isas)];
    static const std::vector<const char*> precisions = {"float32", "tf32", "bf16"};
    if (f.has("precision")) {
      options.precision = 1 + read_choice(f.raw("precision"), f.path("precision"), precisions);
    }
    options.index = f.integer_or("index", 0, 0, 1023);
    f.done();
    const auto device = Device::open(name, options);
    const auto object = addon_data(info.Env()).device.New({});
    DeviceWrap& wrapper = *Unwrap(object);
    wrapper.device_ = device;
    auto held = std::make_shared<std::shared_ptr<Device>>(device);
    wrapper.dispatcher_ = Dispatcher::start(info.Env(), [held] { held->reset(); });
    object.Set("info", to_js(info.Env(), device->info()));
    return object;
  });
}

Napi::Value DeviceWrap::libraries(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto names = library_devices();
    const auto array = Napi::Array::New(info.Env(), names.size());
    for (uint32_t i = 0; i < names.size(); i++) {
      const auto object = Napi::Object::New(info.Env());
      object.Set("device", names[i]);
      object.Set("path", library_path(names[i]));
      array.Set(i, object);
    }
    return array;
  });
}

Napi::Value DeviceWrap::facts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), library_facts(read_text(info[0], "device")));
  });
}

void DeviceWrap::require_open() const {
  if (!dispatcher_) throw Error("FCDD_INVALID_ARGUMENT", "this device has been disposed of");
}

void DeviceWrap::close() {
  if (!dispatcher_) return;
  device_.reset();
  dispatcher_->leave();
  dispatcher_.reset();
}

Napi::Value DeviceWrap::create_network(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_open();
    return NetworkWrap::create(info.Env(), dispatcher_, device_, info[0], info[1]);
  });
}

Napi::Value DeviceWrap::create_store(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_open();
    return StoreWrap::create(info.Env(), dispatcher_, device_, info[0]);
  });
}

Napi::Value DeviceWrap::op(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require_open();
    const int calls =
        info[3].IsUndefined() ? 0 : static_cast<int>(read_integer(info[3], "calls", 0, 1'000'000));
    return run_op(info.Env(), device_, dispatcher_, read_text(info[0], "name"), info[1], info[2], calls);
  });
}

}  // namespace fcdd::bindings
