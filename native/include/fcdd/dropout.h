// Which values a dropout layer drops: a pure function of (seed, epoch, position, layer, value).
#pragma once

#include "fcdd/rng.h"

namespace fcdd {

constexpr int kDropoutLayers = 64;                      // of a network
constexpr uint64_t kDropoutValues = uint64_t{1} << 28;  // of an image

// Whether value `i` of the image at `position` is dropped with probability p: word i of layer `layer`'s part
// of the position's stream.
FCDD_SHARED bool dropped(uint64_t seed, uint32_t epoch, uint32_t position, int32_t layer, uint64_t i,
                         double p) {
  const Draws draws(seed, Purpose::Dropout, position, epoch);
  return unit_from_bits(draws.word((static_cast<uint64_t>(layer) << 28) + i)) < p;
}

}  // namespace fcdd
