#include "cuda/emulation/fibers.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "cuda/emulation/control.h"
#include "cuda/emulation/order.h"
#include "cuda/emulation/stack_switch.h"
#include "fcdd/errors.h"

#define FCDD_STOP(text) \
  do {                  \
    note(text);         \
    leave();            \
  } while (false)

namespace fcdd::cuda::emulation {

thread_local constinit ThreadFacts* running = nullptr;

namespace {

constexpr unsigned kThreads = 1024;         // per block
constexpr size_t kStaticShared = 48 << 10;  // bytes
constexpr size_t kShared = 99 << 10;        // what a block may have on sm_86, sm_89 and sm_120
constexpr unsigned char kPoison = 0xff;     // NaN of every floating-point type, -1 of every integer

// Behind each shared array: signalling NaN, so that arithmetic on it changes the bits. AddressSanitizer has
// its own.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::array<unsigned char, 0> kGuard = {};
#else
constexpr std::array<unsigned char, 16> kGuard = {0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff,
                                                  0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff, 0xbf, 0xff};
#endif

std::atomic<uint64_t> order_seed{0};
std::atomic<uint64_t> launches{0};

struct Free {
  void operator()(void* data) const { std::free(data); }
};

struct SharedArray {
  const char* tag;  // null: the dynamic one
  size_t bytes;
  std::unique_ptr<void, Free> data;
};

struct Meeting {  // of a warp, or of the block
  const char* what = nullptr;
  WarpWork work = nullptr;
  std::source_location site;
  unsigned arrived = 0;
};

// All that belongs to the block under way on this OS thread.
struct Scheduler {
  const char* op = "";
  void (*body)(void*) = nullptr;
  void* closure = nullptr;
  BlockFacts block;
  unsigned count = 0, ended = 0;
  bool busy = false;
  std::string error;
  ReadyThreads ready;
  Meeting barrier;
  Meeting warps[kThreads / 32];
  std::vector<SharedArray> shared;
  size_t shared_bytes = 0;
  std::unique_ptr<Thread[]> threads{new Thread[kThreads]};
};

// Set by run_grid; the pointer keeps access to one instruction in a shared library too.
thread_local constinit Scheduler* current __attribute__((tls_model("initial-exec"))) = nullptr;

Scheduler& scheduler() {
  return *current;
}

Thread& self() {
  return *static_cast<Thread*>(running);
}

bool same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

std::string name_of(const Thread& thread) {
  return "thread " + std::to_string(thread.number);
}

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

std::string deadlock() {
  Scheduler& s = scheduler();
  std::map<std::string, unsigned> waiting;
  for (unsigned i = 0; i < s.count; i++) {
    const Thread& thread = s.threads[i];
    if (!thread.ended) waiting[std::string(thread.waits_for) + " at " + place(thread.site)]++;
  }
  std::string text = "deadlock:";
  for (const auto& [where, threads] : waiting) {
    text += " " + std::to_string(threads) + " threads wait in " + where + ";";
  }
  return text + " " + std::to_string(s.ended) + " have ended";
}

void thread_main();

// Leaves the running fiber, which waits or has ended.
void hand_over(Thread& from, bool for_good) {
  Scheduler& s = scheduler();
  Thread& next = s.threads[s.ready.take()];
  if (next.stack == nullptr) {
    next.stack = take_stack();
    prepare(*next.stack, thread_main);
  }
  Stack& stack = *from.stack;
  if (for_good) {
    from.stack = nullptr;
    return_stack(&stack);
  }
  running = &next;
  switch_stacks(stack, *next.stack, for_good);
}

void wait(Thread& thread, const char* what, const std::source_location& site) {
  thread.waits_for = what;
  thread.site = site;
  if (scheduler().ready.empty()) FCDD_STOP(deadlock());
  hand_over(thread, false);
}

void end(Thread& thread) {
  Scheduler& s = scheduler();
  if (thread.landed < thread.copies.size()) {
    FCDD_STOP(name_of(thread) + " ends with an asynchronous copy in flight, issued at " +
              place(thread.copies[thread.landed].site));
  }
  for (const Meeting* meeting : {&s.barrier, &s.warps[thread.number / 32]}) {
    if (meeting->arrived == 0) continue;
    FCDD_STOP(name_of(thread) + " has ended while others wait in " + meeting->what + " at " +
              place(meeting->site));
  }
  if (!stack_is_whole(*thread.stack)) FCDD_STOP("the emulated stack of " + name_of(thread) + " overflowed");
  thread.ended = true;
  s.ended++;
}

// Runs threads until one of them waits, then the rest of that one when its turn comes. A thread that starts
// when another has just ended takes over its stack: kernels without barriers never switch.
void thread_main() {
  arrive();
  Scheduler& s = scheduler();
  for (;;) {
    s.body(s.closure);
    Thread& thread = self();
    end(thread);
    if (s.ready.empty()) {
      if (s.ended < s.count) FCDD_STOP(deadlock());
      Stack* stack = thread.stack;
      thread.stack = nullptr;
      return_stack(stack);
      switch_stacks(*stack, launcher_stack(), true);
    }
    Thread* next = &s.threads[s.ready.take()];
    if (next->stack == nullptr) {
      std::swap(next->stack, thread.stack);
      running = next;
      continue;
    }
    Stack* stack = thread.stack;
    thread.stack = nullptr;
    return_stack(stack);
    running = next;
    switch_stacks(*stack, *next->stack, true);
  }
}

// Two fibers meet at different places.
std::string divergence(const Thread& thread, const Meeting& meeting, const char* what,
                       const std::source_location& site) {
  return "threads diverge: " + name_of(thread) + " in " + what + " at " + place(site) + ", others in " +
         meeting.what + " at " + place(meeting.site);
}

void start_threads(const dim3& extent, Random& random, Order order) {
  Scheduler& s = scheduler();
  s.count = extent.x * extent.y * extent.z;
  s.ended = 0;
  s.barrier = {};
  for (unsigned i = 0; i < s.count; i++) {
    Thread& thread = s.threads[i];
    thread.block = &s.block;
    thread.number = i;
    thread.index = {i % extent.x, i / extent.x % extent.y, i / extent.x / extent.y};
    thread.ended = false;
    thread.waits_for = nullptr;
    thread.copies.clear();
    thread.landed = 0, thread.group = 0;
    if (i % 32 == 0) s.warps[i / 32] = {};
  }
  for (SharedArray& array : s.shared) std::memset(array.data.get(), kPoison, array.bytes);
  s.ready.start(order, Random{random.next()}, s.count);
}

void run_block() {
  Scheduler& s = scheduler();
  Thread& first = s.threads[s.ready.take()];
  first.stack = take_stack();
  prepare(*first.stack, thread_main);
  running = &first;
  switch_stacks(launcher_stack(), *first.stack, false);
  running = nullptr;
  for (const SharedArray& array : s.shared) {
    const char* behind = static_cast<const char*>(array.data.get()) + array.bytes;
    if (std::memcmp(behind, kGuard.data(), kGuard.size()) == 0 || !s.error.empty()) continue;
    note("wrote behind a shared array of " + std::to_string(array.bytes) + " bytes");
  }
  if (s.error.empty()) return;
  for (unsigned i = 0; i < s.count; i++) {
    if (s.threads[i].stack != nullptr) return_stack(std::exchange(s.threads[i].stack, nullptr));
  }
}

[[noreturn]] void refuse(const char* op, const std::string& what) {
  throw Error("FCDD_DEVICE", std::string(op) + ": " + what);
}

void check_shape(const char* op, const dim3& grid, const dim3& block, size_t dynamic_shared) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kThreads || block.z > 64) {
    refuse(op, "a block of " + std::to_string(threads) + " threads cannot be launched");
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) {
    refuse(op, "a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                   std::to_string(grid.z) + " blocks cannot be launched");
  }
  if (dynamic_shared > kShared) {
    refuse(op,
           std::to_string(dynamic_shared) + " bytes of shared memory, more than " + std::to_string(kShared));
  }
}

}  // namespace

