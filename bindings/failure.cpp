#include "failure.h"

#include <new>

namespace fcdd::bindings {

Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code, error.what()};
  } catch (const std::bad_alloc&) {
    return {"FCDD_OUT_OF_MEMORY", "the process ran out of memory"};
  } catch (const std::exception& error) {
    return {"FCDD_DEVICE", error.what()};
  } catch (...) {
    return {"FCDD_DEVICE", "an unknown exception"};
  }
}

Napi::Error make_error(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Value().Set("code", Napi::String::New(env, failure.code));
  return error;
}

}  // namespace fcdd::bindings
