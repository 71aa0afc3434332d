// The synthetic noise images (FCDD, Liznerski et al., ICLR 2021; liznerski/fcdd, datasets/noise_modes.py).
//
//   confetti    two layers of squares, summed, blurred, truncated to integers; darkening, -511 ... 0
//   gaussian    floor of N(0, 64^2) per value
//   uniform     0 ... 255 per value
//   solid       one colour
//   blob        white 6x6 squares
//   mixed-blob  white 34x34 squares plus 34x34 squares with a random colour per pixel; 0 ... 510
//
// With `grey` all channels of a pixel are equal.
#include <algorithm>

#include "fcdd/normal.h"
#include "fcdd/squares.h"
#include "reference/augment_stages.h"

namespace fcdd::reference {
namespace {

// Paints one layer over `out`, smaller squares first, so that larger ones lie over them.
void paint_layer(const SquareLayer& layer, const Draws& draws, bool grey, const Sample& s,
                 const uint8_t* foreground, int32_t* out) {
  const uint32_t count = count_squares(draws, layer, static_cast<uint64_t>(s.area()));
  for (int32_t side = layer.least_side; side <= layer.greatest_side; side++) {
    for (uint32_t k = 0; k < count; k++) {
      const Square square = draw_square(draws, layer, k, s.height, s.width, grey, foreground);
      if (square.side != side) continue;
      const int32_t r = reach(square);
      for (int32_t y = std::max(0, square.row - r); y <= std::min(s.height - 1, square.row + r); y++) {
        for (int32_t x = std::max(0, square.column - r); x <= std::min(s.width - 1, square.column + r); x++) {
          if (!covers(square, y, x)) continue;
          int32_t* pixel = out + (int64_t{y} * s.width + x) * s.channels;
          for (int32_t c = 0; c < s.channels; c++) pixel[c] = square.colour[c];
        }
      }
    }
  }
}

// The blur of squares.h: rows, then columns, in fixed point.
void blur(const Sample& s, int32_t* image, int32_t* scratch) {
  const auto at = [&](int32_t y, int32_t x, int32_t c) {
    return (int64_t{y} * s.width + x) * s.channels + c;
  };
  for (int32_t y = 0; y < s.height; y++) {
    for (int32_t x = 0; x < s.width; x++) {
      for (int32_t c = 0; c < s.channels; c++) {
        uint32_t sum = 0;
        for (int32_t t = -blur_reach; t <= blur_reach; t++) {
          sum +=
              blur_taps[t < 0 ? -t : t] * static_cast<uint32_t>(image[at(y, reflected(x + t, s.width), c)]);
        }
        scratch[at(y, x, c)] = static_cast<int32_t>((sum + 512) >> 10);
      }
    }
  }
  for (int32_t y = 0; y < s.height; y++) {
    for (int32_t x = 0; x < s.width; x++) {
      for (int32_t c = 0; c < s.channels; c++) {
        uint32_t sum = 0;
        for (int32_t t = -blur_reach; t <= blur_reach; t++) {
          sum += blur_taps[t < 0 ? -t : t] *
                 static_cast<uint32_t>(scratch[at(reflected(y + t, s.height), x, c)]);
        }
        image[at(y, x, c)] = static_cast<int32_t>(sum >> 22);
      }
    }
  }
}

void confetti(const DrawKey& key, bool grey, const Sample& s, const uint8_t* foreground, int32_t* noise,
              int32_t* scratch) {
  std::fill_n(noise, s.values(), 0);
  std::fill_n(scratch, s.values(), 0);
  paint_layer(confetti_coloured, key.stream(Purpose::Squares), grey, s, foreground, noise);
  paint_layer(confetti_dark, key.stream(Purpose::MoreSquares), grey, s, foreground, scratch);
  for (int64_t i = 0; i < s.values(); i++) noise[i] += scratch[i];
  blur(s, noise, scratch);
  for (int64_t i = 0; i < s.values(); i++) noise[i] = -noise[i];
}

void mixed_blob(const DrawKey& key, bool grey, const Sample& s, const uint8_t* foreground, int32_t* noise,
                int32_t* scratch) {
  std::fill_n(noise, s.values(), 0);
  std::fill_n(scratch, s.values(), 0);
  paint_layer(mixed_blob_squares, key.stream(Purpose::Squares), grey, s, foreground, noise);
  paint_layer(mixed_blob_squares, key.stream(Purpose::MoreSquares), grey, s, foreground, scratch);
  const Draws colours = key.stream(Purpose::NoiseValues);
  for (int64_t i = 0; i < s.values(); i++) {
    if (scratch[i] == 0) continue;
    const int64_t word = grey ? i / s.channels : i;
    noise[i] += static_cast<int32_t>(below_from_bits(colours.word(static_cast<uint64_t>(word)), 256));
  }
}

}  // namespace

void synthetic_noise(const FcddSupervision& supervision, const DrawKey& key, const Sample& s,
                     const uint8_t* foreground, int32_t* noise, int32_t* scratch) {
  const bool grey = supervision.grey != 0;
  if (supervision.source == FCDD_CONFETTI) return confetti(key, grey, s, foreground, noise, scratch);
  if (supervision.source == FCDD_MIXED_BLOB) return mixed_blob(key, grey, s, foreground, noise, scratch);
  if (supervision.source == FCDD_BLOB) {
    std::fill_n(noise, s.values(), 0);
    return paint_layer(blob_squares, key.stream(Purpose::Squares), grey, s, foreground, noise);
  }
  const Draws values = key.stream(Purpose::NoiseValues);
  for (int64_t i = 0; i < s.values(); i++) {
    const int64_t of_pixel = supervision.source == FCDD_SOLID ? 0 : i / s.channels;
    const int64_t word = grey ? of_pixel : of_pixel * s.channels + i % s.channels;
    const uint32_t bits = values.word(static_cast<uint64_t>(word));
    noise[i] = supervision.source == FCDD_GAUSSIAN ? gaussian_level(bits)
                                                   : static_cast<int32_t>(below_from_bits(bits, 256));
  }
}

}  // namespace fcdd::reference
