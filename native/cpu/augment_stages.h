// The stages of the input pipeline on one sample, fast; augment.cpp strings them together on all threads.
// Decisions come from fcdd/draws.h; the bytes must equal those of the reference device, bit by bit.
#pragma once

#include <cstdint>

#include "cpu/augment_kernels.h"
#include "fcdd/draws.h"
#include "fcdd/patches.h"

namespace fcdd::cpu {

// Memory of one worker, sized for the largest stored image; see augment.cpp.
struct AugmentScratch {
  uint8_t* pixels;    // height x width x channels at the stored size
  uint8_t* mask;      // height x width
  int16_t* noise;     // height x width x channels
  uint16_t* squares;  // the same: squares before the blur
  uint16_t* rows;     // the same: blurred along rows
  uint16_t* padded;   // one row with a reflected border
  int32_t* left;      // per row, the first and past the last column with a square
  int32_t* right;
  int32_t* columns;  // width of the network's input: source columns
  uint8_t* placed;   // the network's input as bytes
  uint32_t* words;   // words_of_tile draws
  float* normals;
};
constexpr int words_of_tile = 4096;

// Extents of an image at its stored size, with the network's channels.
struct Extent {
  int32_t height, width, channels;
  int64_t area() const { return int64_t{height} * width; }
  int64_t values() const { return area() * channels; }
};

inline StreamKey stream_key(const DrawKey& key, Purpose purpose) {
  return {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32),
          static_cast<uint32_t>(purpose), key.position, key.epoch};
}

// augment_noise.cpp: fills scratch.noise with an image of a synthetic source (see
// reference/augment_noise.cpp); `foreground` may be null.
void synthetic_noise(const AugmentKernels& k, const FcddSupervision& supervision, const DrawKey& key,
                     Extent e, const uint8_t* foreground, AugmentScratch& scratch);
// augment_confetti.cpp
void confetti_noise(const AugmentKernels& k, bool grey, const DrawKey& key, Extent e,
                    const uint8_t* foreground, AugmentScratch& scratch);
// augment_patches.cpp: fills scratch.noise with the steps from scratch.pixels to a patch.
void patch_noise(const Patch& patch, const DrawKey& key, const uint8_t* donor, int32_t donor_channels,
                 Extent e, AugmentScratch& scratch);

// augment_supervision.cpp: scratch.noise applied to scratch.pixels; fills scratch.mask for FCDD_MALFORMED_GT.
void apply_noise(const AugmentKernels& k, const FcddSupervision& supervision, Extent e,
                 AugmentScratch& scratch);

// augment_jitter.cpp
void jitter(const AugmentKernels& k, const JitterPlan& plan, uint8_t* pixels, int64_t area, int32_t channels);

// augment_values.cpp: stages 5 to 7.
void normalise(const AugmentKernels& k, const FcddPipeline& p, const SamplePlan& plan, const uint8_t* bytes,
               AugmentScratch& scratch, float* x);

}  // namespace fcdd::cpu
