// Thread blocks as fibers: one per thread, blocks one after the other on the calling OS thread.
//
// Guarantees
// - A fiber runs until it waits and then hands over directly to another ready one. The launcher resumes when
// the block
//   has ended, when something is wrong, or when nobody can run (a deadlock, which the message describes).
// - The order of threads is a function of the seed (control.h): 0 ascending, 1 descending, then alternately
// uniform
//   and random priorities of warps, redrawn now and then. Blocks follow the same choice.
// - Errors never unwind across fibers: the text is kept and thrown by run_grid as fcdd::Error (FCDD_DEVICE).
// Frames of
//   other fibers are abandoned, so device code holds only trivially destructible objects.
#pragma once

#include <source_location>
#include <string>
#include <vector>

#include "cuda/emulation/kernel.h"

namespace fcdd::cuda::emulation {

struct Stack;

// A copy from global to shared memory that has been issued and has not landed.
struct AsyncCopy {
  void* to;
  const void* from;
  uint32_t bytes;
  bool valid;
  uint32_t group;
  std::source_location site;
};

struct Thread : ThreadFacts {
  unsigned number = 0;     // within the block
  Stack* stack = nullptr;  // null: not started, or ended
  bool ended = false;
  const char* waits_for = nullptr;  // "sync_block", ...; null while it can run
  std::source_location site;        // where it waits
  const void* operand = nullptr;    // of the warp's rendezvous
  std::vector<AsyncCopy> copies;    // in order of issue
  size_t landed = 0;                // copies before this one have landed
  uint32_t group = 0;               // the group that new copies join
};

// To end the block, a running fiber notes why and then leaves, in two statements: frames are abandoned at
// `leave`, and the strings that made up the text must be gone by then.
void note(const std::string& what);
[[noreturn]] void leave();
std::string place(const std::source_location& site);  // "conv.cu:12"

void barrier(std::source_location site);

// All 32 lanes of a warp meet; the last to arrive calls `work` with the operand pointers of all. Lanes that
// come from different places, or with other work, are an error.
using WarpWork = void (*)(const void* const (&operands)[32]);
void rendezvous(const char* what, const void* operand, WarpWork work, std::source_location site);

void issue_copy(void* shared, const void* global, uint32_t bytes, bool valid, std::source_location site);
void close_copy_group();
void wait_for_copies(uint32_t in_flight);

// Runs body(closure) once per thread of the grid.
void run_grid(const char* op, dim3 grid, dim3 block, size_t dynamic_shared, void (*body)(void*),
              void* closure);

}  // namespace fcdd::cuda::emulation
