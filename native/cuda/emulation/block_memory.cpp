// Shared memory of the running block, and the asynchronous copies into it.
#include <algorithm>
#include <array>
#include <cstring>

#include "cuda/emulation/scheduler.h"
#include "fcdd/errors.h"

namespace fcdd::cuda::emulation {
namespace {

constexpr unsigned char kPoison = 0xff;  // NaN of every floating-point type, -1 of every integer

// Behind each shared array: signalling NaN, so that arithmetic on it changes the bits. AddressSanitizer has
// its own.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::array<unsigned char, 0> kGuard = {};
#else
constexpr std::array<unsigned char, 16> kGuard = {0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff,
                                                  0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff};
#endif

}  // namespace

void add_shared(const char* tag, size_t bytes) {
  Scheduler& s = scheduler();
  s.shared_bytes += (bytes + 15) / 16 * 16;
  void* data = nullptr;
  if (posix_memalign(&data, 64, bytes + kGuard.size()) != 0) {
    throw Error("FCDD_OUT_OF_MEMORY", "no memory for a shared array");
  }
  std::memset(data, kPoison, bytes);
  std::memcpy(static_cast<char*>(data) + bytes, kGuard.data(), kGuard.size());
  s.shared.push_back({tag, bytes, std::unique_ptr<void, Free>(data)});
}

void poison_shared() {
  for (const SharedArray& array : scheduler().shared) std::memset(array.data.get(), kPoison, array.bytes);
}

void check_shared_guards() {
  for (const SharedArray& array : scheduler().shared) {
    const auto* behind = static_cast<const unsigned char*>(array.data.get()) + array.bytes;
    if (std::equal(kGuard.begin(), kGuard.end(), behind) || !scheduler().error.empty()) continue;
    note("wrote behind a shared array of " + std::to_string(array.bytes) + " bytes");
  }
}

void* shared_array(const char* tag, size_t bytes) {
  Scheduler& s = scheduler();
  for (const SharedArray& array : s.shared) {
    if (array.tag == tag) return array.data.get();
  }
  add_shared(tag, bytes);
  size_t fixed = 0;
  for (const SharedArray& array : s.shared) fixed += array.tag != nullptr ? array.bytes : 0;
  if (fixed > kStaticShared)
    FCDD_STOP(std::to_string(fixed) + " bytes of static shared memory, more than 49152");
  if (s.shared_bytes > kShared) {
    FCDD_STOP(std::to_string(s.shared_bytes) + " bytes of shared memory, more than " +
              std::to_string(kShared));
  }
  return s.shared.back().data.get();
}

void* dynamic_shared() {
  Scheduler& s = scheduler();
  if (s.shared.empty() || s.shared.front().tag != nullptr)
    FCDD_STOP("launched without dynamic shared memory");
  return s.shared.front().data.get();
}

void issue_copy(void* shared, const void* global, uint32_t bytes, bool valid, std::source_location site) {
  Thread& thread = self();
  if (reinterpret_cast<uintptr_t>(shared) % bytes != 0 ||
      (valid && reinterpret_cast<uintptr_t>(global) % bytes != 0)) {
    FCDD_STOP("a copy of " + std::to_string(bytes) + " bytes at " + place(site) + " is not aligned to them");
  }
  std::memset(shared, kPoison, bytes);
  thread.copies.push_back({shared, global, bytes, valid, thread.group, site});
}

void close_copy_group() {
  self().group++;
}

void wait_for_copies(uint32_t in_flight) {
  Thread& thread = self();
  while (thread.landed < thread.copies.size()) {
    const AsyncCopy& copy = thread.copies[thread.landed];
    if (copy.group + in_flight >= thread.group) break;
    if (copy.valid) {
      std::memcpy(copy.to, copy.from, copy.bytes);
    } else {
      std::memset(copy.to, 0, copy.bytes);
    }
    thread.landed++;
  }
  if (thread.landed == thread.copies.size() || thread.landed >= 64) {
    thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(thread.landed));
    thread.landed = 0;
  }
}

}  // namespace fcdd::cuda::emulation
