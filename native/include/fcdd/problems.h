// The sizes of one step, as every device sees them: plain structs without pointers, valid C, so that a
// device library built by another compiler reads the same bytes.
//
// Activations are channels-last (N, H, W, C) on every device; weights are O, I, H, W ("OIHW") outside a
// device. "real" is the device's working type: double on `reference`, float on `cpu`.
#ifndef FCDD_PROBLEMS_H
#define FCDD_PROBLEMS_H

#include <stdint.h>

// A convolution. Square kernel, symmetric zero padding, stride 1 or 2.
typedef struct FcddConvProblem {
  int32_t batch, height, width, channels;  // input N, H, W, C
  int32_t filters;                         // output channels K
  int32_t kernel, stride, padding;
} FcddConvProblem;

// Window pooling; ties go to the first element in row-major order, padding never wins.
typedef struct FcddPool {
  int32_t kernel;  // 0: no pooling
  int32_t stride, padding;
} FcddPool;

enum FcddNorm {
  FCDD_NORM_NONE = 0,
  FCDD_NORM_BATCH = 1,    // statistics of this batch (training, also in a frozen prefix)
  FCDD_NORM_RUNNING = 2,  // running statistics (inference)
};

enum FcddActivation {
  FCDD_ACT_NONE = 0,
  FCDD_ACT_LEAKY = 1,  // x > 0 ? x : slope * x; ReLU is slope 0, and its derivative at 0 is `slope`
};

// What follows a convolution: y = pool(act(norm(x))), each part optional.
typedef struct FcddPostProblem {
  int32_t batch, height, width, channels;  // input N, H, W, C
  int32_t norm;                            // FcddNorm
  int32_t activation;                      // FcddActivation
  double slope;
  double eps;       // of the normalisation
  double momentum;  // of the running statistics
  FcddPool pool;
} FcddPostProblem;

// Gaussian transposed upsampling (FCDD paper, algorithm 1): batch x in_height x in_width -> batch x height x
// width. A'[y,x] = sum A[i,l] k[y + pad - shift - i*jump] k[x + pad - shift - l*jump], pad = (taps-1)/2
// (rounded down), k the 1-D kernel, 0 outside 0..taps-1. The taps are made by fcdd::gaussian_taps.
typedef struct FcddUpsampleProblem {
  int32_t batch, in_height, in_width, height, width;
  int32_t taps;   // r, the receptive field's extent
  int32_t jump;   // j
  int32_t shift;  // floor(s), s the receptive field's centre
} FcddUpsampleProblem;

// A step that changes an image's shape (reshape, nearest, average_pool) or nothing but its values (sigmoid).
typedef struct FcddShapeProblem {
  int32_t batch;
  int32_t in_height, in_width, in_channels;
  int32_t height, width, channels;  // of the result
} FcddShapeProblem;

// What a network is trained for, and so what its score is.
enum FcddObjective {
  FCDD_OBJECTIVE_FCDD = 0,      // steps `loss` and `score`; the others: `objective_loss`
  FCDD_OBJECTIVE_HSC = 1,       // hypersphere classification (Ruff et al., 2020)
  FCDD_OBJECTIVE_AE = 2,        // autoencoder
  FCDD_OBJECTIVE_DSVDD = 3,     // Deep SVDD, one-class (Ruff et al., ICML 2018)
  FCDD_OBJECTIVE_CLASSIFY = 4,  // softmax cross-entropy
};

// Output extent of a convolution or pooling window.
static inline int32_t fcdd_out_extent(int32_t in, int32_t kernel, int32_t stride, int32_t padding) {
  return (in + 2 * padding - kernel) / stride + 1;
}

#endif
