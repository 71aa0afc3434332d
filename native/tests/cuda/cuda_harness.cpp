#include "cuda_harness.h"

#include <cstdlib>

#include "check.h"
#include "tolerances.h"
#if !defined(FCDD_CUDA_GPU_TESTS)
#include "cuda/emulation/control.h"
#endif

namespace fcdd::test {

FcddDeviceOptions cuda_options(FcddPrecision precision) {
  return {0, nullptr, 0, precision};
}

const char* name_of(FcddPrecision precision) {
  return precision == FCDD_PRECISION_TF32 ? "tf32" : precision == FCDD_PRECISION_BF16 ? "bf16" : "float32";
}

double tolerance_of(FcddPrecision precision) {
  if (precision == FCDD_PRECISION_TF32) return tolerance::opTf32;
  return precision == FCDD_PRECISION_BF16 ? tolerance::opBf16 : tolerance::opFloat32;
}

std::vector<FcddPrecision> cuda_precisions() {
  static const std::vector<FcddPrecision> all = [] {
    std::vector<FcddPrecision> found = {FCDD_PRECISION_FLOAT32};
    for (const FcddPrecision precision : {FCDD_PRECISION_TF32, FCDD_PRECISION_BF16}) {
      const FcddDeviceOptions options = cuda_options(precision);
      FcddDevice* device = nullptr;
      if (fcdd_cuda_table()->open(&options, &device) != FCDD_OK) continue;
      fcdd_cuda_table()->close(device);
      found.push_back(precision);
    }
    return found;
  }();
  return all;
}

std::vector<uint64_t> thread_orders() {
#if defined(__SANITIZE_ADDRESS__)
  return {3};  // the sanitizers see the same in every order; orders run without them
#else
  const char* wanted = std::getenv("FCDD_CUDA_ORDERS");
  const int count = wanted != nullptr ? std::atoi(wanted) : 6;
  std::vector<uint64_t> seeds;
  for (int i = 0; i < count; i++) seeds.push_back(static_cast<uint64_t>(i));
  return seeds;
#endif
}

void set_thread_order([[maybe_unused]] uint64_t seed) {
#if !defined(FCDD_CUDA_GPU_TESTS)
  cuda::emulation::set_order(seed);
#endif
}

static void compare(const std::string& label, const Outputs& got, const Outputs& expected, double tolerance) {
  if (got.size() != expected.size()) fail(__FILE__, __LINE__, label + ": another number of outputs");
  for (size_t i = 0; i < got.size() && i < expected.size(); i++) {
    const double distance = relative_l2(got[i].values, expected[i].values);
    if (distance < tolerance) continue;
    fail(__FILE__, __LINE__, label + ": " + expected[i].name + " differs by " + std::to_string(distance));
  }
}

void check_cuda_case(const std::string& label, const BenchCase& body, Operands operands) {
  Bench truth(fcdd_reference_table(), nullptr, 1);
  const Outputs expected = body(truth);
  for (const FcddPrecision precision : cuda_precisions()) {
    if (operands == Operands::float32_only && precision != FCDD_PRECISION_FLOAT32) continue;
    const std::string name = label + ", " + name_of(precision);
    Outputs first;
    for (const uint64_t seed : thread_orders()) {
      set_thread_order(seed);
      Bench bench(fcdd_cuda_table(), cuda_options(precision));
      Outputs got = body(bench);
      if (first.empty()) {
        compare(name, got, expected, tolerance_of(precision));
        first = std::move(got);
      } else if (!same_bits(first, got)) {
        fail(__FILE__, __LINE__,
             name + ": bits change with the order of threads, seed " + std::to_string(seed));
      }
    }
  }
}

}  // namespace fcdd::test
