// Sums over the pixels of channels-last arrays: moments per image (for batch normalisation) and the bias
// gradient.
//
// Pixels are split into chunks that depend on shapes alone. A thread adds small groups of pixels in float32,
// taking moments about each group's own mean, so that large means cost no digits; groups, threads and chunks
// are then combined in double, in a fixed order.
#include <algorithm>
#include <bit>

#include "cuda/conv_paths.h"
#include "cuda/instructions.h"
#include "cuda/reduce.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {
namespace {

constexpr int sum_threads = 256;
constexpr int group = 16;  // pixels that a thread adds in float32
constexpr int32_t moment_chunk = 1024;
// Chunks of a bias gradient: enough for a large GPU, and no more than `combine_slices` adds quickly.
constexpr int64_t bias_chunks = 512, bias_chunk_least = 256;

// Chan's formula keeps `squares`, the sum of squared deviations from `mean`.
struct Moments {
  double count, mean, squares;

  FCDD_GPU void add(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, delta = other.mean - mean;
    mean += delta * other.count / total;
    squares += other.squares + delta * delta * count * other.count / total;
    count = total;
  }
};

// Which values a thread of a block reads: a channel, and every rows-th pixel of the chunk.
struct Strip {
  const float* values;  // of the channel, at the array's first pixel
  int64_t first, end;   // pixels of the thread's chunk, the thread's own first one included
  int32_t rows, pitch;  // pixels from one value of a thread to the next; floats from one pixel to the next
  bool active;          // the channel exists
};

// Reads up to `group` values from pixel p on; returns how many there were.
FCDD_GPU int read_group(const Strip& s, int64_t p, float (&values)[group]) {
  int count = 0;
  FCDD_UNROLL
  for (int i = 0; i < group; i++) {
    const int64_t pixel = p + int64_t{i} * s.rows;
    const bool valid = pixel < s.end;
    values[i] = valid ? s.values[pixel * s.pitch] : 0;
    count += valid ? 1 : 0;
  }
  return count;
}

FCDD_GPU Moments moments_of(const float (&values)[group], int count) {
  float sum = 0;
  FCDD_UNROLL
  for (int i = 0; i < group; i++) sum += values[i];
  const float mean = sum / static_cast<float>(count);
  float rest = 0, squares = 0;
  FCDD_UNROLL
  for (int i = 0; i < group; i++) {
    const float deviation = i < count ? values[i] - mean : 0;
    rest += deviation;
    squares = fmaf(deviation, deviation, squares);
  }
  // `mean` is rounded; what it lacks is in `rest`.
  const double n = count, correction = rest / n;
  return {n, mean + correction, max(squares - correction * rest, 0.0)};
}

struct SumRun {
  const float* values;  // images x pixels x channels
  int64_t pixels;       // of an image
  int32_t channels, chunk, chunks, lanes;
};

// Threads are lanes (channels) x rows (pixels); blockIdx.x counts images and chunks, blockIdx.y blocks of
// channels.
FCDD_GPU Strip strip_of(const SumRun& run) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x) % run.lanes;
  const int32_t row = static_cast<int32_t>(threadIdx.x) / run.lanes;
  const int32_t channel = static_cast<int32_t>(blockIdx.y) * run.lanes + lane;
  const int64_t image = blockIdx.x / static_cast<unsigned>(run.chunks);
  const int64_t begin = int64_t{blockIdx.x % static_cast<unsigned>(run.chunks)} * run.chunk;
  return {run.values + image * run.pixels * run.channels + channel,
          begin + row,
          min(begin + run.chunk, run.pixels),
          sum_threads / run.lanes,
          run.channels,
          channel < run.channels};
}

// partial[image * chunks + chunk][mean, squares][channel]
FCDD_KERNEL void FCDD_BOUNDS(sum_threads, 4) chunk_moments(SumRun run, double* partial) {
  FCDD_SHARED_ARRAY(Moments, shared, [sum_threads]);
  const auto thread = static_cast<int>(threadIdx.x);
  const Strip s = strip_of(run);
  Moments moments = {0, 0, 0};
  if (s.active) {
    for (int64_t p = s.first; p < s.end; p += int64_t{group} * s.rows) {
      float values[group];
      const int count = read_group(s, p, values);
      moments.add(moments_of(values, count));
    }
  }
  shared[thread] = moments;
  for (int half = s.rows / 2; half > 0; half /= 2) {
    sync_block();
    if (thread / run.lanes < half) {
      moments.add(shared[thread + half * run.lanes]);
      shared[thread] = moments;
    }
  }
  if (thread >= run.lanes || !s.active) return;
  const int64_t channel = static_cast<int64_t>(blockIdx.y) * run.lanes + thread;
  double* to = partial + int64_t{blockIdx.x} * 2 * run.channels + channel;
  to[0] = moments.mean;
  to[run.channels] = moments.squares;
}

