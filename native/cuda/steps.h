// The steps of the cuda device: channels-last float32, enqueued on its stream. fcdd/device.h says what each
// computes. All throw fcdd::Error for wrong arguments. Bits depend on shapes, precision and architecture
// alone.
#pragma once

#include "cuda/device.h"
#include "fcdd/device.h"

namespace fcdd::cuda {

uint64_t conv_packed_bytes(const CudaDevice& device, const FcddConvProblem& p, int32_t pass);
uint64_t conv_workspace_bytes(const CudaDevice& device, const FcddConvProblem& p, int32_t pass);
uint64_t post_workspace_bytes(const CudaDevice& device, const FcddPostProblem& p);
uint64_t upsample_workspace_bytes(const CudaDevice& device, const FcddUpsampleProblem& p);
uint64_t augment_workspace_bytes(const CudaDevice& device, const FcddAugment& a);

void augment(CudaDevice& device, const FcddAugment& a);
void conv_pack(CudaDevice& device, const FcddConvPack& a);
void conv_forward(CudaDevice& device, const FcddConvForward& a);
void conv_input_grad(CudaDevice& device, const FcddConvInputGrad& a);
void conv_weight_grad(CudaDevice& device, const FcddConvWeightGrad& a);
void conv_fold(CudaDevice& device, const FcddConvFold& a);
void norm_stats(CudaDevice& device, const FcddNormStats& a);
void post_forward(CudaDevice& device, const FcddPostForward& a);
void post_backward(CudaDevice& device, const FcddPostBackward& a);
void loss(CudaDevice& device, const FcddLoss& a);
void score(CudaDevice& device, const FcddScore& a);
void upsample(CudaDevice& device, const FcddUpsample& a);
void update(CudaDevice& device, const FcddUpdate& a);

}  // namespace fcdd::cuda
