// Where the random inputs of the tests begin.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace fcdd::test {

// A seed of a test's own. FCDD_TEST_SEED=n shifts all of them, so that gpu-verify draws other inputs each
// time; it prints n, and the same n draws the same inputs again.
inline uint32_t test_seed(uint32_t own) {
  static const char* const shift = std::getenv("FCDD_TEST_SEED");
  return own + (shift == nullptr ? 0 : static_cast<uint32_t>(std::strtoul(shift, nullptr, 10)) * 1000003u);
}

}  // namespace fcdd::test
