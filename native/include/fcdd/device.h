// The seam between the engine and the devices: a versioned table of about twenty C functions.
//
// Invariants
// - Steps are *enqueued* on the device's one in-order queue; only `synchronise`, `upload` and `download`
// wait.
//   (The CPU devices may simply run a step at the call.)
// - Buffers are opaque: a handle of an arena, an offset and a size. The engine never dereferences one.
// - All memory is reserved before the first step (`reserve`); a step allocates nothing.
// - Nothing throws across the table: every function returns a status, the text is `last_error`.
// - Results depend on shapes and the instruction set alone: never on threads, on timing, or on what else
//   is in the batch (except through batch statistics, whose order of summation is fixed).
#ifndef FCDD_DEVICE_H
#define FCDD_DEVICE_H

#include <stdint.h>

#include "fcdd/augment.h"
#include "fcdd/buffer.h"
#include "fcdd/problems.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FCDD_DEVICE_ABI 3u

typedef enum FcddStatus {
  FCDD_OK = 0,
  FCDD_INVALID = 1,        // an argument is wrong: a bug of the caller
  FCDD_OUT_OF_MEMORY = 2,  // `last_error` says how much was asked for
  FCDD_UNSUPPORTED = 3,    // the device declines; the engine takes the plain sequence
  FCDD_FAILED = 4,         // anything else
} FcddStatus;

typedef struct FcddDevice FcddDevice;  // opaque

// Operands of convolutions. Accumulation, activations in memory, statistics, loss and optimiser are float32.
typedef enum FcddPrecision {
  FCDD_PRECISION_DEFAULT = 0,  // the device's own: float64 on `reference`, float32 on `cpu`, tf32 on `cuda`
  FCDD_PRECISION_FLOAT32 = 1,
  FCDD_PRECISION_TF32 = 2,
  FCDD_PRECISION_BF16 = 3,
} FcddPrecision;

typedef struct FcddDeviceOptions {
  int32_t threads;  // 0: least of affinity, cgroup quota and physical cores
  const char*
      isa;        // "baseline", "avx2", "avx512" or NULL: the best this machine has (FCDD_CPU_ISA overrides)
  int32_t index;  // which device of its kind
  int32_t precision;  // FcddPrecision; FCDD_INVALID where the device does not have it
} FcddDeviceOptions;

typedef struct FcddDeviceInfo {
  char name[64];       // "reference", "cpu", "cuda"
  char detail[128];    // "avx512, 2 threads"
  char isa[32];        // what changes rounding: "float64", "avx2", ...
  int32_t real_bytes;  // 8: double, 4: float
  int32_t threads;
} FcddDeviceInfo;

// ---- arguments of the steps ----------------------------------------------------------------------------
// Buffers marked (opt) may be none. Every buffer of type real unless said. All outputs are overwritten.

typedef enum FcddPass {
  FCDD_FORWARD = 0,
  FCDD_INPUT_GRAD = 1,
  FCDD_WEIGHT_GRAD = 2,
  // Forward with max pooling (2, 2, 0) of the output, which is never written unpooled: packed as
  // FCDD_FORWARD. A device that does not take it answers FCDD_DECLINED when asked for its workspace.
  FCDD_FORWARD_POOLED = 3,
} FcddPass;

#define FCDD_DECLINED UINT64_MAX

// OIHW weights -> the layout a pass wants. Emitted whenever the weights have changed.
typedef struct FcddConvPack {
  FcddConvProblem p;
  int32_t pass;  // FCDD_FORWARD or FCDD_INPUT_GRAD
  FcddBuffer w;  // K,C,k,k
  FcddBuffer packed;
} FcddConvPack;

typedef struct FcddConvForward {
  FcddConvProblem p;
  FcddBuffer x, packed, y;
  FcddBuffer bias;     // (opt) K
  int32_t activation;  // FcddActivation, applied after the bias (inference with folded BN)
  double slope;
  FcddBuffer sums;  // (opt) double, N x 2 x K: per image the sum over its pixels and the sum of squared
                    // deviations from that image's own mean
  FcddBuffer workspace;
  int32_t pooled;  // 1: y is the max-pooled output (FCDD_FORWARD_POOLED), without sums
} FcddConvForward;

