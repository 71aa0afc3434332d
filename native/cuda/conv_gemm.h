// Implicit matrix product of a ConvView: rows are pixels, columns filters, and the depth runs over taps and
// channels. No patch matrix is ever stored: stages of the ring are gathered straight from the activations.
#pragma once

#include "cuda/conv_gemm_products.h"
#include "cuda/conv_paths.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {

// A thread's part of filling stages. Activations: one place of the depth, `row_count` rows, whose windows
// stay the same. Weights: `line_count` chunks. Rows and lines of a thread differ by multiples of 8: one
// swizzle serves all.
template <class T, Precision P>
struct GemmLoader {
  using Stage = GemmStage<T, P>;
  static constexpr int places = T::depth / T::vector;
  static constexpr int row_step = T::threads / places, row_count = T::rows / row_step;
  static constexpr int line_step = T::threads / Stage::weight_chunks;
  static constexpr int line_count = T::panels * T::columns / line_step;
  static_assert(row_step % 8 == 0 && line_step % 8 == 0);
  static_assert(T::columns % line_step == 0 || line_step % T::columns == 0);

  Window windows[row_count];
  const unsigned char* weights;  // of the thread's first line
  int place, row_bytes, line_bytes, filter;

  FCDD_GPU void begin(const ConvRun& run, int32_t pixel0, int32_t filter0) {
    const ConvView& v = run.view;
    const auto thread = static_cast<int>(threadIdx.x);
    place = thread % places * T::vector;
    const int row = thread / places;
    row_bytes = ((place / 16 * T::rows + row) * 16 + swizzled(row, place / 4 % 4) * 4 + place % 4) * 4;
    FCDD_UNROLL
    for (int i = 0; i < row_count; i++) {
      const int32_t m = pixel0 + row + i * row_step;
      windows[i] = m < v.pixels ? window_of(v, m) : no_window();
    }
    const int chunk = thread % Stage::weight_chunks, line = thread / Stage::weight_chunks;
    line_bytes = line * Stage::weight_row + 16 * (P == Precision::bf16 ? chunk : swizzled(line, chunk));
    filter = filter0 + line % T::columns;
    weights = static_cast<const unsigned char*>(run.packed) +
              (static_cast<int64_t>(line / T::columns) * v.filters + filter) * Stage::weight_row + chunk * 16;
  }

  FCDD_GPU void load(const ConvRun& run, int32_t step, unsigned char* stage) const {
    const ConvView& v = run.view;
    const int32_t at = step * T::depth + place;
    const Tap tap = tap_of(v, at);
    FCDD_UNROLL
    for (int i = 0; i < row_count; i++) {
      const int32_t pixel = at < v.depth ? pixel_under(v, windows[i], tap) : -1;
      const float* source = run.from + (static_cast<int64_t>(max(pixel, 0)) * v.channels + tap.channel);
      copy_async<T::vector>(stage + row_bytes + i * row_step * 64, source, pixel >= 0);
    }
    FCDD_UNROLL
    for (int i = 0; i < line_count; i++) {
      const int column = i * line_step % T::columns, panel = i * line_step / T::columns;
      const int64_t line = static_cast<int64_t>(step * T::panels + panel) * v.filters + column;
      const bool valid = filter + column < v.filters;
      copy_async_16(stage + Stage::activations + line_bytes + i * line_step * Stage::weight_row,
                    weights + (valid ? line * Stage::weight_row : 0), valid);
    }
  }
};

// Writes values of a tile, after the epilogue, where they lie within `to`.
struct GemmStore {
  const ConvRun& run;
  int32_t pixel0, filter0;

  template <int Count>
  FCDD_GPU void operator()(int row, int column, const float (&values)[Count]) const {
    const int32_t pixel = pixel0 + row, filter = filter0 + column, filters = run.view.filters;
    if (pixel >= run.view.pixels) return;
    float* to = run.to + (static_cast<int64_t>(pixel) * filters + filter);
    if (Count == 2 && filters % 2 == 0) {
      if (filter < filters) {
        *reinterpret_cast<float2*>(to) =
            float2{run.epilogue(values[0], filter), run.epilogue(values[Count - 1], filter + 1)};
      }
      return;
    }
    FCDD_UNROLL
    for (int i = 0; i < Count; i++) {
      if (filter + i < filters) to[i] = run.epilogue(values[i], filter + i);
    }
  }
};

template <class T, Precision P>
FCDD_KERNEL void FCDD_BOUNDS(T::threads, T::blocks) conv_gemm(ConvRun run, FastDivide by_filter_blocks) {
  FCDD_DYNAMIC_SHARED(unsigned char, ring);
  constexpr int stage_bytes = GemmStage<T, P>::bytes;
  // Blocks that share pixels run beside each other and find them in the L2 cache.
  const auto block = static_cast<int32_t>(blockIdx.x);
  const int32_t pixel_block = by_filter_blocks(block);
  const int32_t filter_block = block - pixel_block * static_cast<int32_t>(by_filter_blocks.divisor);
  const int32_t pixel0 = pixel_block * T::rows, filter0 = filter_block * T::columns;
  const int32_t steps = (run.view.depth + T::depth - 1) / T::depth;

  GemmLoader<T, P> loader;
  loader.begin(run, pixel0, filter0);
  GemmProducts<T, P> products;
  products.clear();
  run_ring<T>(
      ring, stage_bytes, steps, [&](int step, unsigned char* stage) { loader.load(run, step, stage); },
      [&](const unsigned char* stage) { products.multiply(stage); });
  products.each(GemmStore{run, pixel0, filter0});
}

template <class T, Precision P>
void launch_gemm(CudaDevice& device, const ConvRun& run) {
  const int64_t filter_blocks = blocks_for(run.view.filters, T::columns);
  const int64_t blocks = blocks_for(run.view.pixels, T::rows) * filter_blocks;
  require(blocks <= INT32_MAX, "convolution: too many blocks for one launch");
  launch("convolution", conv_gemm<T, P>,
         {dim3(static_cast<unsigned>(blocks)), dim3(T::threads), size_t{GemmStage<T, P>::bytes} * T::stages},
         device.stream, run, fast_divide(filter_blocks));
}

// Large tiles reuse operands more, but only when there are enough of them to keep a large GPU busy.
constexpr int64_t enough_blocks = 128;

template <Precision P>
void run_gemm(CudaDevice& device, const ConvRun& run) {
  const ConvView& v = run.view;
  const bool by_four = v.channels % 4 == 0 && reinterpret_cast<uintptr_t>(run.from) % 16 == 0;
  if (!by_four) return launch_gemm<OddTile<P>, P>(device, run);
  if (v.filters <= 32) return launch_gemm<NarrowTile<P>, P>(device, run);
  const int64_t wide = blocks_for(v.pixels, WideTile<P>::rows) * blocks_for(v.filters, WideTile<P>::columns);
  if (v.filters > 64 && wide >= enough_blocks) return launch_gemm<WideTile<P>, P>(device, run);
  return launch_gemm<SquareTile<P>, P>(device, run);
}

}  // namespace fcdd::cuda
