// A convolution of few channels (the first layer), in float32 whatever the precision: so few products per
// value that writing the result takes as long. A block keeps the weights of 64 filters in shared memory and
// goes through several tiles of 64 pixels, whose patches it gathers into one of two buffers: one barrier per
// tile.
#include "cuda/conv_paths.h"
#include "cuda/conv_tile.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {
namespace {

constexpr int direct_threads = 128;
constexpr int tile_pixels = 64, tile_filters = 64, tiles_per_block = 4;
// A thread computes 8 pixels x 4 filters.
constexpr int thread_pixels = 8, thread_filters = 4, across = tile_filters / thread_filters;

// patches[place][pixel] of the tile that starts at pixel0.
FCDD_GPU void gather(const ConvRun& run, int32_t pixel0, float* patches) {
  const ConvView& v = run.view;
  const int pixel = static_cast<int>(threadIdx.x) % tile_pixels;
  const Window window = pixel0 + pixel < v.pixels ? window_of(v, pixel0 + pixel) : no_window();
  for (int place = static_cast<int>(threadIdx.x) / tile_pixels; place < v.depth;
       place += direct_threads / tile_pixels) {
    const Tap tap = tap_of(v, place);
    const int32_t from = pixel_under(v, window, tap);
    patches[place * tile_pixels + pixel] =
        from >= 0 ? run.from[static_cast<int64_t>(from) * v.channels + tap.channel] : 0;
  }
}

FCDD_GPU void multiply(const float* patches, const float* weights, int depth,
                       float (&sums)[thread_pixels][thread_filters]) {
  const float* pixels = patches + static_cast<int>(threadIdx.x) / across * thread_pixels;
  const float* filters = weights + static_cast<int>(threadIdx.x) % across * thread_filters;
  for (int place = 0; place < depth; place++) {
    const float4 low = load4(pixels + place * tile_pixels), high = load4(pixels + place * tile_pixels + 4);
    const float4 w = load4(filters + place * tile_filters);
    const float x[thread_pixels] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    const float f[thread_filters] = {w.x, w.y, w.z, w.w};
    FCDD_UNROLL
    for (int i = 0; i < thread_pixels; i++) {
      FCDD_UNROLL
      for (int j = 0; j < thread_filters; j++) sums[i][j] = fmaf(x[i], f[j], sums[i][j]);
    }
  }
}

FCDD_GPU void store(const ConvRun& run, int32_t pixel0, int32_t filter0,
                    const float (&sums)[thread_pixels][thread_filters]) {
  const int32_t filters = run.view.filters;
  const int32_t filter = filter0 + static_cast<int>(threadIdx.x) % across * thread_filters;
  FCDD_UNROLL
  for (int i = 0; i < thread_pixels; i++) {
    const int32_t pixel = pixel0 + static_cast<int>(threadIdx.x) / across * thread_pixels + i;
    if (pixel >= run.view.pixels) return;
    float* to = run.to + (static_cast<int64_t>(pixel) * filters + filter);
    if (filters % 4 == 0) {
      if (filter < filters) {
        *reinterpret_cast<float4*>(to) =
            float4{run.epilogue(sums[i][0], filter), run.epilogue(sums[i][1], filter + 1),
                   run.epilogue(sums[i][2], filter + 2), run.epilogue(sums[i][3], filter + 3)};
      }
      continue;
    }
    FCDD_UNROLL
    for (int j = 0; j < thread_filters; j++) {
      if (filter + j < filters) to[j] = run.epilogue(sums[i][j], filter + j);
    }
  }
}

FCDD_KERNEL void FCDD_BOUNDS(direct_threads, 4) conv_direct(ConvRun run, FastDivide by_filter_blocks) {
  FCDD_DYNAMIC_SHARED(float, shared);
  const int depth = run.view.depth;
  float *weights = shared, *patches = shared + depth * tile_filters;
  const auto block = static_cast<int32_t>(blockIdx.x);
  const int32_t pixel_block = by_filter_blocks(block);
  const int32_t filter0 =
      (block - pixel_block * static_cast<int32_t>(by_filter_blocks.divisor)) * tile_filters;
  for (int i = static_cast<int>(threadIdx.x); i < depth * tile_filters; i += direct_threads) {
    const int filter = filter0 + i % tile_filters;
    weights[i] = filter < run.view.filters
                     ? static_cast<const float*>(run.packed)[i / tile_filters * run.view.filters + filter]
                     : 0;
  }
  for (int tile = 0; tile < tiles_per_block; tile++) {
    const int64_t pixel0 = (int64_t{pixel_block} * tiles_per_block + tile) * tile_pixels;
    if (pixel0 >= run.view.pixels) return;
    // The buffer was read two tiles ago: everybody has passed a barrier since.
    float* buffer = patches + tile % 2 * depth * tile_pixels;
    gather(run, static_cast<int32_t>(pixel0), buffer);
    sync_block();
    float sums[thread_pixels][thread_filters] = {};
    multiply(buffer, weights, depth, sums);
    store(run, static_cast<int32_t>(pixel0), filter0, sums);
  }
}

}  // namespace

void run_direct(CudaDevice& device, const ConvRun& run) {
  const int64_t filter_blocks = blocks_for(run.view.filters, tile_filters);
  const int64_t blocks = blocks_for(run.view.pixels, tile_pixels * tiles_per_block) * filter_blocks;
  require(blocks <= INT32_MAX, "convolution: too many blocks for one launch");
  const size_t shared =
      static_cast<size_t>(run.view.depth) * (tile_filters + 2 * tile_pixels) * sizeof(float);
  launch("convolution of few channels", conv_direct,
         {dim3(static_cast<unsigned>(blocks)), dim3(direct_threads), shared}, device.stream, run,
         fast_divide(filter_blocks));
}

}  // namespace fcdd::cuda
