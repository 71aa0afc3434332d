// Single steps for JavaScript: arguments -> fcdd/ops.h -> typed arrays. The names and shapes are in
// src/engine/ops.ts.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "dispatcher.h"
#include "fcdd/network.h"

namespace fcdd::bindings {

// Reads the arguments of the operation `name` (problem, operands) and returns a promise of its results. With
// `calls` above 0 the step runs that often more and the results hold the milliseconds of each.
Napi::Value run_op(Napi::Env env, const std::shared_ptr<Device>& device,
                   const std::shared_ptr<Dispatcher>& dispatcher, const std::string& name,
                   const Napi::Value& problem, const Napi::Value& operands, int calls);

}  // namespace fcdd::bindings
