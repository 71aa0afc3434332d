// Arenas of devices that live in host memory (`reference`, `cpu`): 64-byte aligned blocks behind opaque
// handles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "fcdd/buffer.h"
#include "fcdd/errors.h"

namespace fcdd {

class HostMemory {
 public:
  ~HostMemory() {
    for (auto& [id, block] : blocks_) std::free(block.data);
  }

  // Throws FCDD_OUT_OF_MEMORY with the number of bytes asked for.
  uint64_t reserve(uint64_t bytes) {
    const uint64_t rounded = (bytes + 63) / 64 * 64 + 64;  // never a null block; slack for whole-vector loads
    void* data = bytes > kAddressSpace ? nullptr : std::aligned_alloc(64, rounded);
    if (data == nullptr) {
      throw Error("FCDD_OUT_OF_MEMORY", "cannot reserve " + std::to_string(bytes >> 20) +
                                            " MiB of memory: lower the batch size or set --memory-budget");
    }
    const std::lock_guard lock(mutex_);
    blocks_[++last_] = {static_cast<std::byte*>(data), bytes};
    return last_;
  }

  void release(uint64_t arena) {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(arena);
    if (found == blocks_.end()) return;
    std::free(found->second.data);
    blocks_.erase(found);
  }

  // Address of a buffer, null for "none". Throws when the buffer leaves its arena.
  template <class T>
  T* at(const FcddBuffer& buffer) const {
    if (buffer.arena == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(buffer.arena);
    if (found == blocks_.end() || buffer.offset > found->second.bytes ||
        buffer.bytes > found->second.bytes - buffer.offset) {
      throw Error("FCDD_INVALID_ARGUMENT", "a buffer leaves its arena");
    }
    return reinterpret_cast<T*>(found->second.data + buffer.offset);
  }

 private:
  static constexpr uint64_t kAddressSpace = uint64_t{1} << 40;  // more than any machine has
  struct Block {
    std::byte* data;
    uint64_t bytes;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Block> blocks_;
  uint64_t last_ = 0;
};

}  // namespace fcdd
