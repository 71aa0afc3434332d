// The weight gradient of conv_weight_grad.h with operands in tf32.
#include "cuda/conv_weight_grad.h"

namespace fcdd::cuda {

void weight_grad_tf32(CudaDevice& device, const WeightGradRun& run, int32_t slices, bool wide) {
  run_weight_grad<Precision::tf32>(device, run, slices, wide);
}

}  // namespace fcdd::cuda
