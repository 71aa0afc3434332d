// Slices of a sample, and sums over them in fixed trees.
#pragma once

#include "cuda/augment.h"
#include "cuda/instructions.h"

namespace fcdd::cuda {

// What a block of a launch of batch x slices blocks works on.
struct BlockPlace {
  int sample, slice;
};

FCDD_GPU BlockPlace block_place(int slices) {
  const int block = static_cast<int>(blockIdx.x);
  return {block / slices, block % slices};
}

// Slice number `slice` of `count` things: first <= i < past.
struct Range {
  int64_t first, past;
};

FCDD_GPU Range slice_range(int64_t count, int slice, int slices) {
  const int64_t size = (count + slices - 1) / slices;
  return {min(slice * size, count), min((slice + 1) * size, count)};
}

template <class T>
FCDD_GPU T warp_sum(T value) {
  FCDD_UNROLL
  for (unsigned mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

// The sums of N values over the block, for thread 0 alone.
template <class T, int N>
FCDD_GPU void block_sums(T (&values)[N], T (&warps)[augment_warps][N]) {
  FCDD_UNROLL
  for (int i = 0; i < N; i++) {
    const T sum = warp_sum(values[i]);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32][i] = sum;
  }
  sync_block();
  if (threadIdx.x != 0) return;
  FCDD_UNROLL
  for (int i = 0; i < N; i++) {
    values[i] = warps[0][i];
    for (int w = 1; w < augment_warps; w++) values[i] += warps[w][i];
  }
}

// The sum over a sample's slices, for all lanes of the warp that asks.
template <class T>
FCDD_GPU T slices_sum(const T (&sums)[augment_slices], int slices) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  return warp_sum(lane < slices ? sums[lane] : T{0});
}

}  // namespace fcdd::cuda
