// The engine's results -> JavaScript values, on the JavaScript thread. Arrays are copied into ArrayBuffers
// that JavaScript owns: Electron and other embedders refuse external ones.
#pragma once

#include <napi.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "fcdd/network.h"

namespace fcdd::bindings {

template <class Array, class T>
Napi::Value typed_array(Napi::Env env, const std::vector<T>& values) {
  const Array array = Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.ArrayBuffer().Data(), values.data(), values.size() * sizeof(T));
  return array;
}

inline Napi::Value to_js(Napi::Env env, const std::vector<double>& v) {
  return typed_array<Napi::Float64Array>(env, v);
}
inline Napi::Value to_js(Napi::Env env, const std::vector<float>& v) {
  return typed_array<Napi::Float32Array>(env, v);
}
inline Napi::Value to_js(Napi::Env env, const std::vector<uint8_t>& v) {
  return typed_array<Napi::Uint8Array>(env, v);
}

Napi::Value number_array(Napi::Env env, const std::vector<double>& values);  // a plain array
Napi::Value to_js(Napi::Env env, const std::map<std::string, std::vector<double>>& tensors);
Napi::Value to_js(Napi::Env env, const StepReport& report);
Napi::Value to_js(Napi::Env env, const InferResult& result, const InferOptions& asked);
Napi::Value to_js(Napi::Env env, const AugmentedBatch& batch);
Napi::Value to_js(Napi::Env env, const ImageStatistics& statistics);
Napi::Value to_js(Napi::Env env, const std::vector<TensorInfo>& tensors);
Napi::Value to_js(Napi::Env env, const FcddDeviceInfo& info);

}  // namespace fcdd::bindings