void set_order(uint64_t seed) {
  order_seed = seed;
  launches = 0;
}

std::string place(const std::source_location& site) {
  const char* file = std::strrchr(site.file_name(), '/');
  return std::string(file != nullptr ? file + 1 : site.file_name()) + ":" + std::to_string(site.line());
}

void note(const std::string& what) {
  Scheduler& s = scheduler();
  const uint3& b = s.block.index;
  s.error = std::string(s.op) + ": " + what + " (block " + std::to_string(b.x) + ", " + std::to_string(b.y) +
            ", " + std::to_string(b.z) + ")";
}

void leave() {
  switch_stacks(*self().stack, launcher_stack(), true);
  std::abort();  // nobody goes on here
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

void barrier(std::source_location site) {
  Scheduler& s = scheduler();
  Thread& thread = self();
  Meeting& meeting = s.barrier;
  if (s.ended > 0) FCDD_STOP("sync_block at " + place(site) + " after threads have ended");
  if (meeting.arrived == 0) meeting.what = "sync_block", meeting.site = site;
  if (!same(meeting.site, site)) FCDD_STOP(divergence(thread, meeting, "sync_block", site));
  if (++meeting.arrived < s.count) return wait(thread, "sync_block", site);
  meeting.arrived = 0;
  for (unsigned i = 0; i < s.count; i++) {
    if (i != thread.number) s.ready.add(i);
  }
}

void rendezvous(const char* what, const void* operand, WarpWork work, std::source_location site) {
  Scheduler& s = scheduler();
  Thread& thread = self();
  const unsigned warp = thread.number / 32, first = warp * 32;
  Meeting& meeting = s.warps[warp];
  if (first + 32 > s.count)
    FCDD_STOP(std::string(what) + " at " + place(site) + " in a warp of fewer than 32 threads");
  if (meeting.arrived == 0) {
    for (unsigned i = first; i < first + 32; i++) {
      if (s.threads[i].ended) FCDD_STOP(std::string(what) + " at " + place(site) + " after lanes have ended");
    }
    meeting.what = what, meeting.site = site, meeting.work = work;
  }
  if (meeting.work != work || !same(meeting.site, site)) FCDD_STOP(divergence(thread, meeting, what, site));
  thread.operand = operand;
  if (++meeting.arrived < 32) return wait(thread, what, site);
  const void* operands[32];
  for (unsigned lane = 0; lane < 32; lane++) operands[lane] = s.threads[first + lane].operand;
  work(operands);
  meeting.arrived = 0;
  s.ready.add_lanes(warp, ~(uint32_t{1} << thread.number % 32));
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

void run_grid(const char* op, dim3 grid, dim3 block, size_t dynamic_shared, void (*body)(void*),
              void* closure) {
  check_shape(op, grid, block, dynamic_shared);
  thread_local Scheduler own;
  current = &own;
  Scheduler& s = own;
  if (s.busy) refuse(op, "a kernel cannot launch another one");
  const uint64_t seed = order_seed;
  const Order order = order_of(seed);
  Random random{seed * 0x2545f4914f6cdd1du + launches++};
  s.op = op, s.body = body, s.closure = closure;
  s.block.extent = block, s.block.grid = grid;
  s.error.clear(), s.shared.clear(), s.shared_bytes = 0;
  if (dynamic_shared > 0) add_shared(nullptr, dynamic_shared);

  // Blocks in an order that visits each once: step and count have no common factor.
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  uint64_t step = 1, at = 0;
  if (order == Order::descending) step = blocks - 1, at = blocks - 1;
  if (seed >= 2 && blocks > 1) {
    at = random.next() % blocks;
    do {
      step = 1 + random.next() % (blocks - 1);
    } while (std::gcd(step, blocks) != 1);
  }
  s.busy = true;
  for (uint64_t i = 0; i < blocks && s.error.empty(); i++, at = (at + step) % blocks) {
    s.block.index = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                     static_cast<unsigned>(at / grid.x / grid.y)};
    start_threads(block, random, order);
    run_block();
  }
  s.busy = false;
  s.shared.clear();
  if (!s.error.empty()) throw Error("FCDD_DEVICE", s.error);
  check_guards(op);
}

}  // namespace fcdd::cuda::emulation
