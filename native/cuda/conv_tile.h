// Tiles of the matrix products that convolutions become: their sizes, and how operands lie in shared memory.
//
// Activations lie in shared memory as float32, whatever the precision; they are rounded when fragments are
// made. A ring of stages is filled by asynchronous copies while earlier stages are multiplied: one barrier
// per stage.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/device.h"
#include "cuda/instructions.h"
#include "cuda/kernel.h"

namespace fcdd::cuda {

// A block computes Rows x Columns values with WarpsDown x WarpsAcross warps; a stage holds 16 * Panels of the
// summed dimension. `Vector` is how many floats one copy of activations moves: 4 where channels allow,
// else 1.
template <int Rows, int Columns, int WarpsDown, int WarpsAcross, int Panels, int Stages, int Vector>
struct TileShape {
  static constexpr int rows = Rows, columns = Columns, panels = Panels, stages = Stages, vector = Vector;
  static constexpr int warps_down = WarpsDown, warps_across = WarpsAcross;
  static constexpr int threads = 32 * WarpsDown * WarpsAcross;
  static constexpr int warp_rows = Rows / WarpsDown, warp_columns = Columns / WarpsAcross;
  static constexpr int depth = 16 * Panels;
  // So many blocks should fit on a multiprocessor: 512 threads leave 128 registers for each.
  static constexpr int blocks = 512 / threads;
};

// float32 takes less shared memory (48 KiB at most: sm_75 has 64), and short stages, which need fewer
// registers for addresses. The others need long stages in flight to hide the way to memory: 96 KiB at most,
// which fit every architecture from sm_80 on.
constexpr int panels_of(Precision precision) {
  return precision == Precision::float32 ? 1 : 2;
}

template <Precision P>
using WideTile = TileShape<128, 128, 2, 4, panels_of(P), 3, 4>;
template <Precision P>
using SquareTile = TileShape<64, 64, 2, 2, panels_of(P), 3, 4>;
template <Precision P>
using NarrowTile = TileShape<128, 32, 4, 1, panels_of(P), 3, 4>;
// For channels that are no multiple of 4.
template <Precision P>
using OddTile = TileShape<64, 64, 2, 2, 1, 3, 1>;

template <int Vector>
FCDD_GPU void copy_async(void* shared, const float* global, bool valid) {
  if constexpr (Vector == 4) {
    copy_async_16(shared, global, valid);
  } else {
    copy_async_4(shared, global, valid);
  }
}

// Runs load(step, stage) ahead of multiply(stage) through a ring of T::stages stages, one barrier per step.
template <class T, class Load, class Multiply>
FCDD_GPU void run_ring(unsigned char* ring, int stage_bytes, int steps, const Load& load,
                       const Multiply& multiply) {
  for (int step = 0; step < T::stages - 1; step++) {
    if (step < steps) load(step, ring + step * stage_bytes);
    copy_async_commit();
  }
  for (int step = 0; step < steps; step++) {
    copy_async_wait<T::stages - 2>();
    sync_block();  // everybody's copies of this stage have landed, and the previous stage is free
    const int next = step + T::stages - 1;
    if (next < steps) load(next, ring + next % T::stages * stage_bytes);
    copy_async_commit();
    multiply(ring + step % T::stages * stage_bytes);
  }
}

FCDD_GPU uint32_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value);
}

FCDD_GPU float2 load2(const void* shared) {
  return *static_cast<const float2*>(shared);
}

FCDD_GPU float4 load4(const void* shared) {
  return *static_cast<const float4*>(shared);
}

}  // namespace fcdd::cuda
