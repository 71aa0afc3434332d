// The steps of device.h as plain functions of the `reference` device: float64, one thread, no tricks. They
// are the explanation of what every other device computes, and the truth its results are compared with.
//
// Guarantees: activations N,H,W,C; every step overwrites its outputs, allocates nothing and checks that each
// buffer is as large as the problem says. Errors are thrown as fcdd::Error; table.cpp turns them into
// statuses.
#pragma once

#include <cstdint>
#include <string>

#include "fcdd/device.h"
#include "fcdd/errors.h"
#include "fcdd/host_memory.h"

namespace fcdd::reference {

struct ReferenceDevice {
  HostMemory memory;

  // The `count` elements of a buffer that a step needs. `what` names the buffer in errors.
  template <class T>
  T* need(const FcddBuffer& buffer, uint64_t count, const char* what) const {
    T* data = maybe<T>(buffer, count, what);
    if (data == nullptr) throw Error("FCDD_INVALID_ARGUMENT", std::string("buffer ") + what + " is missing");
    return data;
  }

  // The same for an optional buffer: null when it is none.
  template <class T>
  T* maybe(const FcddBuffer& buffer, uint64_t count, const char* what) const {
    if (buffer.arena == 0) return nullptr;
    if (buffer.bytes / sizeof(T) < count) {
      throw Error("FCDD_INVALID_ARGUMENT", std::string("buffer ") + what + " holds " +
                                               std::to_string(buffer.bytes) + " bytes, the step needs " +
                                               std::to_string(count * sizeof(T)));
    }
    return memory.at<T>(buffer);
  }
};

// Number of elements of a shape.
inline uint64_t count(int64_t a, int64_t b = 1, int64_t c = 1, int64_t d = 1) {
  return static_cast<uint64_t>(a) * static_cast<uint64_t>(b) * static_cast<uint64_t>(c) *
         static_cast<uint64_t>(d);
}

uint64_t conv_packed_bytes(const FcddConvProblem& p);
uint64_t conv_workspace_bytes(const FcddConvProblem& p, int32_t pass);
uint64_t post_workspace_bytes(const FcddPostProblem& p);
uint64_t upsample_workspace_bytes(const FcddUpsampleProblem& p);  // of loss and score too
uint64_t augment_workspace_bytes(const ReferenceDevice& device, const FcddAugment& a);  // augment.cpp

void augment(ReferenceDevice& device, const FcddAugment& a);  // augment.cpp
void conv_pack(ReferenceDevice& device, const FcddConvPack& a);
void conv_forward(ReferenceDevice& device, const FcddConvForward& a);
void conv_input_grad(ReferenceDevice& device, const FcddConvInputGrad& a);
void conv_weight_grad(ReferenceDevice& device, const FcddConvWeightGrad& a);
void conv_fold(ReferenceDevice& device, const FcddConvFold& a);
void norm_stats(ReferenceDevice& device, const FcddNormStats& a);
void post_forward(ReferenceDevice& device, const FcddPostForward& a);
void post_backward(ReferenceDevice& device, const FcddPostBackward& a);
void loss(ReferenceDevice& device, const FcddLoss& a);
void score(ReferenceDevice& device, const FcddScore& a);
void upsample(ReferenceDevice& device, const FcddUpsample& a);
void update(ReferenceDevice& device, const FcddUpdate& a);
void reshape(ReferenceDevice& device, const FcddShapeStep& a);
void nearest(ReferenceDevice& device, const FcddShapeStep& a);
void average_pool(ReferenceDevice& device, const FcddShapeStep& a);
void sigmoid(ReferenceDevice& device, const FcddShapeStep& a);
void dropout(ReferenceDevice& device, const FcddDropout& a);
void objective_loss(ReferenceDevice& device, const FcddObjectiveLoss& a);
void channel_map(ReferenceDevice& device, const FcddChannelMap& a);

// The buffers of a step between two shapes: `from` and `to` in the direction of the step.
struct ShapeBuffers {
  const double* from;
  double* to;
  uint64_t in, out;  // values of an image before and after the layer
};
inline ShapeBuffers shape_buffers(const ReferenceDevice& device, const FcddShapeStep& a) {
  const FcddShapeProblem& p = a.p;
  if (p.batch < 1 || p.in_height < 1 || p.in_width < 1 || p.in_channels < 1 || p.height < 1 || p.width < 1 ||
      p.channels < 1) {
    throw Error("FCDD_INVALID_ARGUMENT", "a step between shapes needs positive extents");
  }
  const uint64_t in = count(p.in_height, p.in_width, p.in_channels),
                 out = count(p.height, p.width, p.channels), n = count(p.batch);
  return {device.need<double>(a.from, n * (a.backward ? out : in), "from"),
          device.need<double>(a.to, n * (a.backward ? in : out), "to"), in, out};
}

// Shared by loss.cpp and score.cpp.
// A = sqrt(z^2+1) - 1, computed without cancellation (FCDD, Liznerski et al., ICLR 2021, section 3).
double pseudo_huber(double z);
// batch x in_height x in_width -> batch x height x width, and its adjoint.
void upsample_forward(const FcddUpsampleProblem& p, const double* taps, const double* x, double* y);
void upsample_backward(const FcddUpsampleProblem& p, const double* taps, const double* dy, double* dx);

}  // namespace fcdd::reference
