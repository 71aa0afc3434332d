#include "cuda/emulation/stack_switch.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "fcdd/errors.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the caller's registers and stack pointer in *from and goes on at `to`.
extern "C" void fcdd_switch_stack(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
.text
.globl fcdd_switch_stack
.hidden fcdd_switch_stack
.type fcdd_switch_stack, @function
fcdd_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fcdd_switch_stack, .-fcdd_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl fcdd_switch_stack
.hidden fcdd_switch_stack
.type fcdd_switch_stack, %function
fcdd_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size fcdd_switch_stack, .-fcdd_switch_stack
)");
#else
#error "the CUDA emulation has no stack switch for this architecture: add one (10 instructions)"
#endif

namespace fcdd::cuda::emulation {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 256 << 10;  // redzones around every local array
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr size_t kColours = 61, kColourBytes = 256;
constexpr uint64_t kBottomMark = 0x5ca1ab1e0ddba11u;

struct Pool {
  std::vector<std::unique_ptr<Stack>> all;
  std::vector<Stack*> free;
  ~Pool() {
    for (const auto& stack : all) munmap(stack->bottom, stack->bytes);
  }
};
thread_local Pool pool;

thread_local Stack launcher;

}  // namespace

Stack& launcher_stack() {
  return launcher;
}

Stack* take_stack() {
  if (pool.free.empty()) {
    auto made = std::make_unique<Stack>();
    made->bytes = kStackBytes + kColours * kColourBytes;
    made->bytes = (made->bytes + 4095) / 4096 * 4096;
    void* memory = mmap(nullptr, made->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      throw Error("FCDD_OUT_OF_MEMORY", "no memory for the stacks of emulated threads");
    made->bottom = static_cast<char*>(memory);
    made->colour = static_cast<unsigned>(pool.all.size() % kColours);
    std::memcpy(made->bottom, &kBottomMark, sizeof kBottomMark);
    pool.free.push_back(made.get());
    pool.all.push_back(std::move(made));
    pool.free.reserve(pool.all.size());
  }
  Stack* stack = pool.free.back();
  pool.free.pop_back();
  return stack;
}

void return_stack(Stack* stack) noexcept {
  pool.free.push_back(stack);
}

bool stack_is_whole(const Stack& stack) noexcept {
  return std::memcmp(stack.bottom, &kBottomMark, sizeof kBottomMark) == 0;
}

void prepare(Stack& stack, void (*entry)()) {
  char* top = stack.bottom + stack.bytes - stack.colour * kColourBytes;
  top -= reinterpret_cast<uintptr_t>(top) % 64 + 64;
#if defined(__x86_64__)
  void** frame = reinterpret_cast<void**>(top);
  frame[0] = reinterpret_cast<void*>(entry);  // popped by ret: the stack is then as after a call
  frame[1] = nullptr;
  frame -= 6;
  std::memset(frame, 0, 6 * sizeof(void*));
#else
  void** frame = reinterpret_cast<void**>(top - 160);
  std::memset(frame, 0, 160);
  frame[11] = reinterpret_cast<void*>(entry);  // x30
#endif
  stack.pointer = frame;
  stack.fake = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack.bottom, stack.bytes);  // frames abandoned after an error
#endif
}

// AddressSanitizer must be told of every switch; the launcher's own bounds are learnt from the first one
// (guessed bounds crash LeakSanitizer).
void arrive() {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (launcher.bottom == nullptr) {
    launcher.bottom = const_cast<char*>(static_cast<const char*>(bottom));
    launcher.bytes = bytes;
  }
#endif
}

void switch_stacks(Stack& from, Stack& to, [[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake, to.bottom, to.bytes);
#endif
  fcdd_switch_stack(&from.pointer, to.pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

}  // namespace fcdd::cuda::emulation
