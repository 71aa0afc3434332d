// Stage 1: noise becomes the picture, or is added to it; the rules are explained in
// reference/augment_supervision.cpp.
#include <cstdlib>
#include <cstring>

#include "cpu/augment_stages.h"

namespace fcdd::cpu {
namespace {

// Offline, noise is inverted at the pixels that are bright.
void invert_where_bright(Extent e, const uint8_t* pixels, int16_t* noise) {
  for (int64_t i = 0; i < e.area(); i++, pixels += e.channels, noise += e.channels) {
    int32_t sum = 0;
    for (int32_t c = 0; c < e.channels; c++) sum += pixels[c];
    if (sum * 100 <= 11 * 255 * e.channels) continue;
    for (int32_t c = 0; c < e.channels; c++) noise[c] = static_cast<int16_t>(-noise[c]);
  }
}

// Online, all of it when the change would be next to nothing and the other way round is more.
int16_t sign_of_noise(const AugmentKernels& k, Extent e, const AugmentScratch& scratch) {
  int64_t plain = 0, inverted = 0;
  k.change(scratch.pixels, scratch.noise, e.values(), &plain, &inverted);
  plain = std::abs(plain);
  return plain * 40 < e.values() && std::abs(inverted) > plain ? -1 : 1;
}

// The pixels that `noise` will change, in any channel.
void mark_changes(int16_t sign, Extent e, AugmentScratch& scratch) {
  const uint8_t* pixel = scratch.pixels;
  const int16_t* noise = scratch.noise;
  for (int64_t i = 0; i < e.area(); i++, pixel += e.channels, noise += e.channels) {
    bool changed = false;
    for (int32_t c = 0; c < e.channels; c++) {
      const int32_t step = sign * noise[c];
      changed = changed || (step < 0 && pixel[c] > 0) || (step > 0 && pixel[c] < 255);
    }
    scratch.mask[i] = changed;
  }
}

}  // namespace

void apply_noise(const AugmentKernels& k, const FcddSupervision& supervision, Extent e,
                 AugmentScratch& scratch) {
  if (supervision.mode == FCDD_NOISE) {
    std::memset(scratch.pixels, 0, static_cast<size_t>(e.values()));
    return k.add(supervision.source == FCDD_CONFETTI ? -1 : 1, scratch.noise, scratch.pixels, e.values());
  }
  int16_t sign = 1;  // a patch is what it is
  if (!is_patch(supervision.source)) {
    if (supervision.offline != 0) {
      invert_where_bright(e, scratch.pixels, scratch.noise);
    } else {
      sign = sign_of_noise(k, e, scratch);
    }
  }
  if (supervision.mode == FCDD_MALFORMED_GT) mark_changes(sign, e, scratch);
  k.add(sign, scratch.noise, scratch.pixels, e.values());
}

}  // namespace fcdd::cpu
