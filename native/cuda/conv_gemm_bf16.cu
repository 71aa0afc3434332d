// The implicit matrix products of conv_gemm.h with operands in bf16.
#include "cuda/conv_gemm.h"

namespace fcdd::cuda {

void run_gemm_bf16(CudaDevice& device, const ConvRun& run) {
  run_gemm<Precision::bf16>(device, run);
}

}  // namespace fcdd::cuda
