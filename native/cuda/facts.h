// What this library can say of itself and of the machine without opening a device; for `fcdd-native doctor`.
#pragma once

// JSON, one object:
//   architectures  numbers that kernels were built for, e.g. [80, 90]; empty for the emulation
//   runtime        CUDA version that it was built with, "13.0"; null for the emulation
//   driver         newest CUDA version that the driver supports, "12.8"; null: there is no driver
//   problem        why no GPU can be used; null when there is one
//   gpus           [{ name, architecture, processors, memory, free }], the last two in bytes
// The text belongs to the calling thread until its next call.
extern "C" const char* fcdd_cuda_facts(void);
