// The functions of cuda/runtime.h on host memory. Everything has happened when a function returns.
//
// Fresh memory is filled with 0xff (NaN, -1). Guards of the same bytes lie before and behind each allocation:
// reading them gives NaN, and a write shows after the launch (under AddressSanitizer its own redzones do
// both).
#include "cuda/runtime.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda/emulation/control.h"

namespace fcdd::cuda {

struct EmulatedStream {};

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kBefore = 0, kBehind = 0;
#else
constexpr size_t kBefore = 1024, kBehind = 4096;
#endif
constexpr size_t kAlignment = 256;  // of cudaMalloc
constexpr unsigned char kPoison = 0xff;
constexpr uint64_t kMemory = uint64_t{16} << 30;  // what the device claims to have

struct Registry {
  std::mutex mutex;
  std::map<char*, std::pair<uint64_t, bool>> blocks;  // bytes, pinned
  uint64_t used = 0;
};

Registry& registry() {
  static Registry& one = *new Registry;  // outlives every static object that still frees memory
  return one;
}

std::atomic<int> failing{0};

// Tests that load the library have no other way in than the environment.
uint64_t first_limit() {
  const char* bytes = std::getenv("FCDD_EMULATED_MEMORY");
  return bytes == nullptr || *bytes == '\0' ? UINT64_MAX : std::strtoull(bytes, nullptr, 10);
}
std::atomic<uint64_t> memory_limit{first_limit()};

// Bytes of a guard: words of them are signalling NaN, so that arithmetic on one changes its bits. Even
// addresses hold the low byte.
struct Guard {
  unsigned char bytes[kBehind + 2];
  Guard() {
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = i % 2 == 0 ? 0xbf : 0xff;
  }
};
const Guard guard;

const unsigned char* guard_for(const char* address) {
  return guard.bytes + reinterpret_cast<uintptr_t>(address) % 2;
}
void set_guard(char* from, size_t bytes) {
  std::memcpy(from, guard_for(from), bytes);
}
bool untouched(const char* from, size_t bytes) {
  return std::memcmp(from, guard_for(from), bytes) == 0;
}

void* allocate_guarded(uint64_t bytes, bool pinned) {
  void* memory = nullptr;
  if (bytes > uint64_t{1} << 40 || posix_memalign(&memory, kAlignment, kBefore + bytes + kBehind) != 0) {
    throw Error("FCDD_OUT_OF_MEMORY", pinned ? "cudaHostAlloc: out of memory" : "cudaMalloc: out of memory");
  }
  char* data = static_cast<char*>(memory) + kBefore;
  set_guard(data - kBefore, kBefore);
  std::memset(data, kPoison, bytes);
  set_guard(data + bytes, kBehind);
  const std::lock_guard lock(registry().mutex);
  registry().blocks[data] = {bytes, pinned};
  registry().used += pinned ? 0 : bytes;
  return data;
}

}  // namespace

namespace emulation {

void fail_allocation(int nth) {
  failing = nth;
}
void set_memory(uint64_t bytes) {
  memory_limit = bytes;
}
int live_allocations() {
  const std::lock_guard lock(registry().mutex);
  return static_cast<int>(registry().blocks.size());
}

void check_guards(const char* op) {
  if (kBehind == 0) return;
  const std::lock_guard lock(registry().mutex);
  for (const auto& [data, block] : registry().blocks) {
    const bool before = untouched(data - kBefore, kBefore), behind = untouched(data + block.first, kBehind);
    if (before && behind) continue;
    set_guard(data - kBefore, kBefore);
    set_guard(data + block.first, kBehind);
    throw Error("FCDD_DEVICE", std::string(op) + " wrote " + (before ? "behind" : "before") +
                                   " an allocation of " + std::to_string(block.first) + " bytes");
  }
}

}  // namespace emulation

int driver_version() noexcept {
  return 0;
}
int runtime_version() noexcept {
  return 0;
}

int device_count() {
  return 1;
}

DeviceFacts device_facts(int) {
  const uint64_t limit = memory_limit;
  return {"cuda-emulated", 80, 4, limit == UINT64_MAX ? kMemory : limit, 99 << 10};
}

void use_device(int index) {
  if (index != 0) throw Error("FCDD_NO_DEVICE", "cudaSetDevice: invalid device ordinal");
}

uint64_t free_device_bytes() {
  const uint64_t limit = memory_limit;
  const std::lock_guard lock(registry().mutex);
  const uint64_t all = limit == UINT64_MAX ? kMemory : limit;
  return all - std::min(all, registry().used);
}

Stream create_stream() {
  return new EmulatedStream;
}
void destroy_stream(Stream stream) noexcept {
  delete stream;
}
void synchronise(Stream, const char*) {}

void* allocate(uint64_t bytes) {
  if (failing > 0 && --failing == 0) throw Error("FCDD_OUT_OF_MEMORY", "cudaMalloc: out of memory");
  const uint64_t limit = memory_limit;
  if (limit != UINT64_MAX && bytes > free_device_bytes()) {
    throw Error("FCDD_OUT_OF_MEMORY", "cudaMalloc: out of memory");
  }
  return allocate_guarded(bytes, false);
}

void* allocate_pinned(uint64_t bytes) {
  return allocate_guarded(bytes, true);
}

void free_memory(void* data) noexcept {
  if (data == nullptr) return;
  char* block = static_cast<char*>(data);
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().blocks.find(block);
  if (found == registry().blocks.end()) return;
  registry().used -= found->second.second ? 0 : found->second.first;
  registry().blocks.erase(found);
  std::free(block - kBefore);
}

void copy_to_device(Stream, void* to, const void* from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
}
void copy_to_host(Stream, void* to, const void* from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
}
void copy_on_device(Stream, void* to, const void* from, uint64_t bytes) {
  std::memmove(to, from, bytes);
}
void fill_bytes(Stream, void* to, uint8_t byte, uint64_t bytes) {
  std::memset(to, byte, bytes);
}

}  // namespace fcdd::cuda
