// Winograd convolution for stride 1 and kernel 3 or 5: all three passes, by independent matrix products over
// tiles of 4x4 outputs, one per point: 36 (kernel 3) or 64 (kernel 5), which is 4 or 6.25 times fewer
// multiplications than the direct algorithm.
//
// Whether it is used depends on the layer's shape alone, never on batch or threads. A tile's outputs do not
// depend on which tiles are computed beside it. Relative error 8e-7 (kernel 3) and 3e-6 (kernel 5) whatever
// the number of channels, where the direct algorithm has 4e-7 (64 channels) to 1.2e-6 (512).
#pragma once

#include "cpu/conv_direct.h"
#include "cpu/conv_shape.h"
#include "cpu/device.h"

namespace fcdd::cpu {

constexpr int winograd_outputs = 4;  // of a tile, per axis

// n images of h x w x c convolved (stride 1) to oh x ow x k.
struct WinogradPlan {
  int64_t n, h, w, c, oh, ow, k;
  int kernel, padding;
  int64_t across, down;  // tiles of an image
  bool bf16;             // operands of the products: then two channels take the place of a float
  int64_t depth;         // places of all channels
  int64_t c_pitch;       // places from one tile to the next in the transformed input
  int64_t tiles() const { return n * across * down; }
  int extent() const { return kernel + winograd_outputs - 1; }  // of a tile's input, per axis
  int64_t planes() const { return int64_t{extent()} * extent(); }
};

bool winograd_pays(const ConvShape& s);

// Whether the forward pass and the input gradient round the operands of their products to bf16 on this
// device: kernel 3 alone, with a relative error of 1.1e-2; kernel 5 would have 4.7e-2.
inline bool winograd_rounds(const CpuDevice& device, const ConvShape& s) {
  return device.bf16 != nullptr && s.kernel == 3;
}

WinogradPlan plan_winograd_forward(const ConvShape& s, bool bf16);
WinogradPlan plan_winograd_input_grad(const ConvShape& s, bool bf16);

uint64_t winograd_packed_floats(const IsaTable& isa, const WinogradPlan& plan);
uint64_t winograd_workspace_floats(const CpuDevice& device, const WinogradPlan& plan);

// OIHW weights -> [p][panel][channel or pair of channels][filter], flipped and transposed for the input
// gradient; in bf16 where the device computes in it.
void winograd_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w,
                   float* packed);
void winograd_run(const CpuDevice& device, const WinogradPlan& plan, const float* x, const float* packed,
                  float* y, const Epilogue& epilogue, float* workspace);

uint64_t winograd_weight_grad_floats(const CpuDevice& device, const ConvShape& s);
void winograd_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy,
                          float* dw, float* workspace);

// Pointers to the `extent` x `extent` pixels of a tile of an image of h x w x c whose first one is (y, x),
// which may lie outside; pixels outside are `outside`.
template <class T>
void tile_pixels_at(T* image, int64_t h, int64_t w, int64_t c, int64_t y, int64_t x, int extent, T* outside,
                    T** pixels) {
  for (int64_t i = y; i < y + extent; i++) {
    for (int64_t j = x; j < x + extent; j++) {
      *pixels++ = i >= 0 && i < h && j >= 0 && j < w ? image + (i * w + j) * c : outside;
    }
  }
}

}  // namespace fcdd::cpu
