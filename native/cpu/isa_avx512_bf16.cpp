#include "cpu/kernels/bf16.h"

namespace fcdd::cpu {
extern const Bf16Kernels bf16_avx512;
const Bf16Kernels bf16_avx512 = {
    .product_panel = conv_panel_of<PairedProduct, false>,
    .winograd_input = winograd_input_bf16,
    .winograd_weights = winograd_weights_bf16,
};
}  // namespace fcdd::cpu