typedef struct FcddConvInputGrad {
  FcddConvProblem p;
  FcddBuffer dy, packed, dx, workspace;
} FcddConvInputGrad;

typedef struct FcddConvWeightGrad {
  FcddConvProblem p;
  FcddBuffer x, dy;
  FcddBuffer dw;     // K,C,k,k (OIHW)
  FcddBuffer dbias;  // (opt) K
  FcddBuffer workspace;
} FcddConvWeightGrad;

// Folds running statistics into a convolution: w' = w g/sqrt(v+eps), b' = (b-m) g/sqrt(v+eps) + beta.
typedef struct FcddConvFold {
  int32_t filters, fan_in;  // K and C*k*k
  double eps;
  FcddBuffer w, bias /*opt*/, gamma /*opt: 1*/, beta /*opt: 0*/, running_mean, running_var;
  FcddBuffer folded_w, folded_bias;
} FcddConvFold;

// Combines per-image sums (Chan's formula, images in order, in double) into mean and 1/sqrt(var+eps), and
// updates the running statistics (unbiased variance, as PyTorch).
typedef struct FcddNormStats {
  FcddPostProblem p;                     // p.height*p.width pixels per image
  FcddBuffer sums;                       // double, N x 2 x C
  FcddBuffer mean, inv_std;              // C
  FcddBuffer running_mean, running_var;  // C, updated in place
} FcddNormStats;

typedef struct FcddPostForward {
  FcddPostProblem p;
  FcddBuffer x;
  FcddBuffer mean,
      inv_std;  // with FCDD_NORM_BATCH; with FCDD_NORM_RUNNING: running mean and running *variance*
  FcddBuffer gamma, beta;  // (opt) C
  FcddBuffer y;
  FcddBuffer argmax;  // (opt) uint8, shape of y: index of the winner within its window (row-major)
} FcddPostForward;

// Backward of the whole post step with batch statistics (norm BATCH) or without normalisation (norm NONE).
typedef struct FcddPostBackward {
  FcddPostProblem p;
  FcddBuffer dy, x, mean, inv_std, gamma /*opt*/, beta /*opt*/, argmax /*with pooling*/;
  FcddBuffer dx;             // may be x itself: then the input gives way to its gradient
  FcddBuffer dgamma, dbeta;  // (opt) C
  FcddBuffer workspace;
} FcddPostBackward;

// Pseudo-Huber map, loss and its gradient (FCDD paper, section 3).
// Sample-wise: normal m, anomalous -log(1-exp(-m)+1e-31), m = mean A. Pixel-wise: on A' with masks.
// The batch loss is the mean over samples; dz is the gradient of that mean.
typedef struct FcddLoss {
  int32_t batch, height, width;  // of z: N x u x v
  int32_t pixelwise;
  FcddUpsampleProblem up;  // pixelwise only
  FcddBuffer taps;         // pixelwise: real, r values of the 1-D kernel
  FcddBuffer z;
  FcddBuffer labels;  // uint8, N: 0 normal, 1 anomalous
  FcddBuffer masks;   // pixelwise: uint8, N x up.height x up.width, 0 or 1
  FcddBuffer losses;  // double, N
  FcddBuffer dz;      // (opt)
  FcddBuffer report;  // (opt) double, 5: adds sum of losses, of normal, of anomalous, count normal, anomalous
  FcddBuffer workspace;
} FcddLoss;

// Scores and heatmaps (FCDD paper, section 3): mean of A per image; A; A upsampled.
typedef struct FcddScore {
  int32_t batch, height, width;
  FcddUpsampleProblem up;
  FcddBuffer taps;  // with maps
  FcddBuffer z;
  FcddBuffer scores;  // double, N
  FcddBuffer low;     // (opt) N x u x v
  FcddBuffer maps;    // (opt) N x H x W
  FcddBuffer workspace;
} FcddScore;

