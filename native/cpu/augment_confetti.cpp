// Confetti: squares are painted into one image and blurred only where there is something. Each row remembers
// the columns between its leftmost and rightmost square; the row pass covers those and 12 on either side, the
// column pass the same columns of the 12 rows above and below. Everything else is zero.
#include <algorithm>
#include <cstring>

#include "cpu/augment_stages.h"
#include "fcdd/squares.h"

namespace fcdd::cpu {
namespace {

// A pixel of the squares' image that layer 2 has darkened already: overlapping dark squares count once.
constexpr uint16_t dark_mark = 0x8000;

struct Canvas {
  uint16_t* squares;
  int32_t *left, *right;
  Extent e;
  const uint8_t* foreground;  // null: everywhere
};

// Paints the columns of one row that a square covers (they are contiguous, a square being convex).
void paint_row(const Square& square, bool dark, int32_t y, const Canvas& canvas) {
  const int32_t r = reach(square), channels = canvas.e.channels;
  int32_t first = std::max(0, square.column - r), last = std::min(canvas.e.width - 1, square.column + r);
  while (first <= last && !covers(square, y, first)) first++;
  while (first <= last && !covers(square, y, last)) last--;
  if (first > last) return;
  canvas.left[y] = std::min(canvas.left[y], first);
  canvas.right[y] = std::max(canvas.right[y], last + 1);
  uint16_t* pixel = canvas.squares + (int64_t{y} * canvas.e.width + first) * channels;
  for (int32_t x = first; x <= last; x++, pixel += channels) {
    for (int32_t c = 0; c < channels; c++) {
      if (!dark) {
        pixel[c] = static_cast<uint16_t>(square.colour[c]);
      } else if ((pixel[c] & dark_mark) == 0) {
        pixel[c] = static_cast<uint16_t>((pixel[c] + square.colour[c]) | dark_mark);
      }
    }
  }
}

// Smaller squares first, so that larger ones lie over them; drawing a square again is cheaper than sorting
// them all.
void paint_layer(const SquareLayer& layer, const Draws& draws, bool grey, bool dark, const Canvas& canvas) {
  const Extent& e = canvas.e;
  const uint32_t count = count_squares(draws, layer, static_cast<uint64_t>(e.area()));
  for (int32_t side = layer.least_side; side <= layer.greatest_side; side++) {
    for (uint32_t k = 0; k < count; k++) {
      const Square square = draw_square(draws, layer, k, e.height, e.width, grey, canvas.foreground);
      if (square.side != side) continue;
      const int32_t r = reach(square);
      const int32_t last = std::min(e.height - 1, square.row + r);
      for (int32_t y = std::max(0, square.row - r); y <= last; y++) paint_row(square, dark, y, canvas);
    }
  }
}

// Columns [first, past) that a blur of the squares' columns [left, right) reaches; none when there is no
// square.
struct Span {
  int32_t first, past;
  bool empty() const { return first >= past; }
};
Span blurred_span(int32_t left, int32_t right, int32_t width) {
  if (left >= right) return {width, 0};
  return {std::max(0, left - blur_reach), std::min(width, right + blur_reach)};
}

// One row of squares, blurred along the row, into scratch.rows.
void blur_along_row(const AugmentKernels& k, int32_t y, Span span, Extent e, AugmentScratch& scratch) {
  const int32_t channels = e.channels;
  const uint16_t* row = scratch.squares + int64_t{y} * e.width * channels;
  uint16_t* padded = scratch.padded;
  for (int32_t x = span.first - blur_reach; x < span.past + blur_reach; x++) {
    const uint16_t* pixel = row + int64_t{reflected(x, e.width)} * channels;
    for (int32_t c = 0; c < channels; c++) *padded++ = pixel[c] & static_cast<uint16_t>(~dark_mark);
  }
  k.blur_row(scratch.padded, channels, (span.past - span.first) * channels,
             scratch.rows + (int64_t{y} * e.width + span.first) * channels);
}

void blur(const AugmentKernels& k, Extent e, AugmentScratch& scratch) {
  for (int32_t y = 0; y < e.height; y++) {
    const Span span = blurred_span(scratch.left[y], scratch.right[y], e.width);
    if (!span.empty()) blur_along_row(k, y, span, e, scratch);
  }
  for (int32_t y = 0; y < e.height; y++) {
    const uint16_t* rows[2 * blur_reach + 1];
    Span span = {e.width, 0};
    for (int32_t t = -blur_reach; t <= blur_reach; t++) {
      const int32_t from = reflected(y + t, e.height);
      const Span other = blurred_span(scratch.left[from], scratch.right[from], e.width);
      span.first = std::min(span.first, other.first);
      span.past = std::max(span.past, other.past);
      rows[t + blur_reach] = scratch.rows + int64_t{from} * e.width * e.channels;
    }
    if (span.empty()) continue;
    for (const uint16_t*& row : rows) row += span.first * e.channels;
    k.blur_column(rows, (span.past - span.first) * e.channels,
                  scratch.noise + (int64_t{y} * e.width + span.first) * e.channels);
  }
}

}  // namespace

void confetti_noise(const AugmentKernels& k, bool grey, const DrawKey& key, Extent e,
                    const uint8_t* foreground, AugmentScratch& scratch) {
  const size_t values = static_cast<size_t>(e.values());
  std::memset(scratch.squares, 0, values * sizeof(uint16_t));
  std::memset(scratch.rows, 0, values * sizeof(uint16_t));
  std::memset(scratch.noise, 0, values * sizeof(int16_t));
  std::fill_n(scratch.left, e.height, e.width);
  std::fill_n(scratch.right, e.height, 0);
  const Canvas canvas = {scratch.squares, scratch.left, scratch.right, e, foreground};
  paint_layer(confetti_coloured, key.stream(Purpose::Squares), grey, false, canvas);
  paint_layer(confetti_dark, key.stream(Purpose::MoreSquares), grey, true, canvas);
  blur(k, e, scratch);
}

}  // namespace fcdd::cpu
