// The functions of cuda/runtime.h on host memory. Everything has happened when a function returns.
//
// Fresh memory is filled with 0xff (NaN, -1). Guards of the same bytes lie before and behind each allocation:
// reading them gives NaN, and a write shows after the launch (under AddressSanitizer its own redzones do
// both).
#include "cuda/runtime.h"

#include <sys/mman.h>

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
constexpr size_t kPage = 4096;
constexpr unsigned char kPoison = 0xff;
constexpr uint64_t kMemory = uint64_t{16} << 30;  // what the device claims to have

struct Block {
  uint64_t bytes;
  bool pinned;
  void* memory;   // what the host gave
  size_t behind;  // bytes of the guard behind
  char* page;     // protected, or null
};

struct Registry {
  std::mutex mutex;
  std::map<char*, Block> blocks;  // by the address that kernels see
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

// FCDD_EMULATED_PAGES=1: each allocation ends at a page that nobody may touch, so that a read past its end
// ends the process too. (A guard shows only what is written, or what NaN does to the results.)
bool protects_pages() {
  static const bool asked = kBehind > 0 && std::getenv("FCDD_EMULATED_PAGES") != nullptr;
  return asked;
}

// Alignment 16 instead of cudaMalloc's 256, which no kernel needs: the end has to be near the page.
Block allocate_before_page(uint64_t bytes, char** data) {
  const uint64_t padded = (bytes + 15) / 16 * 16, room = (kBefore + padded + kPage - 1) / kPage * kPage;
  Block block = {bytes, false, nullptr, padded - bytes, nullptr};
  if (posix_memalign(&block.memory, kPage, room + kPage) != 0) return block;
  block.page = static_cast<char*>(block.memory) + room;
  *data = block.page - padded;
  if (mprotect(block.page, kPage, PROT_NONE) != 0) block.page = nullptr;
  return block;
}

Block allocate_plainly(uint64_t bytes, char** data) {
  Block block = {bytes, false, nullptr, kBehind, nullptr};
  if (posix_memalign(&block.memory, kAlignment, kBefore + bytes + kBehind) != 0) block.memory = nullptr;
  *data = static_cast<char*>(block.memory) + kBefore;
  return block;
}

void* allocate_guarded(uint64_t bytes, bool pinned) {
  char* data = nullptr;
  Block block = {};
  if (bytes < uint64_t{1} << 40) {
    block = protects_pages() ? allocate_before_page(bytes, &data) : allocate_plainly(bytes, &data);
  }
  if (block.memory == nullptr) {
    throw Error("FCDD_OUT_OF_MEMORY", pinned ? "cudaHostAlloc: out of memory" : "cudaMalloc: out of memory");
  }
  set_guard(data - kBefore, kBefore);
  std::memset(data, kPoison, bytes);
  set_guard(data + bytes, block.behind);
  block.pinned = pinned;
  const std::lock_guard lock(registry().mutex);
  registry().blocks[data] = block;
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
    const bool before = untouched(data - kBefore, kBefore),
               behind = untouched(data + block.bytes, block.behind);
    if (before && behind) continue;
    set_guard(data - kBefore, kBefore);
    set_guard(data + block.bytes, block.behind);
    throw Error("FCDD_DEVICE", std::string(op) + " wrote " + (before ? "behind" : "before") +
                                   " an allocation of " + std::to_string(block.bytes) + " bytes");
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
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().blocks.find(static_cast<char*>(data));
  if (found == registry().blocks.end()) return;
  const Block block = found->second;
  registry().used -= block.pinned ? 0 : block.bytes;
  registry().blocks.erase(found);
  if (block.page != nullptr) mprotect(block.page, kPage, PROT_READ | PROT_WRITE);
  std::free(block.memory);
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
