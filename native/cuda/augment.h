// What the kernels of the input pipeline share: one sample's decisions, its sums, and where everything lies.
//
// Who makes what, in this order (augment.cu launches; a sample never reads another one's):
//   plan     SampleState: every decision, from fcdd/draws.h, and whether the sample can be made at all
//   noise    a synthetic source's grey levels at the stored size, to be added to the image (a patch has none:
//            it is a function of the pixel's place, and read like an exposure image)
//   change   sums that decide whether that noise is inverted
//   contrast the sum of grey levels that a contrast jitter needs
//   place    bytes and masks, and the bytes' sums
//   values   x
// Each stage cuts a sample into slices, a block for each. A slice's sum has a place of its own; whoever wants
// the whole adds them up in a fixed tree. How many slices there are depends on the extents of the sample
// alone, so nothing else in the batch changes a bit.
#pragma once

#include "cuda/device.h"
#include "fcdd/draws.h"
#include "fcdd/patches.h"
#include "fcdd/squares.h"

namespace fcdd::cuda {

constexpr int augment_threads = 256;
constexpr int augment_warps = augment_threads / 32;
constexpr int augment_slices = 32;  // of a sample at most: one for each lane of the warp that adds them up
constexpr int64_t augment_slice_least = 512;  // pixels of a slice, unless it is the only one

struct SampleState {
  SamplePlan plan;
  FcddImage image;      // the exposure image where the sample has its size
  FcddImage exposure;   // when plan.exposure >= 0; with a patch, its donor
  Patch patch;          // of an anomaly whose source is_patch()
  uint32_t squares[2];  // how many each layer of a source made of squares has
  int32_t label;
  int32_t mask_is_label;  // everywhere
  int32_t skipped;        // it cannot be made: its outputs are zeros
};

// Sums over slices.
struct SampleSums {
  int64_t plain[augment_slices], inverted[augment_slices];  // change of the image by the noise
  uint64_t grey[augment_slices];                            // before the contrast jitter
  uint64_t total[augment_slices], squares[augment_slices];  // of bytes
  double noisy[augment_slices];                             // of values with noise
  double deviation[augment_slices];                         // from the mean
};

struct StoreView {
  const uint8_t* bytes;
  int32_t channels;
};

// The layers of a source made of squares, and how they are put together.
struct SquareLayers {
  SquareLayer layer[2];
  int32_t count;     // 0: the source is not made of squares
  int32_t confetti;  // both layers are added up, blurred and negative
};

// What every kernel is given.
struct AugmentBatch {
  FcddPipeline pipeline;
  FcddSupervision supervision;
  StoreView images, exposure;
  SampleState* samples;
  SampleSums* sums;
  int16_t* noise;         // noise_values for each sample
  uint64_t noise_values;  // 0: no synthetic source
  uint8_t* bytes;
  uint8_t* masks;  // null: nobody wants them
  float* x;        // null: nobody wants it
  int32_t batch;
  int32_t nominal_label;
};

// Both for the host, which launches as many blocks, and for the kernels.
FCDD_SHARED constexpr int slices_of(int64_t pixels) {
  const int64_t slices = (pixels + augment_slice_least - 1) / augment_slice_least;
  return static_cast<int>(slices < augment_slices ? slices : augment_slices);
}

// augment_plan.cu
struct PlanInput {
  FcddAugment a;
  const FcddImage* images;
  const FcddImage* exposure;
  const int32_t* order;  // null: the identity
  uint64_t order_count;
  uint8_t* labels;  // null: nobody wants them
  int32_t* failure;
  SquareLayers layers;
};
void launch_plan(Stream stream, const AugmentBatch& b, const PlanInput& input);

// augment_noise.cu, augment_squares.cu. `slices` is how many blocks work on a sample.
void launch_noise_values(Stream stream, const AugmentBatch& b, int slices);
void launch_noise_squares(Stream stream, const AugmentBatch& b, const SquareLayers& layers, int slices);

// augment_place.cu
void launch_change(Stream stream, const AugmentBatch& b, int slices);
void launch_contrast(Stream stream, const AugmentBatch& b, int slices);
void launch_place(Stream stream, const AugmentBatch& b);

// augment_values.cu
void launch_values(Stream stream, const AugmentBatch& b);

}  // namespace fcdd::cuda
