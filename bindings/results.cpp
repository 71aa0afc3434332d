#include "results.h"

namespace fcdd::bindings {

Napi::Value number_array(Napi::Env env, const std::vector<double>& values) {
  const auto array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); i++) array.Set(i, values[i]);
  return array;
}

Napi::Value to_js(Napi::Env env, const std::map<std::string, std::vector<double>>& tensors) {
  const auto object = Napi::Object::New(env);
  for (const auto& [name, values] : tensors) object.Set(name, to_js(env, values));
  return object;
}

Napi::Value to_js(Napi::Env env, const StepReport& report) {
  const auto mean = [env](double value, int64_t count) -> Napi::Value {
    return count > 0 ? Napi::Value(Napi::Number::New(env, value)) : env.Null();
  };
  const auto object = Napi::Object::New(env);
  object.Set("steps", static_cast<double>(report.steps));
  object.Set("loss", report.loss);
  object.Set("normal", mean(report.normal, report.normals));
  object.Set("anomalous", mean(report.anomalous, report.anomalies));
  object.Set("normals", static_cast<double>(report.normals));
  object.Set("anomalies", static_cast<double>(report.anomalies));
  return object;
}

Napi::Value to_js(Napi::Env env, const InferResult& result, const InferOptions& asked) {
  const auto object = Napi::Object::New(env);
  object.Set("scores", to_js(env, result.scores));
  if (asked.low) object.Set("low", to_js(env, result.low));
  if (asked.maps) object.Set("maps", to_js(env, result.maps));
  if (!result.blurred.empty()) object.Set("blurred", to_js(env, result.blurred));
  if (asked.outputs) object.Set("outputs", to_js(env, result.outputs));
  return object;
}

Napi::Value to_js(Napi::Env env, const AugmentedBatch& batch) {
  const auto object = Napi::Object::New(env);
  object.Set("pixels", to_js(env, batch.pixels));
  object.Set("bytes", to_js(env, batch.bytes));
  object.Set("labels", to_js(env, batch.labels));
  object.Set("masks", to_js(env, batch.masks));
  return object;
}

Napi::Value to_js(Napi::Env env, const ImageStatistics& statistics) {
  const auto object = Napi::Object::New(env);
  object.Set("mean", number_array(env, statistics.mean));
  object.Set("std", number_array(env, statistics.std));
  object.Set("lcnMin", number_array(env, statistics.lcn_min));
  object.Set("lcnMax", number_array(env, statistics.lcn_max));
  return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<TensorInfo>& tensors) {
  const auto array = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); i++) {
    const auto object = Napi::Object::New(env);
    object.Set("name", tensors[i].name);
    object.Set("shape", number_array(env, {tensors[i].shape.begin(), tensors[i].shape.end()}));
    object.Set("trainable", tensors[i].trainable);
    array.Set(i, object);
  }
  return array;
}

Napi::Value to_js(Napi::Env env, const FcddDeviceInfo& info) {
  const auto object = Napi::Object::New(env);
  object.Set("name", std::string(info.name));
  object.Set("detail", std::string(info.detail));
  object.Set("isa", std::string(info.isa));
  object.Set("threads", info.threads);
  object.Set("realBytes", info.real_bytes);
  return object;
}

}  // namespace fcdd::bindings
