#include "cuda/emulation/fibers.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#include "cuda/emulation/control.h"
#include "cuda/emulation/scheduler.h"
#include "cuda/emulation/stack_switch.h"
#include "fcdd/errors.h"

namespace fcdd::cuda::emulation {

thread_local constinit ThreadFacts* running = nullptr;
thread_local constinit Scheduler* current __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {

std::atomic<uint64_t> order_seed{0};
std::atomic<uint64_t> launches{0};

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

}  // namespace

void wait(Thread& thread, const char* what, const std::source_location& site) {
  Scheduler& s = scheduler();
  thread.waits_for = what;
  thread.site = site;
  if (s.ready.empty()) FCDD_STOP(deadlock());
  Thread& next = s.threads[s.ready.take()];
  if (next.stack == nullptr) {
    next.stack = take_stack();
    prepare(*next.stack, thread_main);
  }
  running = &next;
  switch_stacks(*thread.stack, *next.stack, false);
}

namespace {

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

// Leaves an ended thread's stack for good.
void leave_stack(Thread& thread, Stack& to) {
  Stack& stack = *thread.stack;
  thread.stack = nullptr;
  return_stack(&stack);
  switch_stacks(stack, to, true);
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
      leave_stack(thread, launcher_stack());
    }
    Thread* next = &s.threads[s.ready.take()];
    if (next->stack == nullptr) {
      std::swap(next->stack, thread.stack);
      running = next;
      continue;
    }
    running = next;
    leave_stack(thread, *next->stack);
  }
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
  poison_shared();
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
  check_shared_guards();
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

// A walk over all blocks that visits each once: step and count have no common factor.
struct Walk {
  uint64_t count, step = 1, at = 0;
  Walk(uint64_t count, Order order, Random& random) : count(count) {
    if (order == Order::descending) step = count - 1, at = count - 1;
    if (order == Order::ascending || order == Order::descending || count == 1) return;
    at = random.next() % count;
    do {
      step = 1 + random.next() % (count - 1);
    } while (std::gcd(step, count) != 1);
  }
  void next() { at = (at + step) % count; }
};

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

  s.busy = true;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  Walk walk(blocks, order, random);
  for (uint64_t i = 0; i < blocks && s.error.empty(); i++, walk.next()) {
    s.block.index = {static_cast<unsigned>(walk.at % grid.x),
                     static_cast<unsigned>(walk.at / grid.x % grid.y),
                     static_cast<unsigned>(walk.at / grid.x / grid.y)};
    start_threads(block, random, order);
    run_block();
  }
  s.busy = false;
  s.shared.clear();
  if (!s.error.empty()) throw Error("FCDD_DEVICE", s.error);
  check_guards(op);
}

}  // namespace fcdd::cuda::emulation
