// cuda/runtime.h on the real runtime. Every call is checked; a failure names the call and gives CUDA's own
// words, and the error is cleared, so that the next call starts clean where CUDA allows that.
#include "cuda/runtime.h"

#include <string>

namespace fcdd::cuda {
namespace {

std::string words(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

void check(cudaError_t error, const std::string& call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  const bool memory = error == cudaErrorMemoryAllocation;
  throw Error(memory ? "FCDD_OUT_OF_MEMORY" : "FCDD_DEVICE", call + ": " + words(error));
}

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

[[noreturn]] void no_device(cudaError_t error) {
  cudaGetLastError();
  std::string reason = "cudaGetDeviceCount: " + words(error);
  std::string hint = "nvidia-smi says whether driver and GPU work at all";
  if (error == cudaErrorNoDevice) {
    reason = "the driver finds no GPU";
    hint = "CUDA_VISIBLE_DEVICES may hide it; in a container start it with GPUs (docker run --gpus all)";
  }
  if (error == cudaErrorInsufficientDriver) {
    const int driver = driver_version();
    reason = driver == 0 ? "driver not found"
                         : "driver too old: it supports CUDA " + version(driver) +
                               ", this build needs CUDA " + version(CUDART_VERSION);
    hint = driver == 0 ? "install NVIDIA's driver; in a container start it with GPUs (docker run --gpus all)"
                       : "update NVIDIA's driver, or build this package with an older CUDA toolkit";
  }
  throw Error("FCDD_NO_DEVICE", "no CUDA device: " + reason + "\nhint: " + hint);
}

int attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

int driver_version() noexcept {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}
int runtime_version() noexcept {
  return CUDART_VERSION;
}

int device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) no_device(error);
  if (count == 0) no_device(cudaErrorNoDevice);
  return count;
}

DeviceFacts device_facts(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return {properties.name, 10 * properties.major + properties.minor, properties.multiProcessorCount,
          properties.totalGlobalMem, attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index)};
}

void use_device(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
}

uint64_t free_device_bytes() {
  size_t free = 0, all = 0;
  if (cudaMemGetInfo(&free, &all) == cudaSuccess) return free;
  cudaGetLastError();
  return 0;
}

Stream create_stream() {
  Stream stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void destroy_stream(Stream stream) noexcept {
  if (cudaStreamDestroy(stream) != cudaSuccess) cudaGetLastError();
}

void synchronise(Stream stream, const char* what) {
  check(cudaStreamSynchronize(stream), std::string(what) + ": cudaStreamSynchronize");
}

void* allocate(uint64_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, bytes > 0 ? bytes : 1), "cudaMalloc");
  return data;
}

void* allocate_pinned(uint64_t bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, bytes > 0 ? bytes : 1, cudaHostAllocMapped | cudaHostAllocPortable),
        "cudaHostAlloc");
  return data;
}

void free_memory(void* data) noexcept {
  if (data == nullptr) return;
  cudaPointerAttributes attributes{};
  const bool host =
      cudaPointerGetAttributes(&attributes, data) == cudaSuccess && attributes.type == cudaMemoryTypeHost;
  if ((host ? cudaFreeHost(data) : cudaFree(data)) != cudaSuccess) cudaGetLastError();
}

// From pageable memory, which the runtime stages before it returns.
void copy_to_device(Stream stream, void* to, const void* from, uint64_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync to the device");
}

void copy_to_host(Stream stream, void* to, const void* from, uint64_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync to the host");
  check(cudaStreamSynchronize(stream), "copy to the host: cudaStreamSynchronize");
}

void copy_on_device(Stream stream, void* to, const void* from, uint64_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync on the device");
}

void fill_bytes(Stream stream, void* to, uint8_t byte, uint64_t bytes) {
  check(cudaMemsetAsync(to, byte, bytes, stream), "cudaMemsetAsync");
}

void check_launch(const char* op) {
  check(cudaGetLastError(), std::string(op) + ": launch");
}

void allow_shared(const void* kernel, size_t bytes, const char* op) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        std::string(op) + ": cudaFuncSetAttribute(MaxDynamicSharedMemorySize)");
}

}  // namespace fcdd::cuda
