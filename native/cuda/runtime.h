// The CUDA runtime as this project uses it: memory, one stream per device, launches. Everything throws
// fcdd::Error with the name of the call (FCDD_OUT_OF_MEMORY with the bytes asked for, else FCDD_DEVICE).
// runtime.cu talks to the real runtime; emulation/runtime.cpp gives the same functions on host memory (fresh
// memory is filled with NaN).
#pragma once

#include <string>

#include "cuda/kernel.h"
#include "fcdd/errors.h"

namespace fcdd::cuda {

#if defined(__CUDACC__)
using Stream = cudaStream_t;
#else
struct EmulatedStream;
using Stream = EmulatedStream*;
#endif

struct DeviceFacts {
  std::string name;      // "NVIDIA H100 80GB HBM3"; "cuda-emulated"
  int architecture;      // 90 for compute capability 9.0
  int processors;        // multiprocessors
  uint64_t memory;       // bytes
  int shared_per_block;  // bytes of dynamic shared memory that a block may ask for
};

// How many devices there are; throws FCDD_NO_DEVICE with the reason (no driver, too old a driver, no device).
int device_count();
// As CUDA numbers them: 12080 is 12.8. 0: no driver; the emulation has neither.
int driver_version() noexcept;
int runtime_version() noexcept;
DeviceFacts device_facts(int index);
void use_device(int index);    // for the calling thread
uint64_t free_device_bytes();  // of the calling thread's device; 0 when it cannot be told

Stream create_stream();
void destroy_stream(Stream stream) noexcept;
void synchronise(Stream stream, const char* what);

void* allocate(uint64_t bytes);         // device memory
void free_memory(void* data) noexcept;  // of either kind
void* allocate_pinned(uint64_t bytes);  // host memory that kernels read through the same address

void copy_to_device(Stream stream, void* to, const void* from,
                    uint64_t bytes);  // returns when `from` may change
void copy_to_host(Stream stream, void* to, const void* from, uint64_t bytes);  // waits
void copy_on_device(Stream stream, void* to, const void* from, uint64_t bytes);
void fill_bytes(Stream stream, void* to, uint8_t byte, uint64_t bytes);

struct Launch {
  dim3 grid, block;
  size_t shared = 0;  // dynamic, bytes
};

#if defined(__CUDACC__)
// After a launch: throws when it was refused.
void check_launch(const char* op);
void allow_shared(const void* kernel, size_t bytes, const char* op);

// Enqueues kernel(arguments...). `op` names it in errors.
template <class... Parameters, class... Arguments>
void launch(const char* op, void (*kernel)(Parameters...), const Launch& shape, Stream stream,
            const Arguments&... arguments) {
  if (shape.shared > 48 * 1024) allow_shared(reinterpret_cast<const void*>(kernel), shape.shared, op);
  kernel<<<shape.grid, shape.block, shape.shared, stream>>>(static_cast<Parameters>(arguments)...);
  check_launch(op);
}
#else
template <class... Parameters, class... Arguments>
void launch(const char* op, void (*kernel)(Parameters...), const Launch& shape, Stream stream,
            const Arguments&... arguments);  // emulation/launch.h
#endif

}  // namespace fcdd::cuda

#if !defined(__CUDACC__)
#include "cuda/emulation/launch.h"
#endif
