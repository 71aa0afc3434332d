// The cpu device: host memory, a share of the worker pool and the kernels of one instruction set.
//
// Steps run at the call. They validate their arguments, throw fcdd::Error, and allocate nothing.
#pragma once

#include <cstdint>
#include <string>

#include "cpu/isa.h"
#include "fcdd/buffer.h"
#include "fcdd/errors.h"
#include "fcdd/host_memory.h"

namespace fcdd::cpu {

struct CpuDevice {
  HostMemory memory;
  int threads = 1;
  const IsaTable* isa = nullptr;
  const Bf16Kernels* bf16 = nullptr;  // where convolutions by Winograd round their operands to bf16
  bool direct_only = false;           // FCDD_CPU_CONV=direct: no Winograd, for tests and comparisons
};

[[noreturn]] inline void invalid(const std::string& what) {
  throw Error("FCDD_INVALID_ARGUMENT", what);
}

inline void require(bool condition, const char* what) {
  if (!condition) invalid(what);
}

// Address of a buffer that must hold `count` values of T; throws with its name when it is none or too small.
template <class T>
T* at(const CpuDevice& device, const FcddBuffer& buffer, uint64_t count, const char* name) {
  T* data = device.memory.at<T>(buffer);
  if (data == nullptr && count > 0) invalid(std::string(name) + " is missing");
  if (buffer.bytes < count * sizeof(T) && data != nullptr) {
    invalid(std::string(name) + " holds " + std::to_string(buffer.bytes) + " bytes, expected " +
            std::to_string(count * sizeof(T)));
  }
  return data;
}

// The same, but null when the buffer is none.
template <class T>
T* at_or_null(const CpuDevice& device, const FcddBuffer& buffer, uint64_t count, const char* name) {
  return buffer.arena == 0 ? nullptr : at<T>(device, buffer, count, name);
}

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace fcdd::cpu
