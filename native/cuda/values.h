// V channels of one pixel at a time, V = 4 (one 16-byte access) or 1, and how a block's threads lie over a
// channels-last array: threadIdx.x over groups of V channels, threadIdx.y over pixels. So neighbouring
// threads touch neighbouring memory, and a thread meets the same channels in all of its pixels.
#pragma once

#include <algorithm>
#include <bit>

#include "cuda/device.h"
#include "cuda/kernel.h"

namespace fcdd::cuda {

template <int V>
FCDD_GPU void load(const float* from, float (&to)[V]) {
  if constexpr (V == 4) {
    const float4 all = *reinterpret_cast<const float4*>(from);
    to[0] = all.x, to[1] = all.y, to[2] = all.z, to[3] = all.w;
  } else {
    to[0] = *from;
  }
}

template <int V>
FCDD_GPU void store(float* to, const float (&from)[V]) {
  if constexpr (V == 4) {
    *reinterpret_cast<float4*>(to) = float4{from[0], from[1], from[2], from[3]};
  } else {
    *to = from[0];
  }
}

template <int V>
FCDD_GPU void load_bytes(const uint8_t* from, int (&to)[V]) {
  if constexpr (V == 4) {
    const uchar4 all = *reinterpret_cast<const uchar4*>(from);
    to[0] = all.x, to[1] = all.y, to[2] = all.z, to[3] = all.w;
  } else {
    to[0] = *from;
  }
}

template <int V>
FCDD_GPU void store_bytes(uint8_t* to, const int (&from)[V]) {
  if constexpr (V == 4) {
    *reinterpret_cast<uchar4*>(to) = uchar4{static_cast<uint8_t>(from[0]), static_cast<uint8_t>(from[1]),
                                            static_cast<uint8_t>(from[2]), static_cast<uint8_t>(from[3])};
  } else {
    *to = static_cast<uint8_t>(from[0]);
  }
}

// Whether 16-byte accesses may be used: null pointers do not matter.
template <class... T>
bool aligned_for_vectors(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

constexpr int block_threads = 256;

// Threads over groups of channels and pixels. Rows are a power of two: reductions over them are trees.
struct ChannelTile {
  unsigned columns, rows;   // threads
  unsigned channel_blocks;  // blocks that share the channels
};

inline ChannelTile channel_tile(int64_t channels, int width) {
  const auto groups = static_cast<unsigned>(channels / width);
  const unsigned blocks = (groups + block_threads - 1) / block_threads;
  const unsigned columns = (groups + blocks - 1) / blocks;
  return {columns, std::bit_floor(block_threads / columns), blocks};
}

}  // namespace fcdd::cuda
