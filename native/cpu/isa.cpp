// Chooses the instruction set: what the machine has, unless one is asked for.
#include "cpu/isa.h"

#include <string>

#include "fcdd/errors.h"

namespace fcdd::cpu {

namespace {

bool machine_has([[maybe_unused]] const std::string& name) {
#if defined(__x86_64__)
  // These built-ins also ask xgetbv whether the operating system saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "avx2") return avx2;
  if (name == "avx512") {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return name == "baseline";
}

bool machine_has_bf16() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

const IsaTable* built(const std::string& name) {
  if (name == "baseline") return &isa_baseline;
#if defined(__x86_64__)
  if (name == "avx2") return &isa_avx2;
  if (name == "avx512") return &isa_avx512;
#endif
  return nullptr;
}

std::string best() {
  for (const char* name : {"avx512", "avx2"}) {
    if (machine_has(name)) return name;
  }
  return "baseline";
}

}  // namespace

const IsaTable* choose_isa(const char* asked) {
  const std::string name = asked != nullptr && *asked != '\0' ? asked : best();
  if (name != "baseline" && name != "avx2" && name != "avx512") {
    throw Error("FCDD_INVALID_ARGUMENT",
                "expected baseline, avx2 or avx512 for the instruction set, received " + name);
  }
  if (!machine_has(name)) {
    throw Error("FCDD_NO_DEVICE",
                "this machine lacks the instruction set " + name + "; its best is " + best());
  }
  return built(name);
}

const Bf16Kernels* bf16_of(const IsaTable& isa) {
  if (!machine_has_bf16()) {
    throw Error("FCDD_NO_DEVICE",
                "bf16 on the cpu wants AVX-512 BF16, which this machine lacks: compute in float32");
  }
#if defined(__x86_64__)
  if (&isa == &isa_avx512) return &bf16_avx512;
#endif
  throw Error("FCDD_NO_DEVICE",
              std::string("bf16 on the cpu goes with the instruction set avx512, not with ") + isa.name);
}

}  // namespace fcdd::cpu
