// torchvision's ColorJitter on PIL images: each operation rounds to 8 bits before the next (fcdd/pil.h).
#include "fcdd/pil.h"
#include "reference/augment_stages.h"

namespace fcdd::reference {
namespace {

uint8_t grey_of(const uint8_t* pixel, int32_t channels) {
  return channels == 1 ? pixel[0] : grey_level(pixel[0], pixel[1], pixel[2]);
}

void brightness(float factor, uint8_t* pixels, int64_t values) {
  for (int64_t i = 0; i < values; i++) pixels[i] = blend(0, pixels[i], factor);
}

void contrast(float factor, uint8_t* pixels, int64_t area, int32_t channels) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < area; i++) sum += grey_of(pixels + i * channels, channels);
  const uint8_t pivot = contrast_pivot(sum, static_cast<uint64_t>(area));
  for (int64_t i = 0; i < area * channels; i++) pixels[i] = blend(pivot, pixels[i], factor);
}

void saturation(float factor, uint8_t* pixels, int64_t area) {
  for (int64_t i = 0; i < area; i++, pixels += 3) {
    const uint8_t grey = grey_of(pixels, 3);
    for (int c = 0; c < 3; c++) pixels[c] = blend(grey, pixels[c], factor);
  }
}

void hue(uint8_t shift, uint8_t* pixels, int64_t area) {
  for (int64_t i = 0; i < area; i++, pixels += 3) {
    const Rgb turned = shift_hue({pixels[0], pixels[1], pixels[2]}, shift);
    pixels[0] = turned.r;
    pixels[1] = turned.g;
    pixels[2] = turned.b;
  }
}

}  // namespace

void jitter(const JitterPlan& plan, uint8_t* pixels, int64_t area, int32_t channels) {
  for (int32_t i = 0; i < plan.count; i++) {
    switch (plan.order[i]) {
      case jitter_brightness:
        brightness(plan.factor[jitter_brightness], pixels, area * channels);
        break;
      case jitter_contrast:
        contrast(plan.factor[jitter_contrast], pixels, area, channels);
        break;
      case jitter_saturation:
        if (channels == 3) saturation(plan.factor[jitter_saturation], pixels, area);
        break;
      default:
        if (channels == 3) hue(plan.hue_shift, pixels, area);
    }
  }
}

}  // namespace fcdd::reference