typedef struct FcddUpsample {
  FcddUpsampleProblem p;
  int32_t backward;  // 0: x is N x in, y is N x out. 1: the adjoint, x is N x out, y is N x in
  FcddBuffer taps, x, y, workspace;
} FcddUpsample;

typedef enum FcddOptimiserKind { FCDD_SGD = 0, FCDD_ADAM = 1 } FcddOptimiserKind;

// One call for all trainable parameters, which lie side by side. Weight decay is L2 added to the gradient.
typedef struct FcddUpdate {
  int32_t kind;
  uint64_t count;
  int64_t step;  // 1 for the first update (Adam's bias correction; SGD's first momentum buffer is the
                 // gradient itself)
  double lr, weight_decay;
  double momentum;  // SGD with Nesterov momentum
  double beta1, beta2, eps;
  FcddBuffer w, grad;
  FcddBuffer m;  // momentum, or Adam's first moment
  FcddBuffer v;  // Adam's second moment (none for SGD)
} FcddUpdate;

// ---- steps of the paper's baselines; a device may decline them with FCDD_UNSUPPORTED --------------------

// reshape: the values of an image in the order channel, row, column stay (PyTorch's view of N x C x H x W).
// nearest: every pixel becomes 2 x 2. average_pool: adaptive, as PyTorch: cell i covers rows floor(i h / H)
// to ceil((i+1) h / H). sigmoid: 1/(1+exp(-x)), equal shapes.
typedef struct FcddShapeStep {
  FcddShapeProblem p;
  int32_t backward;     // 0: `from` is the input, `to` the output. 1: `from` the output's gradient, `to` the
                        // input's
  FcddBuffer from, to;  // different buffers
  FcddBuffer x;         // sigmoid backward: the input, which may be `to` itself
} FcddShapeStep;

// to = from / (1 - p) where kept, 0 where dropped: forward and backward alike. Value i of the image at
// position first+n of the epoch is dropped when its draw (fcdd/dropout.h) is below p.
typedef struct FcddDropout {
  int32_t batch;
  uint64_t size;  // values of an image
  double probability;
  int32_t layer;  // which dropout of the network: each has draws of its own
  uint64_t seed;
  uint32_t epoch, first;
  FcddBuffer from, to;  // may be the same
} FcddDropout;

// Loss of each sample and its gradient, for objectives other than FCDD's. z is N x size.
// HSC: l = sqrt(|z|^2+1) - 1; a normal sample costs l, an anomalous one -log(1 - exp(-l) + 1e-31).
// AE: mean of (z - target)^2. DSVDD: |z - target|^2, one target for all. CLASSIFY: cross-entropy of the
// softmax over the `size` values, labels are class indices.
typedef struct FcddObjectiveLoss {
  int32_t objective;  // FcddObjective
  int32_t batch;
  uint64_t size;
  double factor;  // of dz: 1/batch for the gradient of the mean, 1 for that of each sample's own loss
  FcddBuffer z;
  FcddBuffer target;  // AE: N x size; DSVDD: size
  FcddBuffer labels;  // (opt) uint8, N; none: all 0
  FcddBuffer losses;  // double, N
  FcddBuffer dz;      // (opt) N x size
  FcddBuffer report;  // (opt) double, 5, as in FcddLoss; with CLASSIFY every sample counts as normal
} FcddObjectiveLoss;

// One value per pixel. Without b: the sum over channels of |a|; with b: the mean over channels of (a-b)^2.
typedef struct FcddChannelMap {
  int32_t batch, height, width, channels;
  FcddBuffer a, b /*opt*/, map;
} FcddChannelMap;

// ---- the table ---------------------------------------------------------------------------------------

