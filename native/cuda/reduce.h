// Sums over a block in a fixed tree: bits depend on the block's shape alone.
#pragma once

#include "cuda/instructions.h"
#include "cuda/kernel.h"

namespace fcdd::cuda {

// K sums over the rows of a block, column by column. Thread `index` stands in row index / columns; rows are a
// power of two. The sums are in `value` of the threads of row 0; the other rows keep partial ones. All
// threads of the block call it. `shared` has room for K doubles per thread and may be written again after a
// barrier.
template <int K>
FCDD_GPU void sum_rows(double (&value)[K], double* shared, int index, int columns, int rows) {
  const int threads = columns * rows, row = index / columns;
  FCDD_UNROLL
  for (int k = 0; k < K; k++) shared[k * threads + index] = value[k];
  for (int half = rows / 2; half > 0; half /= 2) {
    sync_block();
    if (row < half) {
      FCDD_UNROLL
      for (int k = 0; k < K; k++) {
        value[k] += shared[k * threads + index + half * columns];
        shared[k * threads + index] = value[k];
      }
    }
  }
}

}  // namespace fcdd::cuda
