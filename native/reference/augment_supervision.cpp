// Stage 1: a normal sample becomes an anomaly (FCDD, Liznerski et al., ICLR 2021, section 3 and the appendix
// on outlier exposure; liznerski/fcdd, datasets/online_supervisor.py and offline_supervisor.py).
#include <algorithm>

#include "reference/augment_stages.h"

namespace fcdd::reference {
namespace {

int32_t clamped(int32_t level) {
  return std::clamp(level, 0, 255);
}

// Sum over all values of the change that sign * noise makes.
int64_t change(const Sample& s, const int32_t* noise, int32_t sign) {
  int64_t sum = 0;
  for (int64_t i = 0; i < s.values(); i++) sum += clamped(s.pixels[i] + sign * noise[i]) - s.pixels[i];
  return std::abs(sum);
}

// Online: the noise is inverted when its mean change is below 0.025 grey levels and the inverted one's is
// larger.
bool changes_too_little(const Sample& s, const int32_t* noise) {
  const int64_t plain = change(s, noise, 1);
  return plain * 40 < s.values() && change(s, noise, -1) > plain;
}

// Offline: it is inverted pixel by pixel, where the image is brighter than 0.11 * 255.
bool bright(const uint8_t* pixel, int32_t channels) {
  int32_t sum = 0;
  for (int32_t c = 0; c < channels; c++) sum += pixel[c];
  return sum * 100 > 11 * 255 * channels;
}

// The sample plus noise, clamped; the mask becomes the pixels that changed in any channel.
void malform(const FcddSupervision& supervision, const int32_t* noise, Sample& s) {
  const bool open = !is_patch(supervision.source);  // a patch is what it is
  const bool invert_all = open && supervision.offline == 0 && changes_too_little(s, noise);
  for (int64_t i = 0; i < s.area(); i++, noise += s.channels) {
    uint8_t* pixel = s.pixels + i * s.channels;
    const bool invert = open && supervision.offline != 0 ? bright(pixel, s.channels) : invert_all;
    bool changed = false;
    for (int32_t c = 0; c < s.channels; c++) {
      const int32_t level = clamped(pixel[c] + (invert ? -noise[c] : noise[c]));
      changed = changed || level != pixel[c];
      pixel[c] = static_cast<uint8_t>(level);
    }
    s.mask[i] = changed;
  }
}

}  // namespace

void apply_noise(const FcddSupervision& supervision, const int32_t* noise, Sample& s) {
  if (supervision.mode == FCDD_NOISE) {
    // Confetti darkens; as a picture of its own it is shown as light on black.
    const int32_t sign = supervision.source == FCDD_CONFETTI ? -1 : 1;
    for (int64_t i = 0; i < s.values(); i++) s.pixels[i] = static_cast<uint8_t>(clamped(sign * noise[i]));
  } else {
    malform(supervision, noise, s);
  }
  if (supervision.mode != FCDD_MALFORMED_GT) std::fill_n(s.mask, s.area(), uint8_t{1});
}

}  // namespace fcdd::reference
