// The implicit matrix products of conv_gemm.h with operands in tf32.
#include "cuda/conv_gemm.h"

namespace fcdd::cuda {

void run_gemm_tf32(CudaDevice& device, const ConvRun& run) {
  run_gemm<Precision::tf32>(device, run);
}

}  // namespace fcdd::cuda
