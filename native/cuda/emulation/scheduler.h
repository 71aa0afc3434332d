// What the parts of the emulation share: the block under way on this OS thread. Not for others.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/order.h"

// Ends the block; a statement. The strings of the text are gone before the frame is abandoned.
#define FCDD_STOP(text) \
  do {                  \
    note(text);         \
    leave();            \
  } while (false)

namespace fcdd::cuda::emulation {

constexpr unsigned kThreads = 1024;         // per block
constexpr size_t kStaticShared = 48 << 10;  // bytes
constexpr size_t kShared = 99 << 10;        // what a block may have on sm_86, sm_89 and sm_120

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
extern thread_local constinit Scheduler* current __attribute__((tls_model("initial-exec")));

inline Scheduler& scheduler() {
  return *current;
}
inline Thread& self() {
  return *static_cast<Thread*>(running);
}
inline std::string name_of(const Thread& thread) {
  return "thread " + std::to_string(thread.number);
}

// Lets others run until somebody makes this thread ready again.
void wait(Thread& thread, const char* what, const std::source_location& site);

// block_memory.cpp
void add_shared(const char* tag, size_t bytes);
void poison_shared();
void check_shared_guards();

}  // namespace fcdd::cuda::emulation
