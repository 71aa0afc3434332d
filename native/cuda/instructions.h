// One wrapper per instruction that C++ has no word for; same names and meaning for nvcc and for g++ (where
// emulation/instructions.h gives them). All 32 lanes of a warp call the warp-wide ones, from the same place.
//
//   sync_block()                    barrier of the block                           __syncthreads
//   sync_warp()                     barrier of the warp                            __syncwarp
//   shuffle_down(v, d)              value of lane + d (own value past the end); float, double, int32_t,
//   uint32_t,
//                                   int64_t, uint64_t
//   shuffle_xor(v, m)               value of lane ^ m; the same types
//   copy_async_16(shared, global, valid)  16 bytes global -> shared; zeros, and no read, where !valid
//   copy_async_4(shared, global, valid)   the same for 4 bytes. Addresses are multiples of the size
//   copy_async_commit()             closes a group of copies
//   copy_async_wait<N>()            waits until at most N of this thread's groups are in flight
//   to_tf32(f)                      float -> tf32 bits, round to nearest, ties away (cvt.rna.tf32.f32)
//   pack_bf16(low, high)            two floats -> bf16x2, round to nearest even; `low` in the low half
//   mma_tf32<MT,NT>(acc, a, b)      MT x NT products m16n8k8, acc += a b, float32 accumulation
//   mma_bf16<MT,NT>(acc, a, b)      MT x NT products m16n8k16
//   atomic_min(address, value)      int32_t, device memory; the only atomic: it commutes, so bits do not
//   depend on order
//
// Fragments (PTX ISA, mma): with g = lane/4, t = lane%4
//   tf32 A[q]: row g + 8*(q&1), k t + 4*(q>>1)          B[q]: k t + 4q, column g
//   bf16 A[q]: row g + 8*(q&1), k 2t + 8*(q>>1) (+1)    B[q]: k 2t + 8q (+1), column g
//   C[e] of both: row g + 8*(e/2), column 2t + e%2
// Below sm_80 there are neither asynchronous copies (plain loads take their place) nor these products (a
// trap).
#pragma once

#include "cuda/kernel.h"

#if defined(__CUDACC__)

namespace fcdd::cuda {

FCDD_GPU void sync_block() {
  __syncthreads();
}
FCDD_GPU void sync_warp() {
  __syncwarp();
}

template <class T>
FCDD_GPU T shuffle_down(T value, unsigned delta) {
  return __shfl_down_sync(0xffffffffu, value, delta);
}
template <class T>
FCDD_GPU T shuffle_xor(T value, unsigned mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

FCDD_GPU uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

FCDD_GPU void copy_async_16(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0));
#else
  *static_cast<uint4*>(shared) = valid ? *static_cast<const uint4*>(global) : uint4{0, 0, 0, 0};
#endif
}

FCDD_GPU void copy_async_4(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 4 : 0));
#else
  *static_cast<uint32_t*>(shared) = valid ? *static_cast<const uint32_t*>(global) : 0;
#endif
}

FCDD_GPU void copy_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::);
#endif
}

template <int N>
FCDD_GPU void copy_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
#endif
}

FCDD_GPU uint32_t to_tf32(float value) {
#if __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(bits) : "f"(value));
  return bits;
#else
  return __float_as_uint(value);
#endif
}

FCDD_GPU uint32_t pack_bf16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#else
  return __float_as_uint(low) >> 16 | (__float_as_uint(high) & 0xffff0000u);
#endif
}

template <int MT, int NT>
FCDD_GPU void mma_tf32(float (&acc)[MT][NT][4], const uint32_t (&a)[MT][4], const uint32_t (&b)[NT][2]) {
#if __CUDA_ARCH__ >= 800
  FCDD_UNROLL
  for (int m = 0; m < MT; m++) {
    FCDD_UNROLL
    for (int n = 0; n < NT; n++) {
      float(&c)[4] = acc[m][n];
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
          "{%0,%1,%2,%3};\n"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[m][0]), "r"(a[m][1]), "r"(a[m][2]), "r"(a[m][3]), "r"(b[n][0]), "r"(b[n][1]));
    }
  }
#else
  __trap();
#endif
}

template <int MT, int NT>
FCDD_GPU void mma_bf16(float (&acc)[MT][NT][4], const uint32_t (&a)[MT][4], const uint32_t (&b)[NT][2]) {
#if __CUDA_ARCH__ >= 800
  FCDD_UNROLL
  for (int m = 0; m < MT; m++) {
    FCDD_UNROLL
    for (int n = 0; n < NT; n++) {
      float(&c)[4] = acc[m][n];
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
          "{%0,%1,%2,%3};\n"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[m][0]), "r"(a[m][1]), "r"(a[m][2]), "r"(a[m][3]), "r"(b[n][0]), "r"(b[n][1]));
    }
  }
#else
  __trap();
#endif
}

FCDD_GPU void atomic_min(int32_t* address, int32_t value) {
  atomicMin(address, value);
}

}  // namespace fcdd::cuda

#else

#include "cuda/emulation/instructions.h"

#endif
