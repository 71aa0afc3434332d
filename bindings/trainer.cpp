// Trainers: many steps per call, reports, gradients and optimiser state.
#include "convert.h"
#include "results.h"
#include "wrappers.h"

namespace fcdd::bindings {

namespace {

struct Content {
  std::shared_ptr<TrainerWrap::Object> owned;
  InputShape input;
  bool pixelwise, has_images;
  int32_t objective;
};

using Tensors = std::map<std::string, std::vector<double>>;
using StoreObject = std::shared_ptr<StoreWrap::Object>;

// The store of an optional property, or null.
StoreObject read_store(Napi::Env env, Fields& f, const char* name,
                       const std::shared_ptr<Dispatcher>& dispatcher) {
  if (!f.has(name)) return nullptr;
  auto store = unwrap<StoreWrap>(f.raw(name), addon_data(env).store, "an image store", f.path(name)).owned();
  store->require_alive();
  if (store->dispatcher() != dispatcher) {
    reject("an image store of the network's device", f.path(name), "one of another device");
  }
  return store;
}

// With images a pipeline and a supervision are needed; the pipeline must make what the network takes.
void require_consistent(Fields& f, const TrainerOptions& options, InputShape input, const StoreObject& images,
                        const StoreObject& exposure) {
  if (!images) return;
  if (!f.has("pipeline")) reject("a pipeline, because there are images,", f.path("pipeline"), "undefined");
  if (!f.has("supervision"))
    reject("a supervision, because there are images,", f.path("supervision"), "undefined");
  const FcddPipeline& p = options.pipeline;
  if (p.height != input.height || p.width != input.width || p.channels != input.channels) {
    const auto text = [](int h, int w, int c) {
      return std::to_string(h) + " × " + std::to_string(w) + " × " + std::to_string(c);
    };
    reject("the network's input, " + text(input.height, input.width, input.channels) + ",",
           f.path("pipeline"), text(p.height, p.width, p.channels));
  }
  const bool needs_exposure =
      options.supervision.mode != FCDD_UNSUPERVISED && options.supervision.source == FCDD_EXPOSURE;
  if (needs_exposure && !exposure) {
    reject("an image store, because supervision.source is \"exposure\",", f.path("exposure"), "undefined");
  }
}

std::shared_ptr<TrainerParts> make_parts(const std::shared_ptr<NetworkWrap::Object>& network,
                                         TrainerOptions options, const StoreObject& images,
                                         const StoreObject& exposure) {
  auto parts = std::make_shared<TrainerParts>();
  parts->network = network->get();
  if (images) parts->images = images->get();
  if (exposure) parts->exposure = exposure->get();
  options.images = parts->images.get();
  options.exposure = parts->exposure.get();
  parts->trainer = std::make_unique<Trainer>(*parts->network, options);
  return parts;
}

Tensors read_tensors(const Napi::Value& value, const std::string& argument) {
  Fields f(value, argument);
  Tensors tensors;
  const auto names = value.As<Napi::Object>().GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    tensors[name] = f.values(name.c_str());
  }
  return tensors;
}

Napi::Value report_to_js(Napi::Env env, StepReport& report) {
  return to_js(env, report);
}
Napi::Value tensors_to_js(Napi::Env env, Tensors& tensors) {
  return to_js(env, tensors);
}

double read_rate(const Napi::Value& value, const std::string& argument) {
  const double rate = read_number(value, argument);
  if (rate < 0) reject("a number of at least 0", argument, describe(value));
  return rate;
}

}  // namespace

Napi::Function TrainerWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeTrainer",
      {InstanceMethod("facts", &TrainerWrap::facts), InstanceMethod("updates", &TrainerWrap::updates),
       InstanceMethod("run", &TrainerWrap::run), InstanceMethod("trainStep", &TrainerWrap::train_step),
       InstanceMethod("gradients", &TrainerWrap::gradients), InstanceMethod("augment", &TrainerWrap::augment),
       InstanceMethod("timeAugment", &TrainerWrap::time_augment),
       InstanceMethod("lastGradients", &TrainerWrap::last_gradients),
       InstanceMethod("lastActivations", &TrainerWrap::last_activations),
       InstanceMethod("state", &TrainerWrap::state), InstanceMethod("setState", &TrainerWrap::set_state),
       InstanceMethod("dispose", &TrainerWrap::dispose)});
}

TrainerWrap::TrainerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Content content = taken<Content>(info);
  owned_ = content.owned;
  input_ = content.input;
  pixelwise_ = content.pixelwise;
  has_images_ = content.has_images;
  objective_ = content.objective;
}

Napi::Object TrainerWrap::create(Napi::Env env, const std::shared_ptr<NetworkWrap::Object>& network,
                                 InputShape input, const Napi::Value& value) {
  Fields f(value, "options");
  const TrainerOptions options = read_trainer_options(f);
  const auto images = read_store(env, f, "images", network->dispatcher());
  const auto exposure = read_store(env, f, "exposure", network->dispatcher());
  require_consistent(f, options, input, images, exposure);
  f.done();
  auto owned = std::make_shared<Object>(network->dispatcher(), "trainer");
  const auto object = wrap(env, addon_data(env).trainer,
                           Content{owned, input, options.pixelwise, images != nullptr, options.objective});
  owned->create(
      env, [network, options, images, exposure] { return make_parts(network, options, images, exposure); },
      [](TrainerParts& parts) { return parts.trainer->reserved_bytes(); });
  return object;
}

