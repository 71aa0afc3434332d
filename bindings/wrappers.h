// The native classes that src/engine/ wraps. None is exported as a constructor: a device makes them.
#pragma once

#include <napi.h>

#include <atomic>
#include <string>

#include "fcdd/network.h"
#include "fields.h"
#include "owned.h"

namespace fcdd::bindings {

// What an AbortSignal sets and a step loop reads.
class AbortFlag : public Napi::ObjectWrap<AbortFlag> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit AbortFlag(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  const StopFlag& flag() const { return flag_; }

 private:
  void abort(const Napi::CallbackInfo&) { flag_->store(true); }
  StopFlag flag_ = std::make_shared<std::atomic<bool>>(false);
};

class StoreWrap : public Napi::ObjectWrap<StoreWrap> {
 public:
  using Object = Owned<ImageStore>;
  static Napi::Function define(Napi::Env env);
  // images: StoredImages of src/engine/types.ts.
  static Napi::Object create(Napi::Env env, const std::shared_ptr<Dispatcher>& dispatcher,
                             const std::shared_ptr<Device>& device, const Napi::Value& images);
  explicit StoreWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override { owned_->dispose(env); }
  const std::shared_ptr<Object>& owned() const { return owned_; }

 private:
  Napi::Value statistics(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info) { owned_->dispose(info.Env()); }
  std::shared_ptr<Object> owned_;
};

class NetworkWrap : public Napi::ObjectWrap<NetworkWrap> {
 public:
  using Object = Owned<Network>;
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, const std::shared_ptr<Dispatcher>& dispatcher,
                             const std::shared_ptr<Device>& device, const Napi::Value& layers,
                             const Napi::Value& input);
  explicit NetworkWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override { owned_->dispose(env); }

 private:
  Napi::Value tensors(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value set(const Napi::CallbackInfo& info);
  Napi::Value initialise(const Napi::CallbackInfo& info);
  Napi::Value infer(const Napi::CallbackInfo& info);
  Napi::Value infer_images(const Napi::CallbackInfo& info);
  Napi::Value training_bytes(const Napi::CallbackInfo& info);
  Napi::Value inference_bytes(const Napi::CallbackInfo& info);
  Napi::Value create_trainer(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info) { owned_->dispose(info.Env()); }
  std::shared_ptr<Object> owned_;
  InputShape input_{};
};

// A trainer and everything it reads. The trainer is declared last: it goes first.
struct TrainerParts {
  std::shared_ptr<Network> network;
  std::shared_ptr<ImageStore> images, exposure;
  std::atomic<int64_t> updates{0};
  std::unique_ptr<Trainer> trainer;
};

class TrainerWrap : public Napi::ObjectWrap<TrainerWrap> {
 public:
  using Object = Owned<TrainerParts>;
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, const std::shared_ptr<NetworkWrap::Object>& network,
                             InputShape input, const Napi::Value& options);
  explicit TrainerWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override { owned_->dispose(env); }

 private:
  Napi::Value facts(const Napi::CallbackInfo& info);
  Napi::Value updates(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value train_step(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
  Napi::Value augment(const Napi::CallbackInfo& info);
  Napi::Value time_augment(const Napi::CallbackInfo& info);
  Napi::Value last_gradients(const Napi::CallbackInfo& info);
  Napi::Value last_activations(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value set_state(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info) { owned_->dispose(info.Env()); }
  std::shared_ptr<Object> owned_;
  InputShape input_{};
  bool pixelwise_ = false, has_images_ = false;
  int32_t objective_ = 0;  // FcddObjective
};

class DeviceWrap : public Napi::ObjectWrap<DeviceWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);       // (name, { threads, isa, index, precision })
  static Napi::Value libraries(const Napi::CallbackInfo& info);  // (): nothing is loaded
  static Napi::Value facts(const Napi::CallbackInfo& info);      // (device): loads its library
  explicit DeviceWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  void Finalize(Napi::Env) override { close(); }

 private:
  Napi::Value create_network(const Napi::CallbackInfo& info);
  Napi::Value create_store(const Napi::CallbackInfo& info);
  Napi::Value op(const Napi::CallbackInfo& info);  // (name, problem, operands), see ops.h
  void require_open() const;
  void close();
  void dispose(const Napi::CallbackInfo&) { close(); }
  std::shared_ptr<Device> device_;
  std::shared_ptr<Dispatcher> dispatcher_;
};

// One per JavaScript environment (main thread, each worker thread).
struct AddonData {
  Napi::FunctionReference abort_flag, store, network, trainer, device;
};

inline AddonData& addon_data(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

// The wrapper behind a value, or an error that names the argument and what it should be.
template <class Wrap>
Wrap& unwrap(const Napi::Value& value, const Napi::FunctionReference& constructor, const char* expected,
             const std::string& argument) {
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor.Value())) {
    reject(expected, argument, describe(value));
  }
  return *Wrap::Unwrap(value.As<Napi::Object>());
}

// The flag of a property `abort`, or one that nobody sets (the end of the environment does).
StopFlag read_abort(Napi::Env env, Fields& options);

// Hands `content` to a wrapper's constructor, which takes it with `taken`.
template <class Content>
Napi::Object wrap(Napi::Env env, const Napi::FunctionReference& constructor, Content content) {
  return constructor.New({Napi::External<Content>::New(env, &content)});
}
template <class Content>
Content taken(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Illegal constructor");
  return *info[0].As<Napi::External<Content>>().Data();
}

}  // namespace fcdd::bindings
