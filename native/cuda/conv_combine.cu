// Adds the slices of a weight or bias gradient, in a fixed order, and puts the sums into OIHW.
#include "cuda/conv_paths.h"
#include "cuda/reduce.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {
namespace {

// 32 sums beside each other; 8 threads share the slices of each.
constexpr int combine_columns = 32, combine_rows = 8;

struct CombineRun {
  float* to;
  int32_t slices, count;            // count: filters * columns
  int32_t columns, channels, taps;  // columns: taps * channels
};

template <class Partial>
FCDD_KERNEL void FCDD_BOUNDS(combine_columns* combine_rows, 4)
    combine(CombineRun run, const Partial* partial) {
  FCDD_SHARED_ARRAY(double, shared, [combine_columns * combine_rows]);
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t at = int64_t{blockIdx.x} * combine_columns + thread % combine_columns;
  double sum[1] = {0};
  if (at < run.count) {
    for (int32_t slice = thread / combine_columns; slice < run.slices; slice += combine_rows) {
      sum[0] += partial[int64_t{slice} * run.count + at];
    }
  }
  sum_rows<1>(sum, shared, thread, combine_columns, combine_rows);
  if (thread >= combine_columns || at >= run.count) return;
  const auto index = static_cast<int32_t>(at);
  const int32_t filter = index / run.columns, column = index % run.columns;
  const int32_t tap = column / run.channels, channel = column % run.channels;
  run.to[(int64_t{filter} * run.channels + channel) * run.taps + tap] = static_cast<float>(sum[0]);
}

template <class Partial>
void launch_combine(CudaDevice& device, const Partial* partial, int32_t slices, int64_t filters,
                    int64_t channels, int64_t taps, float* to) {
  const int64_t count = filters * channels * taps;
  const CombineRun run{to,
                       slices,
                       static_cast<int32_t>(count),
                       static_cast<int32_t>(channels * taps),
                       static_cast<int32_t>(channels),
                       static_cast<int32_t>(taps)};
  launch(
      "weight gradient's sums", combine<Partial>,
      {dim3(static_cast<unsigned>(blocks_for(count, combine_columns))), dim3(combine_columns * combine_rows)},
      device.stream, run, partial);
}

}  // namespace

void combine_slices(CudaDevice& device, const float* partial, int32_t slices, int64_t filters,
                    int64_t channels, int64_t taps, float* to) {
  launch_combine(device, partial, slices, filters, channels, taps, to);
}

void combine_slices(CudaDevice& device, const double* partial, int32_t slices, int64_t filters,
                    int64_t channels, int64_t taps, float* to) {
  launch_combine(device, partial, slices, filters, channels, taps, to);
}

}  // namespace fcdd::cuda
