// The synthetic noise images other than confetti; what each is, is said in reference/augment_noise.cpp.
#include <algorithm>
#include <cstring>

#include "cpu/augment_stages.h"
#include "fcdd/squares.h"

namespace fcdd::cpu {
namespace {

// Marks the pixels of squares that do not turn, all of one side, with their (single) colour.
void paint_upright(const SquareLayer& layer, const Draws& draws, Extent e, const uint8_t* foreground,
                   int16_t* marks) {
  const uint32_t count = count_squares(draws, layer, static_cast<uint64_t>(e.area()));
  const int16_t colour = static_cast<int16_t>(layer.least_colour);
  for (uint32_t k = 0; k < count; k++) {
    const Square square = draw_square(draws, layer, k, e.height, e.width, true, foreground);
    const int32_t low = square.side / 2 + 1 - square.side, past = square.side / 2 + 1;
    const int32_t left = std::max(0, square.column + low), right = std::min(e.width, square.column + past);
    const int32_t bottom = std::min(e.height, square.row + past);
    for (int32_t y = std::max(0, square.row + low); y < bottom; y++) {
      std::fill_n(marks + (int64_t{y} * e.width + left) * e.channels, (right - left) * e.channels, colour);
    }
  }
}

void mixed_blob(bool grey, const DrawKey& key, Extent e, const uint8_t* foreground, AugmentScratch& scratch) {
  paint_upright(mixed_blob_squares, key.stream(Purpose::Squares), e, foreground, scratch.noise);
  int16_t* coloured = reinterpret_cast<int16_t*>(scratch.squares);
  std::memset(coloured, 0, static_cast<size_t>(e.values()) * sizeof(int16_t));
  paint_upright(mixed_blob_squares, key.stream(Purpose::MoreSquares), e, foreground, coloured);
  const Draws colours = key.stream(Purpose::NoiseValues);
  for (int64_t i = 0; i < e.values(); i++) {
    if (coloured[i] == 0) continue;
    const int64_t word = grey ? i / e.channels : i;
    scratch.noise[i] =
        static_cast<int16_t>(scratch.noise[i] + (colours.word(static_cast<uint64_t>(word)) >> 24));
  }
}

// One level per draw: of each value, or of each pixel and the same in all channels.
void per_value(const AugmentKernels& k, bool gaussian, bool grey, const DrawKey& key, Extent e,
               AugmentScratch& scratch) {
  const StreamKey stream = stream_key(key, Purpose::NoiseValues);
  const int64_t n = grey ? e.area() : e.values();
  int16_t levels[words_of_tile];
  for (int64_t first = 0; first < n; first += words_of_tile) {
    const int count = static_cast<int>(std::min<int64_t>(words_of_tile, n - first));
    k.words(stream, static_cast<uint32_t>(first / 4), (count + 63) / 64 * 16, scratch.words);
    (gaussian ? k.gaussian_levels : k.uniform_levels)(scratch.words, count, levels);
    const int32_t copies = grey ? e.channels : 1;
    int16_t* out = scratch.noise + first * copies;
    for (int i = 0; i < count; i++) {
      for (int32_t c = 0; c < copies; c++) *out++ = levels[i];
    }
  }
}

void solid(bool grey, const DrawKey& key, Extent e, int16_t* noise) {
  const Draws draws = key.stream(Purpose::NoiseValues);
  for (int64_t i = 0; i < e.values(); i++) {
    if (i < e.channels) {
      noise[i] = static_cast<int16_t>(draws.word(grey ? 0 : static_cast<uint64_t>(i)) >> 24);
    } else {
      noise[i] = noise[i - e.channels];
    }
  }
}

}  // namespace

void synthetic_noise(const AugmentKernels& k, const FcddSupervision& supervision, const DrawKey& key,
                     Extent e, const uint8_t* foreground, AugmentScratch& scratch) {
  const bool grey = supervision.grey != 0;
  switch (supervision.source) {
    case FCDD_CONFETTI:
      return confetti_noise(k, grey, key, e, foreground, scratch);
    case FCDD_SOLID:
      return solid(grey, key, e, scratch.noise);
    case FCDD_BLOB:
    case FCDD_MIXED_BLOB:
      std::memset(scratch.noise, 0, static_cast<size_t>(e.values()) * sizeof(int16_t));
      if (supervision.source == FCDD_MIXED_BLOB) return mixed_blob(grey, key, e, foreground, scratch);
      return paint_upright(blob_squares, key.stream(Purpose::Squares), e, foreground, scratch.noise);
    default:
      per_value(k, supervision.source == FCDD_GAUSSIAN, grey, key, e, scratch);
  }
}

}  // namespace fcdd::cpu
