// The multiplication of conv_gemm.h: how a stage lies in shared memory, and the sums of a thread.
//
// In shared memory a row of a stage is 16 floats, four chunks of 16 bytes. The summed dimension may be taken
// in any order as long as both operands agree, so lane t of a quad owns neighbours: places 2t, 2t+1 of every
// eight (tf32, loads of 8 bytes) or 4t .. 4t+3 of sixteen (bf16, loads of 16 bytes). Chunks are swizzled by
// row so that none of these loads has bank conflicts, nor those of the float32 path (eight rows, the same
// chunk).
#pragma once

#include "cuda/conv_tile.h"

namespace fcdd::cuda {

// Where chunk `chunk` of a row lies. Rows that differ by a multiple of 8 agree.
FCDD_GPU int swizzled(int row, int chunk) {
  return chunk ^ ((row & 2) | (row >> 2 & 1));
}

// A stage: activations [panel][row][16] as float32, then weights [panel][column][16] as the precision packs
// them.
template <class T, Precision P>
struct GemmStage {
  static constexpr int weight_row = P == Precision::bf16 ? 32 : 64;  // bytes
  static constexpr int weight_chunks = weight_row / 16;
  static constexpr int activations = T::rows * T::depth * 4;  // bytes
  static constexpr int bytes = activations + T::columns * T::panels * weight_row;
};

// The sums of a thread, and how a stage is multiplied into them.
template <class T, Precision P>
struct GemmProducts {
  using Stage = GemmStage<T, P>;
  static constexpr int MT = T::warp_rows / 16, NT = T::warp_columns / 8;
  float sums[MT][NT][4];

  FCDD_GPU void clear() {
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) {
        FCDD_UNROLL
        for (int e = 0; e < 4; e++) sums[m][n][e] = 0;
      }
    }
  }

  FCDD_GPU static int row0() { return static_cast<int>(threadIdx.x) / 32 / T::warps_across * T::warp_rows; }
  FCDD_GPU static int column0() {
    return static_cast<int>(threadIdx.x) / 32 % T::warps_across * T::warp_columns;
  }

  FCDD_GPU void multiply(const unsigned char* stage) {
    const int g = static_cast<int>(threadIdx.x) % 32 / 4, t = static_cast<int>(threadIdx.x) % 4;
    FCDD_UNROLL
    for (int panel = 0; panel < T::panels; panel++) {
      const unsigned char* rows = stage + (panel * T::rows + row0() + g) * 64;
      const unsigned char* columns =
          stage + Stage::activations + (panel * T::columns + column0() + g) * Stage::weight_row;
      if constexpr (P == Precision::tf32) {
        multiply_tf32(rows, columns, g, t);
      } else {
        multiply_bf16(rows + swizzled(g, t) * 16, columns + t * 8);
      }
    }
  }

  FCDD_GPU void multiply_tf32(const unsigned char* rows, const unsigned char* columns, int g, int t) {
    FCDD_UNROLL
    for (int half = 0; half < 2; half++) {
      const int offset = swizzled(g, 2 * half + t / 2) * 16 + t % 2 * 8;
      uint32_t a[MT][4], b[NT][2];
      FCDD_UNROLL
      for (int m = 0; m < MT; m++) {
        FCDD_UNROLL
        for (int h = 0; h < 2; h++) {
          const float2 pair = load2(rows + (16 * m + 8 * h) * 64 + offset);
          a[m][h] = to_tf32(pair.x);
          a[m][h + 2] = to_tf32(pair.y);
        }
      }
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) {
        const float2 pair = load2(columns + 8 * n * 64 + offset);  // packed as tf32
        b[n][0] = bits_of(pair.x);
        b[n][1] = bits_of(pair.y);
      }
      mma_tf32(sums, a, b);
    }
  }

  FCDD_GPU void multiply_bf16(const unsigned char* rows, const unsigned char* columns) {
    uint32_t a[MT][4], b[NT][2];
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int h = 0; h < 2; h++) {
        const float4 row = load4(rows + (16 * m + 8 * h) * 64);
        a[m][h] = pack_bf16(row.x, row.y);
        a[m][h + 2] = pack_bf16(row.z, row.w);
      }
    }
    FCDD_UNROLL
    for (int n = 0; n < NT; n++) {
      const float2 pair = load2(columns + 8 * n * Stage::weight_row);  // packed as pairs of bf16
      b[n][0] = bits_of(pair.x);
      b[n][1] = bits_of(pair.y);
    }
    mma_bf16(sums, a, b);
  }

  // Calls store(row, column, values) with neighbouring columns of the tile.
  template <class Store>
  FCDD_GPU void each(const Store& store) const {
    const int g = static_cast<int>(threadIdx.x) % 32 / 4, t = static_cast<int>(threadIdx.x) % 4;
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int h = 0; h < 2; h++) {
        FCDD_UNROLL
        for (int n = 0; n < NT; n++) {
          const float pair[2] = {sums[m][n][2 * h], sums[m][n][2 * h + 1]};
          store(row0() + 16 * m + 8 * h + g, column0() + 8 * n + 2 * t, pair);
        }
      }
    }
  }
};

// float32: rows and columns of a thread are spread over the tile, so that neighbouring threads read
// neighbouring rows.
template <class T>
struct GemmProducts<T, Precision::float32> {
  using Stage = GemmStage<T, Precision::float32>;
  static constexpr int MT = 8, down = T::rows / MT, across = T::threads / down, NT = T::columns / across;
  float sums[MT][NT];

  FCDD_GPU void clear() {
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) sums[m][n] = 0;
    }
  }

  FCDD_GPU static int row0() { return static_cast<int>(threadIdx.x) / across; }
  FCDD_GPU static int column0() { return static_cast<int>(threadIdx.x) % across; }

  FCDD_GPU void multiply(const unsigned char* stage) {
    for (int panel = 0; panel < T::panels; panel++) {
      const float* rows = reinterpret_cast<const float*>(stage) + (panel * T::rows + row0()) * 16;
      const float* columns =
          reinterpret_cast<const float*>(stage + Stage::activations) + (panel * T::columns + column0()) * 16;
      FCDD_UNROLL
      for (int chunk = 0; chunk < 4; chunk++) {
        // down and across are multiples of 8: one swizzle for all rows, one for all columns.
        multiply_chunk(rows + swizzled(row0(), chunk) * 4, columns + swizzled(column0(), chunk) * 4);
      }
    }
  }

  FCDD_GPU void multiply_chunk(const float* rows, const float* columns) {
    float4 b[NT];
    FCDD_UNROLL
    for (int n = 0; n < NT; n++) b[n] = load4(columns + n * across * 16);
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      const float4 a = load4(rows + m * down * 16);
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) {
        float sum = fmaf(a.x, b[n].x, sums[m][n]);
        sum = fmaf(a.y, b[n].y, sum);
        sum = fmaf(a.z, b[n].z, sum);
        sums[m][n] = fmaf(a.w, b[n].w, sum);
      }
    }
  }

  template <class Store>
  FCDD_GPU void each(const Store& store) const {
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) {
        const float one[1] = {sums[m][n]};
        store(row0() + m * down, column0() + n * across, one);
      }
    }
  }
};

}  // namespace fcdd::cuda