typedef struct FcddDeviceTable {
  uint32_t abi;    // FCDD_DEVICE_ABI
  uint32_t bytes;  // sizeof(FcddDeviceTable)

  FcddStatus (*open)(const FcddDeviceOptions* options, FcddDevice** device);
  void (*close)(FcddDevice* device);
  FcddStatus (*info)(FcddDevice* device, FcddDeviceInfo* info);
  const char* (*last_error)(
      FcddDevice* device);  // of the calling thread's last failure; device may be NULL after open

  FcddStatus (*reserve)(FcddDevice* device, uint64_t bytes, uint64_t* arena);
  // For image stores, which the host writes once and steps read: a device whose own memory is short may
  // answer with host memory that its steps read directly.
  FcddStatus (*reserve_store)(FcddDevice* device, uint64_t bytes, uint64_t* arena);
  void (*release)(FcddDevice* device, uint64_t arena);
  FcddStatus (*upload)(FcddDevice* device, FcddBuffer to, const void* from);  // to.bytes bytes
  FcddStatus (*download)(FcddDevice* device, void* to, FcddBuffer from);      // from.bytes bytes
  FcddStatus (*fill)(FcddDevice* device, FcddBuffer to, uint8_t byte);
  FcddStatus (*copy)(FcddDevice* device, FcddBuffer to, FcddBuffer from);
  FcddStatus (*synchronise)(FcddDevice* device);

  // Bytes of the buffers that only the device understands. A pass that wants none answers 0.
  uint64_t (*conv_packed_bytes)(FcddDevice* device, const FcddConvProblem* p, int32_t pass);
  uint64_t (*conv_workspace_bytes)(FcddDevice* device, const FcddConvProblem* p, int32_t pass);
  uint64_t (*post_workspace_bytes)(FcddDevice* device, const FcddPostProblem* p);
  uint64_t (*upsample_workspace_bytes)(FcddDevice* device,
                                       const FcddUpsampleProblem* p);  // loss and score too
  uint64_t (*augment_workspace_bytes)(FcddDevice* device, const FcddAugment* a);

  FcddStatus (*augment)(FcddDevice* device, const FcddAugment* a);
  FcddStatus (*conv_pack)(FcddDevice* device, const FcddConvPack* a);
  FcddStatus (*conv_forward)(FcddDevice* device, const FcddConvForward* a);
  FcddStatus (*conv_input_grad)(FcddDevice* device, const FcddConvInputGrad* a);
  FcddStatus (*conv_weight_grad)(FcddDevice* device, const FcddConvWeightGrad* a);
  FcddStatus (*conv_fold)(FcddDevice* device, const FcddConvFold* a);
  FcddStatus (*norm_stats)(FcddDevice* device, const FcddNormStats* a);
  FcddStatus (*post_forward)(FcddDevice* device, const FcddPostForward* a);
  FcddStatus (*post_backward)(FcddDevice* device, const FcddPostBackward* a);
  FcddStatus (*loss)(FcddDevice* device, const FcddLoss* a);
  FcddStatus (*score)(FcddDevice* device, const FcddScore* a);
  FcddStatus (*upsample)(FcddDevice* device, const FcddUpsample* a);
  FcddStatus (*update)(FcddDevice* device, const FcddUpdate* a);

  FcddStatus (*reshape)(FcddDevice* device, const FcddShapeStep* a);
  FcddStatus (*nearest)(FcddDevice* device, const FcddShapeStep* a);
  FcddStatus (*average_pool)(FcddDevice* device, const FcddShapeStep* a);
  FcddStatus (*sigmoid)(FcddDevice* device, const FcddShapeStep* a);
  FcddStatus (*dropout)(FcddDevice* device, const FcddDropout* a);
  FcddStatus (*objective_loss)(FcddDevice* device, const FcddObjectiveLoss* a);
  FcddStatus (*channel_map)(FcddDevice* device, const FcddChannelMap* a);
} FcddDeviceTable;

// The two devices that are always there. A CUDA library exports fcdd_cuda_table with the same signature.
const FcddDeviceTable* fcdd_reference_table(void);
const FcddDeviceTable* fcdd_cpu_table(void);

#ifdef __cplusplus
}
#endif
#endif
