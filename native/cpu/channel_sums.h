// Sums over the pixels of channels-last images, in an order that depends on the shape alone.
#pragma once

#include "cpu/device.h"

namespace fcdd::cpu {

// Per image: sums[n][0][c] = sum over pixels, sums[n][1][c] = sum of squared deviations from the image's own
// mean.
void image_moments(const CpuDevice& device, const float* x, int64_t images, int64_t pixels, int64_t channels,
                   double* sums);

// Over all images: totals[c]. `per_image` holds images x channels doubles.
void channel_totals(const CpuDevice& device, const float* x, int64_t images, int64_t pixels, int64_t channels,
                    double* per_image, float* totals);

}  // namespace fcdd::cpu
