// Fibers' stacks and the switch between them: ten instructions per architecture (swapcontext asks the
// operating system for the signal mask each time and costs twenty times as much).
#pragma once

#include <cstddef>

namespace fcdd::cuda::emulation {

struct Stack {
  void* pointer = nullptr;  // where it goes on, while it is not the running one
  char* bottom = nullptr;   // lowest address
  size_t bytes = 0;
  unsigned colour = 0;   // moves the start, so that equal frames of many fibers do not share cache sets
  void* fake = nullptr;  // AddressSanitizer's
};

// The stack of the OS thread itself.
Stack& launcher_stack();

// A new stack of this OS thread's pool, or one that was returned; and back into the pool (a fiber may return
// the stack it runs on if it switches away next).
Stack* take_stack();
void return_stack(Stack* stack) noexcept;
// False after a fiber wrote to the lowest bytes of its stack.
bool stack_is_whole(const Stack& stack) noexcept;

// The next switch to this stack enters `entry`, which must call arrive() first and never return.
void prepare(Stack& stack, void (*entry)());
void arrive();

// Goes on at `to`; returns when somebody switches back, never when `for_good`.
void switch_stacks(Stack& from, Stack& to, bool for_good);

}  // namespace fcdd::cuda::emulation
