// torchvision's ColorJitter on 8-bit pixels. Brightness, contrast and saturation are vector loops; the way
// through HSV is table look-ups: the hue and the saturation of a pixel depend on two bytes each, so their
// divisions are done once.
#include <algorithm>
#include <array>

#include "cpu/augment_stages.h"
#include "fcdd/pil.h"

namespace fcdd::cpu {
namespace {

struct HueTables {
  // By the largest channel (0 red, 1 green, 2 blue) and the distances of the other two, in RGB order, to it.
  uint8_t hue[3][256][256];
  uint8_t saturation[256][256];  // by range, value
  uint8_t least[256][256];       // the smallest channel of a colour, by saturation, value
};

HueTables make_tables() {
  HueTables t = {};
  for (int a = 0; a < 256; a++) {
    for (int b = 0; b < 256; b++) {
      const int range = std::max(a, b);
      if (range > 0) {
        t.hue[0][a][b] = hue_of(0, 0, a, b, range);
        t.hue[1][a][b] = hue_of(1, a, 0, b, range);
        t.hue[2][a][b] = hue_of(2, a, b, 0, range);
      }
      if (b >= a && b > 0) t.saturation[a][b] = saturation_of(a, b);
      t.least[a][b] = dimmed(static_cast<uint8_t>(b), static_cast<float>(a) / 255.0f);
    }
  }
  return t;
}

const HueTables& tables() {
  static const HueTables made = make_tables();
  return made;
}

// What a hue byte means for hsv_to_rgb: where the largest, the middle and the smallest value go, and the
// middle's fraction. In odd sectors the middle value falls ("q"), in even ones it rises ("t").
struct HueTurn {
  uint8_t largest, middle, smallest;
  bool falling;
  float fraction;
};

std::array<HueTurn, 256> hue_turns(uint8_t shift) {
  constexpr uint8_t places[6][3] = {{0, 1, 2}, {1, 0, 2}, {1, 2, 0}, {2, 1, 0}, {2, 0, 1}, {0, 2, 1}};
  std::array<HueTurn, 256> turns;
  for (int i = 0; i < 256; i++) {
    const uint8_t h = static_cast<uint8_t>(i + shift);
    const int sector = hue_sector(h) % 6;
    const uint8_t* p = places[sector];
    turns[static_cast<size_t>(i)] = {p[0], p[1], p[2], sector % 2 == 1, hue_fraction(h)};
  }
  return turns;
}

void hue(uint8_t shift, uint8_t* pixels, int64_t area) {
  const HueTables& t = tables();
  const std::array<HueTurn, 256> turns = hue_turns(shift);
  for (int64_t i = 0; i < area; i++, pixels += 3) {
    const int r = pixels[0], g = pixels[1], b = pixels[2];
    const int value = std::max(r, std::max(g, b)), range = value - std::min(r, std::min(g, b));
    if (range == 0) continue;
    const uint8_t h = r == value
                          ? t.hue[0][value - g][value - b]
                          : (g == value ? t.hue[1][value - r][value - b] : t.hue[2][value - r][value - g]);
    const uint8_t s = t.saturation[range][value];
    if (s == 0) {
      pixels[0] = pixels[1] = pixels[2] = static_cast<uint8_t>(value);
      continue;
    }
    const HueTurn& turn = turns[h];
    const float fs = static_cast<float>(s) / 255.0f;
    const double part = turn.falling ? double{fs * turn.fraction} : fs * (1.0 - turn.fraction);
    pixels[turn.largest] = static_cast<uint8_t>(value);
    pixels[turn.middle] = dimmed(static_cast<uint8_t>(value), part);
    pixels[turn.smallest] = t.least[s][value];
  }
}

}  // namespace

void jitter(const AugmentKernels& k, const JitterPlan& plan, uint8_t* pixels, int64_t area,
            int32_t channels) {
  for (int32_t i = 0; i < plan.count; i++) {
    switch (plan.order[i]) {
      case jitter_brightness:
        k.blend_level(0, plan.factor[jitter_brightness], pixels, area * channels);
        break;
      case jitter_contrast: {
        const uint64_t sum = channels == 3 ? k.sum_of_grey(pixels, area) : k.sum(pixels, area);
        const uint8_t pivot = contrast_pivot(sum, static_cast<uint64_t>(area));
        k.blend_level(pivot, plan.factor[jitter_contrast], pixels, area * channels);
        break;
      }
      case jitter_saturation:
        if (channels == 3) k.blend_grey(plan.factor[jitter_saturation], pixels, area);
        break;
      default:
        if (channels == 3) hue(plan.hue_shift, pixels, area);
    }
  }
}

}  // namespace fcdd::cpu