// sums[image][sum, squares][channel]
FCDD_KERNEL void FCDD_BOUNDS(sum_threads, 4)
    combine_moments(SumRun run, const double* partial, double* sums) {
  const int64_t channel = int64_t{blockIdx.y} * sum_threads + threadIdx.x, image = blockIdx.x;
  if (channel >= run.channels) return;
  Moments moments = {0, 0, 0};
  for (int32_t i = 0; i < run.chunks; i++) {
    const double* from = partial + (image * run.chunks + i) * 2 * run.channels + channel;
    const auto count = static_cast<double>(min(int64_t{run.chunk}, run.pixels - int64_t{i} * run.chunk));
    moments.add({count, from[0], from[run.channels]});
  }
  double* to = sums + image * 2 * run.channels + channel;
  to[0] = moments.mean * moments.count;
  to[run.channels] = moments.squares;
}

// partial[chunk][channel]
FCDD_KERNEL void FCDD_BOUNDS(sum_threads, 4) chunk_sums(SumRun run, double* partial) {
  FCDD_SHARED_ARRAY(double, shared, [sum_threads]);
  const auto thread = static_cast<int>(threadIdx.x);
  const Strip s = strip_of(run);
  double total[1] = {0};
  if (s.active) {
    for (int64_t p = s.first; p < s.end; p += int64_t{group} * s.rows) {
      float values[group];
      read_group(s, p, values);
      float sum = 0;
      FCDD_UNROLL
      for (int i = 0; i < group; i++) sum += values[i];
      total[0] += sum;
    }
  }
  sum_rows<1>(total, shared, thread, run.lanes, s.rows);
  if (thread >= run.lanes || !s.active) return;
  partial[int64_t{blockIdx.x} * run.channels + static_cast<int64_t>(blockIdx.y) * run.lanes + thread] =
      total[0];
}

SumRun sum_run(const float* values, int64_t pixels, int64_t channels, int64_t chunk) {
  const auto lanes =
      static_cast<int32_t>(std::min<uint64_t>(32, std::bit_ceil(static_cast<uint64_t>(channels))));
  return {values,
          pixels,
          static_cast<int32_t>(channels),
          static_cast<int32_t>(chunk),
          static_cast<int32_t>(blocks_for(pixels, chunk)),
          lanes};
}

dim3 sum_grid(const SumRun& run, int64_t images) {
  const int64_t blocks = images * run.chunks, across = blocks_for(run.channels, run.lanes);
  require(blocks <= INT32_MAX && across <= 65535, "convolution: too many pixels or filters to sum");
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(across)};
}

int64_t bias_chunk(int64_t pixels) {
  return std::max(bias_chunk_least, blocks_for(pixels, bias_chunks));
}

}  // namespace

uint64_t image_sums_workspace(int64_t images, int64_t pixels, int64_t filters) {
  return static_cast<uint64_t>(images * blocks_for(pixels, moment_chunk) * 2 * filters) * sizeof(double);
}

void image_sums(CudaDevice& device, const float* y, int64_t images, int64_t pixels, int64_t filters,
                void* workspace, double* sums) {
  const SumRun run = sum_run(y, pixels, filters, moment_chunk);
  auto* partial = static_cast<double*>(workspace);
  launch("convolution's sums", chunk_moments, {sum_grid(run, images), dim3(sum_threads)}, device.stream, run,
         partial);
  const dim3 grid(static_cast<unsigned>(images), static_cast<unsigned>(blocks_for(filters, sum_threads)));
  launch("convolution's sums", combine_moments, {grid, dim3(sum_threads)}, device.stream, run, partial, sums);
}

uint64_t bias_grad_workspace(const ConvShape& s) {
  const int64_t chunks = blocks_for(s.out_pixels(), bias_chunk(s.out_pixels()));
  return static_cast<uint64_t>(chunks * s.k) * sizeof(double);
}

void bias_grad(CudaDevice& device, const ConvShape& s, const float* dy, float* dbias, double* workspace) {
  const SumRun run = sum_run(dy, s.out_pixels(), s.k, bias_chunk(s.out_pixels()));
  launch("bias gradient", chunk_sums, {sum_grid(run, 1), dim3(sum_threads)}, device.stream, run, workspace);
  combine_slices(device, workspace, run.chunks, 1, s.k, 1, dbias);
}

}  // namespace fcdd::cuda
