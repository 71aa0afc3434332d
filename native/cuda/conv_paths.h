// The ways a convolution can be computed here, and who takes which. Chosen by the layer's shape alone (the
// size of a tile also by the number of pixels, which changes no bits: every value's products are added in the
// same order).
//
//   direct   1 to 3 channels (the first layer): weights stay in shared memory; always float32 arithmetic
//   dot      1 filter (the head): a warp per pixel; always float32 arithmetic
//   gemm     everything else: implicit matrix product, operands in the device's precision
#pragma once

#include "cuda/conv_shape.h"
#include "cuda/device.h"

namespace fcdd::cuda {

enum class ConvPath { direct, dot, gemm };

ConvPath path_of(const ConvView& v);

// What follows the sum of products.
struct Epilogue {
  const float* bias = nullptr;  // or null
  bool leaky = false;
  float slope = 0;

  FCDD_GPU float operator()(float value, int32_t filter) const {
    if (bias != nullptr) value += bias[filter];
    if (leaky) value = value > 0 ? value : slope * value;
    return value;
  }
};

struct ConvRun {
  ConvView view;
  const float* from;
  const void* packed;
  float* to;
  Epilogue epilogue;
};

// Packed weights: `depth` places (tap by tap, channels within) x filters. direct and dot: float32,
// [place][filter]. gemm: panels of 16 places, [place / 16][filter][place % 16], float32, tf32 (as float32) or
// bf16; places are padded with zeros to whole stages.
constexpr int32_t packed_places = 32;
uint64_t packed_bytes(const ConvView& v, Precision precision);
void pack_weights(CudaDevice& device, const ConvShape& s, int32_t pass, const float* w, void* packed);

void run_direct(CudaDevice& device, const ConvRun& run);
void run_dot(CudaDevice& device, const ConvRun& run);
void run_gemm_float32(CudaDevice& device, const ConvRun& run);
void run_gemm_tf32(CudaDevice& device, const ConvRun& run);
void run_gemm_bf16(CudaDevice& device, const ConvRun& run);

// Per image and filter of y (images x pixels x filters): sum, and sum of squared deviations from the image's
// mean.
uint64_t image_sums_workspace(int64_t images, int64_t pixels, int64_t filters);  // bytes
void image_sums(CudaDevice& device, const float* y, int64_t images, int64_t pixels, int64_t filters,
                void* workspace, double* sums);

// Weight gradient, dw in OIHW. Pixels are split into slices, whose sums are added in order.
uint64_t weight_grad_workspace(const ConvShape& s);  // bytes
void weight_grad(CudaDevice& device, const ConvShape& s, const float* x, const float* dy, float* dw,
                 float* workspace);

// dbias[k] = sum of dy over all pixels.
uint64_t bias_grad_workspace(const ConvShape& s);  // bytes
void bias_grad(CudaDevice& device, const ConvShape& s, const float* dy, float* dbias, double* workspace);

// to[filter, channel, tap] = sum over slices of partial[slice][filter][tap * channels + channel], in order.
void combine_slices(CudaDevice& device, const float* partial, int32_t slices, int64_t filters,
                    int64_t channels, int64_t taps, float* to);
void combine_slices(CudaDevice& device, const double* partial, int32_t slices, int64_t filters,
                    int64_t channels, int64_t taps, float* to);

}  // namespace fcdd::cuda
