// The vocabulary of device code, for two compilers: nvcc, and g++ with the emulation of emulation/.
//
// Guarantees
// - A .cu file of this folder includes this header (and tile or step headers) and nothing else of CUDA: no
// asm, no
//   <<< >>>, no `extern __shared__`, no cuda* call outside kernel.h, instructions.h and runtime.h.
// - Kernels are free functions of type void(...) whose parameters are trivially copyable.
// - threadIdx, blockIdx, blockDim and gridDim mean what they mean in CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define FCDD_KERNEL __global__
#define FCDD_GPU __device__ __forceinline__
// Registers per thread are bounded so that `blocks` blocks of `threads` threads fit on a multiprocessor.
#define FCDD_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
// FCDD_SHARED_ARRAY(float, tile, [32][33]): one array of the block, aligned to 16 bytes, not initialised.
#define FCDD_SHARED_ARRAY(type, name, extents) __shared__ alignas(16) type name extents
// The dynamic shared memory of the launch as `type* name`, aligned to 16 bytes.
#define FCDD_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char fcdd_dynamic_shared[]; \
  type* name = reinterpret_cast<type*>(fcdd_dynamic_shared)
#define FCDD_UNROLL _Pragma("unroll")

#else

#include "cuda/emulation/kernel.h"

#endif
