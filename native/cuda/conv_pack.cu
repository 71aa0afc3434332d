// OIHW weights -> the layouts of conv_paths.h, rounded to the device's precision: one pass, both sides
// coalesced.
//
// For the input gradient, channels and filters change roles and taps are reversed.
#include <algorithm>
#include <bit>

#include "cuda/conv_paths.h"
#include "cuda/instructions.h"
#include "cuda/runtime.h"

namespace fcdd::cuda {
namespace {

constexpr int pack_threads = 128;
// Of a block, through shared memory: 16 channels (a row of a panel), 8 filters, 32 taps.
constexpr int pack_channels = 16, pack_filters = 8, pack_taps = 32;

struct PackRun {
  const float* w;
  void* packed;
  int32_t channels, filters, taps;  // of the view
  int32_t padded;                   // places, with the zeros at the end
  bool panels, backward;
};

template <Precision P>
FCDD_GPU void put(const PackRun& run, int32_t place, int32_t filter, float value) {
  const int64_t at = run.panels ? (static_cast<int64_t>(place / 16) * run.filters + filter) * 16 + place % 16
                                : static_cast<int64_t>(place) * run.filters + filter;
  if constexpr (P == Precision::bf16) {
    static_cast<uint16_t*>(run.packed)[at] = static_cast<uint16_t>(pack_bf16(value, 0) & 0xffff);
  } else if constexpr (P == Precision::tf32) {
    static_cast<uint32_t*>(run.packed)[at] = to_tf32(value);
  } else {
    static_cast<float*>(run.packed)[at] = value;
  }
}

template <Precision P>
FCDD_KERNEL void FCDD_BOUNDS(pack_threads, 8) pack(PackRun run) {
  FCDD_SHARED_ARRAY(float, tile, [pack_channels * (pack_filters * pack_taps + 1)]);
  const auto thread = static_cast<int>(threadIdx.x);
  const int channel_blocks = (run.channels + pack_channels - 1) / pack_channels;
  const int channel0 = static_cast<int>(blockIdx.x) % channel_blocks * pack_channels;
  const int filter0 = static_cast<int>(blockIdx.x) / channel_blocks * pack_filters;
  const int tap0 = static_cast<int>(blockIdx.y) * pack_taps;
  const int channels = min(pack_channels, run.channels - channel0);
  const int filters = min(pack_filters, run.filters - filter0), taps = min(pack_taps, run.taps - tap0);

  // w is [outer][inner][tap]; inner and tap are contiguous.
  const int outer = run.backward ? channels : filters, inner = run.backward ? filters : channels;
  const int outer0 = run.backward ? channel0 : filter0, inner0 = run.backward ? filter0 : channel0;
  const int64_t inner_extent = run.backward ? run.filters : run.channels;
  const int pitch = inner * taps + 1;
  for (int i = thread; i < outer * inner * taps; i += pack_threads) {
    const int o = i / (inner * taps), rest = i % (inner * taps), n = rest / taps, tap = rest % taps;
    tile[o * pitch + rest] = run.w[((outer0 + o) * inner_extent + inner0 + n) * run.taps + tap0 + tap];
  }
  sync_block();
  for (int i = thread; i < channels * filters * taps; i += pack_threads) {
    const int c = i % channels, f = i / channels % filters, tap = i / channels / filters;
    const int packed_tap = run.backward ? run.taps - 1 - (tap0 + tap) : tap0 + tap;
    const float value = run.backward ? tile[c * pitch + f * taps + tap] : tile[f * pitch + c * taps + tap];
    put<P>(run, packed_tap * run.channels + channel0 + c, filter0 + f, value);
  }
  if (channel0 != 0 || tap0 != 0) return;
  const int depth = run.channels * run.taps, zeros = run.padded - depth;
  for (int i = thread; i < zeros * filters; i += pack_threads) {
    put<P>(run, depth + i % zeros, filter0 + i / zeros, 0);
  }
}

int64_t padded_places(const ConvView& v) {
  return path_of(v) == ConvPath::gemm ? blocks_for(v.depth, packed_places) * packed_places : v.depth;
}

template <Precision P>
void launch_pack(CudaDevice& device, const PackRun& run) {
  const int64_t blocks = blocks_for(run.channels, pack_channels) * blocks_for(run.filters, pack_filters);
  const int64_t tap_blocks = blocks_for(run.taps, pack_taps);
  require(blocks <= INT32_MAX && tap_blocks <= 65535, "conv_pack: too many weights");
  launch("conv_pack", pack<P>,
         {dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(tap_blocks)), dim3(pack_threads)},
         device.stream, run);
}

}  // namespace

uint64_t packed_bytes(const ConvView& v, Precision precision) {
  const bool half = path_of(v) == ConvPath::gemm && precision == Precision::bf16;
  return static_cast<uint64_t>(padded_places(v) * v.filters) * (half ? 2 : 4);
}

void pack_weights(CudaDevice& device, const ConvShape& s, int32_t pass, const float* w, void* packed) {
  const ConvView v = view_of(s, pass);
  const bool panels = path_of(v) == ConvPath::gemm;
  const PackRun run{w,
                    packed,
                    v.channels,
                    v.filters,
                    v.kernel * v.kernel,
                    static_cast<int32_t>(padded_places(v)),
                    panels,
                    pass == FCDD_INPUT_GRAD};
  if (!panels || device.precision == Precision::float32) return launch_pack<Precision::float32>(device, run);
  if (device.precision == Precision::tf32) return launch_pack<Precision::tf32>(device, run);
  launch_pack<Precision::bf16>(device, run);
}

}  // namespace fcdd::cuda
