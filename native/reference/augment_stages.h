// The stages of the input pipeline on one sample, naive; augment.cpp strings them together.
// What is drawn and decided comes from fcdd/draws.h, fcdd/squares.h and fcdd/normal.h, which all devices
// share.
#pragma once

#include <cstdint>

#include "fcdd/draws.h"
#include "fcdd/patches.h"

namespace fcdd::reference {

// Interleaved pixels height x width x channels and their mask, both owned by the caller.
struct Sample {
  uint8_t* pixels;
  uint8_t* mask;
  int32_t height, width, channels;
  int64_t area() const { return int64_t{height} * width; }
  int64_t values() const { return area() * channels; }
};

// augment_noise.cpp: an image of a synthetic source, in grey levels to add to an image: confetti is 0 or
// negative, gaussian has both signs, the others are positive. `scratch` is as large as `noise`; both hold
// s.values() numbers. Squares have their centres on the foreground, when there is one.
void synthetic_noise(const FcddSupervision& supervision, const DrawKey& key, const Sample& s,
                     const uint8_t* foreground, int32_t* noise, int32_t* scratch);

// augment_patches.cpp: the steps from the sample to its patch, 0 where there is none. The donor's pixels are
// interleaved with `donor_channels` channels.
void patch_noise(const Patch& patch, const DrawKey& key, const uint8_t* donor, int32_t donor_channels,
                 const Sample& s, int32_t* noise);

// augment_supervision.cpp: stage 1. Turns the sample into its anomaly by the noise image; also its mask.
void apply_noise(const FcddSupervision& supervision, const int32_t* noise, Sample& s);

// augment_jitter.cpp: torchvision's ColorJitter on 8-bit pixels; one-channel images keep saturation and hue.
void jitter(const JitterPlan& plan, uint8_t* pixels, int64_t area, int32_t channels);

// augment_values.cpp: stages 5 to 7, height x width x channels bytes -> x.
void normalise(const FcddPipeline& pipeline, const SamplePlan& plan, const uint8_t* bytes, double* x);

}  // namespace fcdd::reference
