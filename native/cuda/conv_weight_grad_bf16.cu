// The weight gradient of conv_weight_grad.h with operands in bf16.
#include "cuda/conv_weight_grad.h"

namespace fcdd::cuda {

void weight_grad_bf16(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide) {
  run_weight_grad<Precision::bf16>(device, run, slices, wide);
}

}  // namespace fcdd::cuda
