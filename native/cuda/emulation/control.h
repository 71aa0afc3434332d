// What tests may ask of the emulation. Settings hold for the whole process.
#pragma once

#include <cstdint>

namespace fcdd::cuda::emulation {

// Order of threads and blocks of all later launches: see fibers.h.
void set_order(uint64_t seed);

// The nth allocation of device memory from now fails (1: the next one); 0: none does.
void fail_allocation(int nth);
void set_memory(uint64_t bytes);  // of the device; UINT64_MAX, the start value, stands for "no limit"
int live_allocations();           // of device and pinned memory

// Throws when somebody has written before or behind an allocation; run after each launch.
void check_guards(const char* op);

}  // namespace fcdd::cuda::emulation