// What does not change: positions, stepsPerEpoch, reservedBytes.
Napi::Value TrainerWrap::facts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    owned_->require_alive();
    const Trainer& trainer = *owned_->wait().trainer;
    const auto object = Napi::Object::New(info.Env());
    object.Set("positions", static_cast<double>(trainer.positions()));
    object.Set("stepsPerEpoch", static_cast<double>(trainer.steps_per_epoch()));
    object.Set("reservedBytes", static_cast<double>(trainer.reserved_bytes()));
    return object;
  });
}

Napi::Value TrainerWrap::updates(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    owned_->require_alive();
    return Napi::Number::New(info.Env(), static_cast<double>(owned_->wait().updates.load()));
  });
}

Napi::Value TrainerWrap::run(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    Fields f(info[0], "options");
    if (!has_images_) reject("a trainer that was created with images", "run", "one without");
    const auto epoch = static_cast<uint32_t>(f.integer("epoch", 0));
    const int64_t first = f.integer("first", 0);
    const int64_t steps = f.integer("steps", 1);
    const double rate = read_rate(f.raw("lr"), f.path("lr"));
    const StopFlag stop = read_abort(info.Env(), f);
    f.done();
    return owned_->dispatcher()->promise<StepReport>(
        info.Env(), stop,
        [owned = owned_, epoch, first, steps, rate, stop] {
          const auto parts = owned->get();
          const StepReport report = parts->trainer->run(epoch, first, steps, rate, stop.get());
          parts->updates = parts->trainer->updates();
          if (report.steps == 0 && *stop)
            throw Error("FCDD_ABORTED", "The run was aborted before its first step");
          return report;
        },
        report_to_js);
  });
}

Napi::Value TrainerWrap::train_step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    auto batch = read_batch(info[0], "batch", input_, pixelwise_, objective_);
    const double rate = read_rate(info[1], "lr");
    return owned_->dispatcher()->promise<StepReport>(
        info.Env(), nullptr,
        [owned = owned_, batch = std::move(batch), rate] {
          const auto parts = owned->get();
          const StepReport report = parts->trainer->step(batch, rate);
          parts->updates = parts->trainer->updates();
          return report;
        },
        report_to_js);
  });
}

Napi::Value TrainerWrap::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    auto batch = read_batch(info[0], "batch", input_, pixelwise_, objective_);
    using Result = std::pair<StepReport, Tensors>;
    return owned_->dispatcher()->promise<Result>(
        info.Env(), nullptr,
        [owned = owned_, batch = std::move(batch)] {
          Trainer& trainer = *owned->get()->trainer;
          const StepReport report = trainer.gradients(batch);
          return Result(report, trainer.last_gradients());
        },
        [](Napi::Env env, Result& result) -> Napi::Value {
          const auto object = Napi::Object::New(env);
          object.Set("report", to_js(env, result.first));
          object.Set("gradients", to_js(env, result.second));
          return object;
        });
  });
}

namespace {

struct Positions {
  uint32_t epoch;
  int64_t first;
  int count;
};

// The arguments (epoch, first, count).
Positions read_positions(const Napi::CallbackInfo& info) {
  return {static_cast<uint32_t>(read_integer(info[0], "epoch", 0, UINT32_MAX)),
          read_integer(info[1], "first", 0, INT32_MAX),
          static_cast<int>(read_integer(info[2], "count", 1, 1 << 20))};
}

}  // namespace

Napi::Value TrainerWrap::augment(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    if (!has_images_) reject("a trainer that was created with images", "augment", "one without");
    const Positions at = read_positions(info);
    return owned_->dispatcher()->promise<AugmentedBatch>(
        info.Env(), nullptr,
        [owned = owned_, at] { return owned->get()->trainer->augment(at.epoch, at.first, at.count); },
        [](Napi::Env env, AugmentedBatch& batch) { return to_js(env, batch); });
  });
}

Napi::Value TrainerWrap::time_augment(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    if (!has_images_) reject("a trainer that was created with images", "timeAugment", "one without");
    const Positions at = read_positions(info);
    return owned_->dispatcher()->promise<double>(
        info.Env(), nullptr,
        [owned = owned_, at] { return owned->get()->trainer->time_augment(at.epoch, at.first, at.count); },
        [](Napi::Env env, double& ms) -> Napi::Value { return Napi::Number::New(env, ms); });
  });
}

Napi::Value TrainerWrap::last_gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    return owned_->dispatcher()->promise<Tensors>(
        info.Env(), nullptr, [owned = owned_] { return owned->get()->trainer->last_gradients(); },
        tensors_to_js);
  });
}

Napi::Value TrainerWrap::last_activations(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    return owned_->dispatcher()->promise<Tensors>(
        info.Env(), nullptr, [owned = owned_] { return owned->get()->trainer->last_activations(); },
        tensors_to_js);
  });
}

Napi::Value TrainerWrap::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    return owned_->dispatcher()->promise<Tensors>(
        info.Env(), nullptr, [owned = owned_] { return owned->get()->trainer->state(); }, tensors_to_js);
  });
}

Napi::Value TrainerWrap::set_state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    auto tensors = read_tensors(info[0], "state");
    const int64_t updates = read_integer(info[1], "updates", 0, INT64_MAX);
    return owned_->dispatcher()->promise<bool>(
        info.Env(), nullptr,
        [owned = owned_, tensors = std::move(tensors), updates] {
          const auto parts = owned->get();
          parts->trainer->set_state(tensors, updates);
          parts->updates = updates;
          return true;
        },
        [](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

}  // namespace fcdd::bindings
