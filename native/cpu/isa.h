// The kernels of one instruction set. Included by the files that are built for an instruction set, so it must
// pull in nothing with inline functions.
#pragma once

#include <stdint.h>

namespace fcdd::cpu {

// Adam's constants as the update kernel wants them (PyTorch's formulation).
struct AdamConstants {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
  float inv_sqrt_correction2;  // 1 / sqrt(1 - beta2^t)
  float rate;                  // lr / (1 - beta1^t)
  float weight_decay;
};

// Weights (and their gradients) lie in panels of `IsaTable::panel` filters: [panel][kernel row][j][filter],
// where j = column * channels + channel runs through one kernel row. Filters that do not exist are zero.

// One panel of a convolution over `rows` x `width` output pixels. The input has been gathered with its
// padding, so that no tap leaves it and the `run` values under one kernel row are neighbours.
struct ConvBlock {
  const float* x;
  int64_t x_row, x_pixel;  // from one output row (pixel) to the next
  int64_t x_tap;           // from one kernel row to the next
  int kernel, run;         // run = kernel * channels
  int rows, width;
  const float* w;  // the panel
  int filters;     // of the panel that exist
  float* y;
  int64_t y_row, y_pixel;
  const float* bias;  // of the panel's filters, or null
  bool leaky;
  float slope;
  int chain;  // of a product_panel: values that are summed one after the other
};

// One panel and one kernel row of a weight gradient: dw[j][filter] += sum over `rows` x `width` pixels of
// x[pixel + j] dy[pixel][filter].
struct WeightGradBlock {
  const float* x;
  int64_t x_row, x_pixel;
  const float* dy;  // of the panel's first filter; all of the panel can be read
  int64_t dy_row, dy_pixel;
  int rows, width;
  int run;
  int filters;
  float* dw;   // [run][panel]
  bool fresh;  // dw holds nothing yet: = instead of +=
};

// What follows a convolution, for some channels of one image. Pointers are to the first of these channels.
constexpr int post_channels = 512;  // at most this many at once
struct PostRows {
  int h, w, oh, ow;                   // input and output
  int64_t c;                          // floats from one pixel to the next
  int channels;                       // to do
  int kernel, stride, padding;        // of the pooling; kernel 0: none
  const float *mean, *scale, *shift;  // null without normalisation
  bool leaky;
  float slope;
};

// Products of one tile -> its 4 x 4 outputs.
struct WinogradOutput {
  const float* products;  // products[p * plane + filter]
  int64_t plane;
  int filters;
  const float* bias;  // or null
  bool leaky;
  float slope;
  bool pooled;           // max pooling 2 x 2: four pixels instead of 16
  float* const* pixels;  // 16
};

struct IsaTable {
  const char* name;  // "baseline", "avx2", "avx512"
  int panel;         // filters per panel: two registers

  void (*conv_panel)(const ConvBlock& b);
  void (*product_panel)(const ConvBlock& b);  // kernel 1, and sums of chains
  void (*weight_grad_panel)(const WeightGradBlock& b);

  // Winograd's transforms of one tile (kernels/winograd.h): kernel 3 or 5, n = kernel + 3 inputs and 4
  // outputs per axis; planes p = 0..n*n-1.
  void (*winograd_input)(int kernel, const float* const* pixels /*n*n*/, int channels, float* v,
                         int64_t plane);
  void (*winograd_output)(int kernel, const WinogradOutput& o);
  // d[p * plane + panel * panel_plane + filter of the panel]
  void (*winograd_gradient)(int kernel, const float* const* pixels /*16*/, int filters, float* d,
                            int64_t plane, int64_t panel_plane);
  // One panel's filters for one channel: w[tap][panel] -> u[p * plane + filter], and the adjoint.
  void (*winograd_weights)(int kernel, const float* w, float* u, int64_t plane);
  void (*winograd_weights_adjoint)(int kernel, const float* u, int64_t plane, float* w);

  // Over the pixels of one image, `stride` floats apart: totals, and sums of squared deviations from the
  // mean.
  void (*sums)(const float* x, int64_t pixels, int64_t stride, int channels, double* total);
  void (*moments)(const float* x, int64_t pixels, int64_t stride, int channels, double* total,
                  double* squares);

  // Output rows first..last-1; argmax may be null.
  void (*post_forward)(const PostRows& p, const float* x, int first, int last, float* y, uint8_t* argmax);
  // Input rows first..last-1: adds sum(g) and sum(g (x - mean)) to the totals, g the gradient of norm(x).
  void (*post_sums)(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first,
                    int last, double* sum, double* product);
  // Input rows: dx = scale g + factor (x - mean) + offset; without normalisation dx = g.
  void (*post_gradient)(const PostRows& p, const float* x, const float* dy, const uint8_t* argmax, int first,
                        int last, const float* factor, const float* offset, float* dx);

  // For benchmarks: `iterations` rounds of independent chains of FMA in registers.
  void (*fma_chains)(int64_t iterations);
  int flops_per_fma_iteration;

  void (*axpy)(int n, float a, const float* x, float* y);  // y += a x
  float (*dot)(int n, const float* x, const float* y);     // fixed order of summation
  void (*sgd)(int n, float lr, float weight_decay, float momentum, bool first, float* w, const float* grad,
              float* buffer);
  void (*adam)(int n, const AdamConstants& k, float* w, const float* grad, float* m, float* v);
};

// What bf16 changes: the operands of the products of Winograd's F(4x4, 3x3), two channels to the place of a
// float (the even one in the lower half), summed in float32. Pointers and steps count such places.
struct Bf16Kernels {
  void (*product_panel)(
      const ConvBlock& b);  // `run` counts pairs; one chain, the operands' rounding is larger
  void (*winograd_input)(const float* const* pixels /*36*/, int channels, float* v, int64_t plane);
  // One panel's filters for two channels, w[channel][tap][panel] -> u[p * plane + filter].
  void (*winograd_weights)(const float* w, float* u, int64_t plane);
};

extern const IsaTable isa_baseline, isa_avx2, isa_avx512;
extern const Bf16Kernels bf16_avx512;

// The table called `name`, or the best that this machine has when name is null or empty.
// Throws FCDD_INVALID_ARGUMENT for an unknown name and FCDD_NO_DEVICE when the machine (or this build) lacks
// it.
const IsaTable* choose_isa(const char* name);

// The bf16 kernels that go with `isa`. Throws FCDD_NO_DEVICE when the machine or the instruction set has
// none.
const Bf16Kernels* bf16_of(const IsaTable& isa);

}  // namespace fcdd::cpu
