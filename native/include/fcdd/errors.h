// The one exception of the engine. `code` is stable and travels to JavaScript as error.code.
#pragma once

#include <stdexcept>
#include <string>

namespace fcdd {

class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code(std::move(code)) {}
  std::string code;  // FCDD_INVALID_ARGUMENT, FCDD_OUT_OF_MEMORY, FCDD_DEVICE, FCDD_ABORTED, FCDD_NO_DEVICE
};

}  // namespace fcdd
