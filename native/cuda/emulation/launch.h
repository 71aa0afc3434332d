// launch() of runtime.h for g++: runs the grid at the call.
#pragma once

#include <tuple>
#include <type_traits>

#include "cuda/emulation/fibers.h"

namespace fcdd::cuda {

template <class... Parameters, class... Arguments>
void launch(const char* op, void (*kernel)(Parameters...), const Launch& shape, Stream,
            const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel parameters are copied as bytes");
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  auto thread = [kernel, &values] { std::apply(kernel, values); };
  emulation::run_grid(
      op, shape.grid, shape.block, shape.shared,
      [](void* body) { (*static_cast<decltype(thread)*>(body))(); }, &thread);
}

}  // namespace fcdd::cuda
