// kernel.h for g++: the words of device code, given by the fibers of fibers.h.
//
// Vector types have CUDA's names, sizes and alignments. Shared arrays are allocations of their own (so that
// ASan sees an overrun by one), found by a static tag, and filled with 0xff (NaN, or -1) before each block.
#pragma once

#include <math.h>  // NOLINT: the overloads in the global namespace, as CUDA has them

#include <cstddef>
#include <cstdint>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};

// clang-format off
struct alignas(8)  int2    { int x, y; };
struct alignas(16) int4    { int x, y, z, w; };
struct alignas(8)  uint2   { unsigned x, y; };
struct alignas(16) uint4   { unsigned x, y, z, w; };
struct alignas(8)  float2  { float x, y; };
struct float3              { float x, y, z; };
struct alignas(16) float4  { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(4)  uchar4  { unsigned char x, y, z, w; };

inline int2    make_int2(int x, int y)                                  { return {x, y}; }
inline int4    make_int4(int x, int y, int z, int w)                    { return {x, y, z, w}; }
inline uint2   make_uint2(unsigned x, unsigned y)                       { return {x, y}; }
inline uint4   make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2  make_float2(float x, float y)                            { return {x, y}; }
inline float3  make_float3(float x, float y, float z)                   { return {x, y, z}; }
inline float4  make_float4(float x, float y, float z, float w)          { return {x, y, z, w}; }
inline double2 make_double2(double x, double y)                         { return {x, y}; }

constexpr int      min(int a, int b)           { return b < a ? b : a; }
constexpr int      max(int a, int b)           { return a < b ? b : a; }
constexpr unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
constexpr unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
constexpr int64_t  min(int64_t a, int64_t b)   { return b < a ? b : a; }
constexpr int64_t  max(int64_t a, int64_t b)   { return a < b ? b : a; }
constexpr uint64_t min(uint64_t a, uint64_t b) { return b < a ? b : a; }
constexpr uint64_t max(uint64_t a, uint64_t b) { return a < b ? b : a; }
inline float       min(float a, float b)       { return fminf(a, b); }
inline float       max(float a, float b)       { return fmaxf(a, b); }
inline double      min(double a, double b)     { return fmin(a, b); }
inline double      max(double a, double b)     { return fmax(a, b); }
// clang-format on

namespace fcdd::cuda::emulation {

// What the running block is.
struct BlockFacts {
  uint3 index = {};
  dim3 extent, grid;
};

struct Thread;

// The part of a thread that device code reads; the first member of Thread.
struct ThreadFacts {
  uint3 index = {};
  const BlockFacts* block = nullptr;
};

// The fiber that runs on this OS thread. Fibers never change their OS thread. (The model keeps access to one
// instruction in a shared library too.)
extern thread_local constinit ThreadFacts* running __attribute__((tls_model("initial-exec")));

void* shared_array(const char* tag, size_t bytes);  // the block's array of this tag
void* dynamic_shared();                             // the launch's dynamic shared memory

}  // namespace fcdd::cuda::emulation

#define threadIdx (::fcdd::cuda::emulation::running->index)
#define blockIdx (::fcdd::cuda::emulation::running->block->index)
#define blockDim (::fcdd::cuda::emulation::running->block->extent)
#define gridDim (::fcdd::cuda::emulation::running->block->grid)

#define FCDD_KERNEL
#define FCDD_GPU inline
#define FCDD_BOUNDS(threads, blocks)
// The tag is not const: equal constants may share an address.
#define FCDD_SHARED_ARRAY(type, name, extents)                  \
  typedef type name##_shared_type extents;                      \
  static char name##_shared_tag;                                \
  name##_shared_type& name = *static_cast<name##_shared_type*>( \
      ::fcdd::cuda::emulation::shared_array(&name##_shared_tag, sizeof(name##_shared_type)))
#define FCDD_DYNAMIC_SHARED(type, name) \
  type* name = static_cast<type*>(::fcdd::cuda::emulation::dynamic_shared())
#define FCDD_UNROLL
