// Weight gradient as a matrix product: rows are filters (of dy), columns are taps and channels (of x), and
// the sum runs over output pixels, a slice of them per block. Every slice writes its own sums;
// conv_combine.cu adds them.
#pragma once

#include <algorithm>

#include "cuda/conv_paths.h"
#include "cuda/conv_weight_grad_products.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {

struct WeightGradRun {
  ConvView view;  // of the forward pass
  const float *x, *dy;
  float* partial;        // [slice][filter][place]
  int32_t slice_pixels;  // of all but the last slice
};

// Stages of one operand: `Width` values of each of T::depth pixels. A thread fills one place of several
// pixels.
template <class T, int Width, int Vector>
struct OperandStage {
  static constexpr int bytes = Width * T::depth * 4;
  static constexpr int per_pixel = Width / Vector;  // threads
  static constexpr int step = T::threads / per_pixel, count = T::depth / step;
  static_assert(T::threads % per_pixel == 0 && T::depth % step == 0);

  FCDD_GPU static int column() { return static_cast<int>(threadIdx.x) % per_pixel * Vector; }
  FCDD_GPU static int pixel(int i) { return static_cast<int>(threadIdx.x) / per_pixel + i * step; }
  FCDD_GPU static int offset(int i) {
    return (pixel(i) * Width + pixel_swizzle(pixel(i), column() / 4) * 4 + column() % 4) * 4;
  }
};

template <class T, int RowVector>
struct WeightGradLoader {
  using Rows = OperandStage<T, T::rows, RowVector>;
  using Columns = OperandStage<T, T::columns, T::vector>;
  Tap tap;
  int32_t filter;
  bool column_valid;

  FCDD_GPU void begin(const ConvView& v, int32_t filter0, int32_t column0) {
    filter = filter0 + Rows::column();
    column_valid = column0 + Columns::column() < v.depth;
    tap = tap_of(v, column0 + Columns::column());
  }

  // Pixels pixel0 .. of the output, up to `end`.
  FCDD_GPU void load(const WeightGradRun& run, int32_t pixel0, int32_t end, unsigned char* stage) const {
    const ConvView& v = run.view;
    FCDD_UNROLL
    for (int i = 0; i < Rows::count; i++) {
      const int32_t pixel = pixel0 + Rows::pixel(i);
      const bool valid = pixel < end && filter < v.filters;
      copy_async<RowVector>(stage + Rows::offset(i),
                            run.dy + (valid ? static_cast<int64_t>(pixel) * v.filters + filter : 0), valid);
    }
    FCDD_UNROLL
    for (int i = 0; i < Columns::count; i++) {
      const int32_t pixel = pixel0 + Columns::pixel(i);
      const int32_t from = column_valid && pixel < end ? pixel_under(v, window_of(v, pixel), tap) : -1;
      copy_async<T::vector>(stage + Rows::bytes + Columns::offset(i),
                            run.x + (from >= 0 ? static_cast<int64_t>(from) * v.channels + tap.channel : 0),
                            from >= 0);
    }
  }
};

struct WeightGradStore {
  const WeightGradRun& run;
  int32_t slice, filter0, column0;

  FCDD_GPU void operator()(int row, int column, const float (&values)[4]) const {
    const int32_t filter = filter0 + row, place = column0 + column, depth = run.view.depth;
    if (filter >= run.view.filters) return;
    float* to = run.partial + ((static_cast<int64_t>(slice) * run.view.filters + filter) * depth + place);
    if (depth % 4 == 0) {
      if (place < depth) *reinterpret_cast<float4*>(to) = float4{values[0], values[1], values[2], values[3]};
      return;
    }
    FCDD_UNROLL
    for (int i = 0; i < 4; i++) {
      if (place + i < depth) to[i] = values[i];
    }
  }
};

template <class T, int RowVector, Precision P>
FCDD_KERNEL void FCDD_BOUNDS(T::threads, T::blocks) conv_weight_grad_tile(WeightGradRun run) {
  FCDD_DYNAMIC_SHARED(unsigned char, ring);
  const auto slice = static_cast<int32_t>(blockIdx.z);
  const int32_t filter0 = static_cast<int32_t>(blockIdx.y) * T::rows;
  const int32_t column0 = static_cast<int32_t>(blockIdx.x) * T::columns;
  const int32_t begin = slice * run.slice_pixels, end = min(begin + run.slice_pixels, run.view.pixels);
  WeightGradLoader<T, RowVector> loader;
  loader.begin(run.view, filter0, column0);
  WeightGradProducts<T, P> products;
  products.clear();
  run_ring<T>(
      ring, (T::rows + T::columns) * T::depth * 4, (end - begin + T::depth - 1) / T::depth,
      [&](int step, unsigned char* stage) { loader.load(run, begin + step * T::depth, end, stage); },
      [&](const unsigned char* stage) { products.multiply(stage); });
  products.each(WeightGradStore{run, slice, filter0, column0});
}

template <class T, int RowVector, Precision P>
void launch_weight_grad(CudaDevice& device, const WeightGradRun& run, int32_t slices) {
  const dim3 grid(static_cast<unsigned>(blocks_for(run.view.depth, T::columns)),
                  static_cast<unsigned>(blocks_for(run.view.filters, T::rows)),
                  static_cast<unsigned>(slices));
  launch("weight gradient", conv_weight_grad_tile<T, RowVector, P>,
         {grid, dim3(T::threads), size_t{T::rows + T::columns} * T::depth * 4 * T::stages}, device.stream,
         run);
}

template <Precision P>
void run_weight_grad(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide) {
  const bool rows_by_four = run.view.filters % 4 == 0 && reinterpret_cast<uintptr_t>(run.dy) % 16 == 0;
  const bool columns_by_four = run.view.channels % 4 == 0 && reinterpret_cast<uintptr_t>(run.x) % 16 == 0;
  if (!rows_by_four) return launch_weight_grad<OddTile<P>, 1, P>(device, run, slices);
  if (!columns_by_four) return launch_weight_grad<OddTile<P>, 4, P>(device, run, slices);
  if (wide) return launch_weight_grad<WideTile<P>, 4, P>(device, run, slices);
  launch_weight_grad<SquareTile<P>, 4, P>(device, run, slices);
}

void weight_grad_float32(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide);
void weight_grad_tf32(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide);
void weight_grad_bf16(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide);

}  // namespace fcdd::cuda
