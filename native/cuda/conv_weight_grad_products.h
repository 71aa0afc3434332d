// The multiplication of conv_weight_grad.h: how a stage lies in shared memory, and the sums of a thread.
//
// In shared memory both operands lie as they come, [pixel][row] and [pixel][column]: the summed dimension is
// the slow one. Which row of a tile is which row of a fragment is free too, so lane g of eight owns four
// neighbouring rows (and columns): one 16-byte load gives the same pixel of four fragments. Chunk q of pixel
// p lies at q ^ 2 (p % 4), which keeps the quads (four pixels, two chunks) free of bank conflicts.
#pragma once

#include "cuda/conv_tile.h"

namespace fcdd::cuda {

FCDD_GPU int pixel_swizzle(int pixel, int chunk) {
  return chunk ^ (pixel & 3) << 1;
}

template <class T, Precision P>
struct WeightGradProducts {
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

  // The lane's values of one pixel: 4 neighbours out of every 32.
  template <int Width, int Count>
  FCDD_GPU static void read(const unsigned char* operand, int pixel, int first, float (&values)[Count]) {
    const int g = static_cast<int>(threadIdx.x) % 32 / 4;
    FCDD_UNROLL
    for (int i = 0; i < Count / 4; i++) {
      const float4 v = load4(operand + (pixel * Width + pixel_swizzle(pixel, first / 4 + 8 * i + g) * 4) * 4);
      values[4 * i] = v.x, values[4 * i + 1] = v.y, values[4 * i + 2] = v.z, values[4 * i + 3] = v.w;
    }
  }

  FCDD_GPU void multiply(const unsigned char* stage) {
    const unsigned char* columns = stage + T::rows * T::depth * 4;
    const int t = static_cast<int>(threadIdx.x) % 4;
    if constexpr (P == Precision::tf32) {
      FCDD_UNROLL
      for (int k = 0; k < T::depth; k += 8) multiply_tf32(stage, columns, k + t);
    } else {
      FCDD_UNROLL
      for (int k = 0; k < T::depth; k += 16) multiply_bf16(stage, columns, k + t);
    }
  }

  // The lane's pixels are `pixel` and `pixel` + 4.
  FCDD_GPU void multiply_tf32(const unsigned char* rows, const unsigned char* columns, int pixel) {
    uint32_t a[MT][4], b[NT][2];
    FCDD_UNROLL
    for (int q = 0; q < 2; q++) {
      float from_rows[2 * MT], from_columns[NT];
      read<T::rows>(rows, pixel + 4 * q, row0(), from_rows);
      read<T::columns>(columns, pixel + 4 * q, column0(), from_columns);
      FCDD_UNROLL
      for (int j = 0; j < 2 * MT; j++) a[j / 2][j % 2 + 2 * q] = to_tf32(from_rows[j]);
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) b[n][q] = to_tf32(from_columns[n]);
    }
    mma_tf32(sums, a, b);
  }

  // The lane's pixels are `pixel` and 4, 8 and 12 later.
  FCDD_GPU void multiply_bf16(const unsigned char* rows, const unsigned char* columns, int pixel) {
    uint32_t a[MT][4], b[NT][2];
    FCDD_UNROLL
    for (int q = 0; q < 2; q++) {
      float low_rows[2 * MT], high_rows[2 * MT], low_columns[NT], high_columns[NT];
      read<T::rows>(rows, pixel + 8 * q, row0(), low_rows);
      read<T::rows>(rows, pixel + 8 * q + 4, row0(), high_rows);
      read<T::columns>(columns, pixel + 8 * q, column0(), low_columns);
      read<T::columns>(columns, pixel + 8 * q + 4, column0(), high_columns);
      FCDD_UNROLL
      for (int j = 0; j < 2 * MT; j++) a[j / 2][j % 2 + 2 * q] = pack_bf16(low_rows[j], high_rows[j]);
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) b[n][q] = pack_bf16(low_columns[n], high_columns[n]);
    }
    mma_bf16(sums, a, b);
  }

  // Calls store(row, column, values) with four neighbouring columns of the tile.
  template <class Store>
  FCDD_GPU void each(const Store& store) const {
    const int g = static_cast<int>(threadIdx.x) % 32 / 4, t = static_cast<int>(threadIdx.x) % 4;
    FCDD_UNROLL
    for (int j = 0; j < 2 * MT; j++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n += 4) {
        FCDD_UNROLL
        for (int e = 0; e < 2; e++) {
          const int at = 2 * (j % 2) + e;
          const float four[4] = {sums[j / 2][n][at], sums[j / 2][n + 1][at], sums[j / 2][n + 2][at],
                                 sums[j / 2][n + 3][at]};
          store(row0() + j / 4 * 32 + 4 * g + j % 4, column0() + 8 * n + 4 * (2 * t + e), four);
        }
      }
    }
  }
};

// float32: a thread owns four neighbours out of every 4 * down rows and every 4 * across columns.
template <class T>
struct WeightGradProducts<T, Precision::float32> {
  static constexpr int MT = 8, down = T::rows / MT, across = T::threads / down, NT = T::columns / across;
  float sums[MT][NT];

  FCDD_GPU void clear() {
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n++) sums[m][n] = 0;
    }
  }

  FCDD_GPU static int row() { return static_cast<int>(threadIdx.x) / across; }
  FCDD_GPU static int column() { return static_cast<int>(threadIdx.x) % across; }

  template <int Width, int Count>
  FCDD_GPU static void read(const unsigned char* operand, int pixel, int first, int step,
                            float (&values)[Count]) {
    FCDD_UNROLL
    for (int i = 0; i < Count / 4; i++) {
      const float4 v = load4(operand + (pixel * Width + pixel_swizzle(pixel, first + i * step) * 4) * 4);
      values[4 * i] = v.x, values[4 * i + 1] = v.y, values[4 * i + 2] = v.z, values[4 * i + 3] = v.w;
    }
  }

  FCDD_GPU void multiply(const unsigned char* stage) {
    FCDD_UNROLL
    for (int pixel = 0; pixel < T::depth; pixel++) {
      float a[MT], b[NT];
      read<T::rows>(stage, pixel, row(), down, a);
      read<T::columns>(stage + T::rows * T::depth * 4, pixel, column(), across, b);
      FCDD_UNROLL
      for (int m = 0; m < MT; m++) {
        FCDD_UNROLL
        for (int n = 0; n < NT; n++) sums[m][n] = fmaf(a[m], b[n], sums[m][n]);
      }
    }
  }

  template <class Store>
  FCDD_GPU void each(const Store& store) const {
    FCDD_UNROLL
    for (int m = 0; m < MT; m++) {
      FCDD_UNROLL
      for (int n = 0; n < NT; n += 4) {
        const float four[4] = {sums[m][n], sums[m][n + 1], sums[m][n + 2], sums[m][n + 3]};
        store(4 * (row() + m / 4 * down) + m % 4, 4 * (column() + n / 4 * across), four);
      }
    }
  }
};

}  // namespace fcdd::cuda
