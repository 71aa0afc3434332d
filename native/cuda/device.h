// The cuda device: memory of one GPU, one in-order stream, and the precision of its convolutions.
//
// Steps enqueue and return; they validate their arguments on the host, throw fcdd::Error, and allocate
// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cuda/runtime.h"
#include "fcdd/buffer.h"
#include "fcdd/errors.h"

namespace fcdd::cuda {

// Operands of convolutions; accumulation, activations in memory and everything else is float32.
enum class Precision { float32, tf32, bf16 };

constexpr const char* name_of(Precision precision) {
  return precision == Precision::float32 ? "float32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

// Arenas of device memory behind opaque handles.
class DeviceMemory {
 public:
  // Both throw FCDD_OUT_OF_MEMORY with what was needed, what is free and what to lower.
  uint64_t reserve(uint64_t bytes);
  // Device memory while the store takes no more than half of what is free, else pinned host memory, which
  // kernels read through the same address.
  uint64_t reserve_store(uint64_t bytes);
  void release(uint64_t arena) noexcept;
  void release_all() noexcept;
  // Device address of a buffer, null for "none". Throws when the buffer leaves its arena.
  void* at(const FcddBuffer& buffer) const;

 private:
  struct Block {
    void* data;
    uint64_t bytes;
  };
  uint64_t keep(void* data, uint64_t bytes);
  mutable std::mutex mutex_;
  std::map<uint64_t, Block> blocks_;
  uint64_t last_ = 0;
};

struct CudaDevice {
  DeviceMemory memory;
  Stream stream = {};
  Precision precision = Precision::tf32;
  int index = 0;
  DeviceFacts facts;
  // One word in device memory: the lowest batch position whose image does not fit its crop, INT32_MAX for
  // none. Kernels atomic_min it; it is read, cleared and reported at the next wait.
  int32_t* failure = nullptr;
};

// device.cu. The precision is one of fcdd/device.h; throws when the device does not have it.
std::unique_ptr<CudaDevice> open_device(int index, int32_t precision);
void close_device(CudaDevice& device) noexcept;
// Waits for all steps so far; throws what went wrong in them.
void wait(CudaDevice& device, const char* what);

[[noreturn]] inline void invalid(const std::string& what) {
  throw Error("FCDD_INVALID_ARGUMENT", what);
}

inline void require(bool condition, const char* what) {
  if (!condition) invalid(what);
}

// Device address of a buffer that must hold `count` values of T; throws with its name when it is none or too
// small.
template <class T>
T* at(const CudaDevice& device, const FcddBuffer& buffer, uint64_t count, const char* name) {
  T* data = static_cast<T*>(device.memory.at(buffer));
  if (data == nullptr && count > 0) invalid(std::string(name) + " is missing");
  if (buffer.bytes < count * sizeof(T) && data != nullptr) {
    invalid(std::string(name) + " holds " + std::to_string(buffer.bytes) + " bytes, expected " +
            std::to_string(count * sizeof(T)));
  }
  return data;
}

// The same, but null when the buffer is none.
template <class T>
T* at_or_null(const CudaDevice& device, const FcddBuffer& buffer, uint64_t count, const char* name) {
  return buffer.arena == 0 ? nullptr : at<T>(device, buffer, count, name);
}

}  // namespace fcdd::cuda
