// Errors on their way from the engine to JavaScript: a stable code and one sentence.
#pragma once

#include <napi.h>

#include <string>

#include "fcdd/errors.h"

namespace fcdd::bindings {

struct Failure {
  std::string code, message;
};

// What is being thrown; call it inside a catch (...) only.
Failure current_failure();

// An Error object whose property `code` is the failure's.
Napi::Error make_error(Napi::Env env, const Failure& failure);

// Runs `body` on the JavaScript thread; whatever the engine throws becomes a JavaScript exception with a
// code.
template <class Body>
auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw make_error(env, current_failure());
  }
}

}  // namespace fcdd::bindings
