// The implicit matrix products of conv_gemm.h with operands in float32.
#include "cuda/conv_gemm.h"

namespace fcdd::cuda {

void run_gemm_float32(CudaDevice& device, const ConvRun& run) {
  run_gemm<Precision::float32>(device, run);
}

}  // namespace fcdd::cuda
