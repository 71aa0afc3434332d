// Pillow's 8-bit arithmetic, operation by operation, because the published pipelines jitter PIL images:
// ImageEnhance and torchvision's adjust_hue in terms of Image.blend, the conversions L and HSV, and nearest
// resizing. Exact on every IEEE machine when compiled without contraction; tested against values made by
// Pillow itself (scripts/goldens/jitter.py).
#pragma once

#include <stdint.h>

#include "fcdd/rng.h"

namespace fcdd {

// Source index of nearest-neighbour resizing, Pillow's convention: floor((i + 1/2) in / out), exactly.
// (Pillow adds up steps in floating point and may take the neighbour before it where this is a whole number.)
// 0 <= i < out. 64-bit divisions are slow on a GPU; ordinary extents need 32 bits.
FCDD_SHARED constexpr int32_t nearest_source(int32_t i, int32_t in, int32_t out) {
  if (in <= 32768 && out <= 32768) {
    return static_cast<int32_t>((2 * static_cast<uint32_t>(i) + 1) * static_cast<uint32_t>(in) /
                                (2 * static_cast<uint32_t>(out)));
  }
  return static_cast<int32_t>((2 * int64_t{i} + 1) * in / (2 * int64_t{out}));
}

// Image.convert("L"): ITU-R 601 in 16-bit fixed point. Equal channels stay what they are.
FCDD_SHARED constexpr uint8_t grey_level(uint8_t r, uint8_t g, uint8_t b) {
  return static_cast<uint8_t>((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

// ImageEnhance.Contrast's pivot: the mean grey level, int(mean + 0.5).
FCDD_SHARED constexpr uint8_t contrast_pivot(uint64_t sum_of_grey, uint64_t pixels) {
  return static_cast<uint8_t>(static_cast<double>(sum_of_grey) / static_cast<double>(pixels) + 0.5);
}

// Image.blend(from, to, alpha) for one value: float32, clipped to 0...255, truncated.
FCDD_SHARED constexpr uint8_t blend(int32_t from, int32_t to, float alpha) {
  const float t = static_cast<float>(from) + alpha * static_cast<float>(to - from);
  return static_cast<uint8_t>(t <= 0.0f ? 0.0f : (t >= 255.0f ? 255.0f : t));
}

struct Hsv {
  uint8_t h, s, v;
};
struct Rgb {
  uint8_t r, g, b;
};

// Pillow's hue of a pixel that is not grey, from the distances of its channels to the largest one.
// `largest` says which channel that is (0 red, 1 green, 2 blue; ties in this order), range = largest -
// smallest.
FCDD_SHARED constexpr uint8_t hue_of(int32_t largest, int32_t to_red, int32_t to_green, int32_t to_blue,
                                     int32_t range) {
  const float span = static_cast<float>(range);
  const float rc = static_cast<float>(to_red) / span;
  const float gc = static_cast<float>(to_green) / span;
  const float bc = static_cast<float>(to_blue) / span;
  float h = 0;
  if (largest == 0) {
    h = bc - gc;
  } else if (largest == 1) {
    h = static_cast<float>(2.0 + rc - bc);
  } else {
    h = static_cast<float>(4.0 + gc - rc);
  }
  const double turn = h / 6.0 + 1.0;  // 0.83 ... 1.84, so the remainder by 1 is a subtraction
  h = static_cast<float>(turn >= 1.0 ? turn - 1.0 : turn);
  const int32_t byte = static_cast<int32_t>(h * 255.0);
  return static_cast<uint8_t>(byte > 255 ? 255 : byte);
}

FCDD_SHARED constexpr uint8_t saturation_of(int32_t range, int32_t value) {
  return static_cast<uint8_t>(static_cast<float>(range) / static_cast<float>(value) * 255.0);
}

// Image.convert("HSV").
FCDD_SHARED constexpr Hsv rgb_to_hsv(Rgb c) {
  const uint8_t high = c.r > c.g ? (c.r > c.b ? c.r : c.b) : (c.g > c.b ? c.g : c.b);
  const uint8_t low = c.r < c.g ? (c.r < c.b ? c.r : c.b) : (c.g < c.b ? c.g : c.b);
  if (high == low) return {0, 0, high};
  const int32_t largest = c.r == high ? 0 : (c.g == high ? 1 : 2);
  return {hue_of(largest, high - c.r, high - c.g, high - c.b, high - low), saturation_of(high - low, high),
          high};
}

// round(value * (1 - part)) with halves up, as Pillow computes the three lesser values of a colour.
FCDD_SHARED constexpr uint8_t dimmed(uint8_t value, double part) {
  return static_cast<uint8_t>(static_cast<int32_t>(static_cast<float>(value) * (1.0 - part) + 0.5));
}

// Sector (0...5, six times around) and position within it of a hue byte.
FCDD_SHARED constexpr int32_t hue_sector(uint8_t h) {
  return static_cast<int32_t>(static_cast<float>(h) * 6.0 / 255.0);
}
FCDD_SHARED constexpr float hue_fraction(uint8_t h) {
  return static_cast<float>(static_cast<float>(h) * 6.0 / 255.0 - static_cast<float>(hue_sector(h)));
}

// Image.convert("RGB") of an HSV pixel.
FCDD_SHARED constexpr Rgb hsv_to_rgb(Hsv c) {
  if (c.s == 0) return {c.v, c.v, c.v};
  const float f = hue_fraction(c.h);
  const float s = static_cast<float>(c.s) / 255.0f;
  const uint8_t p = dimmed(c.v, s);
  const uint8_t q = dimmed(c.v, s * f);
  const uint8_t t = dimmed(c.v, s * (1.0 - f));
  switch (hue_sector(c.h) % 6) {
    case 0:
      return {c.v, t, p};
    case 1:
      return {q, c.v, p};
    case 2:
      return {p, c.v, t};
    case 3:
      return {p, q, c.v};
    case 4:
      return {t, p, c.v};
    default:
      return {c.v, p, q};
  }
}

// torchvision's adjust_hue of one pixel: shift is trunc(255 * hue_factor) modulo 256. The way through HSV
// loses a little even when shift is 0; grey pixels (s = 0) come back unchanged.
FCDD_SHARED constexpr Rgb shift_hue(Rgb c, uint8_t shift) {
  Hsv hsv = rgb_to_hsv(c);
  hsv.h = static_cast<uint8_t>(hsv.h + shift);
  return hsv_to_rgb(hsv);
}

}  // namespace fcdd
