// The steps of the cpu device: float32, channels-last. See fcdd/device.h for what each computes.
// All throw fcdd::Error for wrong arguments. Bits depend on shapes and the instruction set alone.
#pragma once

#include "cpu/device.h"
#include "fcdd/device.h"

namespace fcdd::cpu {

uint64_t conv_packed_bytes(const CpuDevice& device, const FcddConvProblem& p, int32_t pass);
uint64_t conv_workspace_bytes(const CpuDevice& device, const FcddConvProblem& p, int32_t pass);
uint64_t post_workspace_bytes(const CpuDevice& device, const FcddPostProblem& p);
uint64_t upsample_workspace_bytes(const CpuDevice& device, const FcddUpsampleProblem& p);
uint64_t augment_workspace_bytes(const CpuDevice& device, const FcddAugment& a);

void augment(CpuDevice& device, const FcddAugment& a);
void conv_pack(CpuDevice& device, const FcddConvPack& a);
void conv_forward(CpuDevice& device, const FcddConvForward& a);
void conv_input_grad(CpuDevice& device, const FcddConvInputGrad& a);
void conv_weight_grad(CpuDevice& device, const FcddConvWeightGrad& a);
void conv_fold(CpuDevice& device, const FcddConvFold& a);
void norm_stats(CpuDevice& device, const FcddNormStats& a);
void post_forward(CpuDevice& device, const FcddPostForward& a);
void post_backward(CpuDevice& device, const FcddPostBackward& a);
void loss(CpuDevice& device, const FcddLoss& a);
void score(CpuDevice& device, const FcddScore& a);
void upsample(CpuDevice& device, const FcddUpsample& a);
void update(CpuDevice& device, const FcddUpdate& a);
void reshape(CpuDevice& device, const FcddShapeStep& a);
void nearest(CpuDevice& device, const FcddShapeStep& a);
void average_pool(CpuDevice& device, const FcddShapeStep& a);
void sigmoid(CpuDevice& device, const FcddShapeStep& a);
void dropout(CpuDevice& device, const FcddDropout& a);
void objective_loss(CpuDevice& device, const FcddObjectiveLoss& a);
void channel_map(CpuDevice& device, const FcddChannelMap& a);

}  // namespace fcdd::cpu
