// Opening and closing the cuda device, its memory, and its waits.
#include <cstdio>

#include "cuda/augment_failure.h"
#include "cuda/device.h"
#include "fcdd/device.h"

namespace fcdd::cuda {
namespace {

constexpr int32_t kNoFailure = INT32_MAX;

FCDD_KERNEL void clear_failure(int32_t* failure) {
  if (threadIdx.x == 0) *failure = kNoFailure;
}

std::string mebibytes(uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

[[noreturn]] void out_of_memory(const Error& cause, uint64_t bytes, const char* kind) {
  const uint64_t free = free_device_bytes();
  throw Error("FCDD_OUT_OF_MEMORY", std::string(cause.what()) + ": " + mebibytes(bytes) + " of " + kind +
                                        " memory needed, " + mebibytes(free) +
                                        " free on the device; lower the batch size or set --memory-budget");
}

Precision choose(const DeviceFacts& facts, int32_t wanted) {
  const bool tensor_cores = facts.architecture >= 80;
  switch (wanted) {
    case FCDD_PRECISION_DEFAULT:
      return tensor_cores ? Precision::tf32 : Precision::float32;
    case FCDD_PRECISION_FLOAT32:
      return Precision::float32;
    case FCDD_PRECISION_TF32:
    case FCDD_PRECISION_BF16:
      break;
    default:
      invalid("there is no precision " + std::to_string(wanted));
  }
  const Precision precision = wanted == FCDD_PRECISION_TF32 ? Precision::tf32 : Precision::bf16;
  if (!tensor_cores) {
    invalid(std::string("precision ") + name_of(precision) + " needs compute capability 8.0 or more; " +
            facts.name + " has " + std::to_string(facts.architecture / 10) + "." +
            std::to_string(facts.architecture % 10) + ": choose float32");
  }
  return precision;
}

}  // namespace

uint64_t DeviceMemory::keep(void* data, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  blocks_[++last_] = {data, bytes};
  return last_;
}

uint64_t DeviceMemory::reserve(uint64_t bytes) {
  try {
    return keep(allocate(bytes), bytes);
  } catch (const Error& error) {
    if (error.code != "FCDD_OUT_OF_MEMORY") throw;
    out_of_memory(error, bytes, "device");
  }
}

uint64_t DeviceMemory::reserve_store(uint64_t bytes) {
  if (bytes <= free_device_bytes() / 2) {
    try {
      return keep(allocate(bytes), bytes);
    } catch (const Error& error) {
      if (error.code != "FCDD_OUT_OF_MEMORY") throw;
    }
  }
  try {
    return keep(allocate_pinned(bytes), bytes);
  } catch (const Error& error) {
    if (error.code != "FCDD_OUT_OF_MEMORY") throw;
    out_of_memory(error, bytes, "pinned host");
  }
}

void DeviceMemory::release(uint64_t arena) noexcept {
  void* data = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(arena);
    if (found == blocks_.end()) return;
    data = found->second.data;
    blocks_.erase(found);
  }
  free_memory(data);
}

void DeviceMemory::release_all() noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& [arena, block] : blocks_) free_memory(block.data);
  blocks_.clear();
}

void* DeviceMemory::at(const FcddBuffer& buffer) const {
  if (buffer.arena == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(buffer.arena);
  if (found == blocks_.end() || buffer.offset > found->second.bytes ||
      buffer.bytes > found->second.bytes - buffer.offset) {
    invalid("a buffer leaves its arena");
  }
  return static_cast<char*>(found->second.data) + buffer.offset;
}

std::unique_ptr<CudaDevice> open_device(int index, int32_t precision) {
  const int count = device_count();
  if (index < 0 || index >= count) {
    throw Error("FCDD_NO_DEVICE", "there is no GPU " + std::to_string(index) + ": this machine has " +
                                      std::to_string(count) + ", numbered from 0");
  }
  use_device(index);
  auto device = std::make_unique<CudaDevice>();
  device->index = index;
  device->facts = device_facts(index);
  device->precision = choose(device->facts, precision);
  try {
    device->stream = create_stream();
    device->failure = static_cast<int32_t*>(allocate(sizeof(int32_t)));
    launch("open", clear_failure, {dim3(1), dim3(32)}, device->stream, device->failure);
    synchronise(device->stream, "open");
  } catch (...) {
    close_device(*device);
    throw;
  }
  return device;
}

void close_device(CudaDevice& device) noexcept {
  device.memory.release_all();
  free_memory(device.failure);
  if (device.stream != nullptr) destroy_stream(device.stream);
  device.failure = nullptr, device.stream = nullptr;
}

void wait(CudaDevice& device, const char* what) {
  synchronise(device.stream, what);
  int32_t failure = kNoFailure;
  copy_to_host(device.stream, &failure, device.failure, sizeof failure);
  if (failure == kNoFailure) return;
  launch(what, clear_failure, {dim3(1), dim3(32)}, device.stream, device.failure);
  invalid(augment_failure(failure));
}

}  // namespace fcdd::cuda
