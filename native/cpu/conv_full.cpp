#include "cpu/conv_full.h"

#include <algorithm>
#include <cstring>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

int64_t panels_of(const IsaTable& isa, int64_t filters) {
  return (filters + isa.panel - 1) / isa.panel;
}

// All images as the pixels of one row; inputs are the flattened images.
ConvShape as_row(const ConvShape& s) {
  return {1, 1, s.n, s.h * s.w * s.c, s.k, 1, s.n, 1, 1, 0};
}

}  // namespace

bool fully_connected(const ConvShape& s) {
  return s.oh == 1 && s.ow == 1 && s.padding == 0 && s.kernel == s.h && s.kernel == s.w;
}

DirectPlan plan_full(const ConvShape& s, int32_t pass) {
  return pass == FCDD_INPUT_GRAD ? plan_direct_input_grad(as_row(s)) : plan_direct_forward(as_row(s));
}

uint64_t full_packed_floats(const IsaTable& isa, const ConvShape& s, int32_t pass) {
  const ConvShape row = as_row(s);
  return pass == FCDD_INPUT_GRAD ? direct_packed_floats(isa, row.k, row.c, 1)
                                 : direct_packed_floats(isa, row.c, row.k, 1);
}

void full_pack(const CpuDevice& device, const ConvShape& s, bool input_grad, const float* w, float* packed) {
  if (!input_grad) return direct_pack(device, s, false, w, packed);  // [tap][c] is the flattened order
  // [panel of inputs][filter][input of the panel], inputs in the order [tap][c].
  const int64_t taps = int64_t{s.kernel} * s.kernel, inputs = taps * s.c, width = device.isa->panel;
  parallel(device.threads, panels_of(*device.isa, inputs), [&](int64_t panel, int) {
    const int64_t real = std::min(width, inputs - panel * width);
    for (int64_t k = 0; k < s.k; k++) {
      float* to = packed + (panel * s.k + k) * width;
      for (int64_t i = 0; i < real; i++) {
        const int64_t input = panel * width + i;
        to[i] = w[(k * s.c + input % s.c) * taps + input / s.c];
      }
      std::fill(to + real, to + width, 0.0f);
    }
  });
}

void full_sums(const ConvShape& s, const float* y, double* sums) {
  for (int64_t n = 0; n < s.n; n++) {
    for (int64_t k = 0; k < s.k; k++) sums[n * 2 * s.k + k] = static_cast<double>(y[n * s.k + k]);
    std::memset(sums + (n * 2 + 1) * s.k, 0, static_cast<size_t>(s.k) * sizeof(double));
  }
}

uint64_t full_weight_grad_floats(const CpuDevice& device, const ConvShape& s) {
  return direct_weight_grad_floats(device, as_row(s));
}

void full_weight_grad(const CpuDevice& device, const ConvShape& s, const float* x, const float* dy, float* dw,
                      float* workspace) {
  direct_weight_grad_as(device, as_row(s), s, x, dy, dw, workspace);
}

}  // namespace fcdd::cpu
