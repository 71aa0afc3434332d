// Anomalies that replace part of an image by something real: cut-paste (Li et al., "CutPaste", CVPR 2021) and
// texture (after DRAEM, Zavrtanik et al., ICCV 2021: a texture blended in through a smooth random mask).
// Which pixels change, and into what, as pure integer functions of a stream of draws: the same on every
// device.
//
//   cut-paste  a rectangle of 2 to 15 % of the image, its sides in a proportion of 0.3 to 3.3, comes from a
//              random place of the same image (probability 1/2) or of another one of the store
//   texture    the pixels where smooth noise exceeds a level (12 % of the image on average); they show an
//   image
//              of the exposure store, or this or another image of the store where there is none, shifted and
//              turned at random, with an opacity of 0.1 to 1
//
// Instead of the papers' colour jitter a patch is made brighter or darker, and (unless `grey`) its channels a
// little more or less: factors of 0.9 to 1.1 (texture: 0.7 to 1.3), and of 0.95 to 1.05 per channel.
// With a foreground the middle of a rectangle, and one place of a texture, lie on it.
#pragma once

#include <stdint.h>

#include "fcdd/augment.h"
#include "fcdd/draws.h"
#include "fcdd/squares.h"

namespace fcdd {

// Sources that are patches: their "noise" is the step from the image to what replaces it, so it has one sign.
FCDD_SHARED constexpr bool is_patch(int32_t source) {
  return source == FCDD_CUT_PASTE || source == FCDD_TEXTURE;
}

// Noise between the random values of a lattice over the image, smoothly interpolated. Node (i, j) has the
// number i * (columns + 2) + j and the value of its word's upper half; one node is at the top, so that a part
// of the image always exceeds the level.
struct SmoothNoise {
  int32_t rows, columns;            // cells over the image
  int32_t row_phase, column_phase;  // by which the lattice begins before it, in 2^-16 cells
  int32_t top_node;
  int32_t height, width;  // of the image
};
constexpr int32_t most_cells = 32;
constexpr int32_t most_nodes = (most_cells + 2) * (most_cells + 2);
constexpr int32_t least_cell = 4;        // pixels
constexpr int32_t smooth_level = 52000;  // of 65535: 12 % of the pixels exceed it on average
constexpr int32_t node_value = 0x10000;  // values are below
constexpr int32_t full_opacity = 256;
constexpr int32_t one_gain = 1 << 16;

struct Patch {
  int32_t donor;  // number of the image that it shows; -1: there is no patch
  int32_t apart;  // whether that is an image of the exposure store
  int32_t source;
  int32_t height, width;        // of the donor
  int32_t top, left;            // cut-paste: the rectangle in the image
  int32_t rows, columns;        // and its extents
  int32_t from_top, from_left;  // and in the donor; texture: how far the donor is shifted, around its border
  int32_t turn;                 // texture: bit 0 swaps rows and columns, bits 1 and 2 mirror them
  int32_t gain[3];              // of the donor's levels, per channel, times 2^16
  int32_t opacity;              // times 2^8
  SmoothNoise mask;             // texture
};

// The largest integer whose square is at most n.
FCDD_SHARED constexpr int32_t integer_root(uint64_t n) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit > 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= n) root |= bit;
  }
  return static_cast<int32_t>(root);
}

FCDD_SHARED constexpr int32_t between(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : (value > high ? high : value);
}

// A place along one axis of the lattice: the node before it, and how far it is to the next, in 2^-16.
struct LatticePlace {
  int32_t node, fraction;
};
FCDD_SHARED constexpr LatticePlace lattice_place(int32_t cells, int32_t extent, int32_t phase, int32_t i) {
  const uint64_t at = (2 * static_cast<uint64_t>(i) + 1) * static_cast<uint64_t>(cells) * 65536 /
                          (2 * static_cast<uint64_t>(extent)) +
                      static_cast<uint64_t>(phase);
  return {static_cast<int32_t>(at >> 16), static_cast<int32_t>(at & 65535)};
}
FCDD_SHARED constexpr LatticePlace lattice_row(const SmoothNoise& n, int32_t y) {
  return lattice_place(n.rows, n.height, n.row_phase, y);
}
FCDD_SHARED constexpr LatticePlace lattice_column(const SmoothNoise& n, int32_t x) {
  return lattice_place(n.columns, n.width, n.column_phase, x);
}

FCDD_SHARED constexpr int32_t lattice_nodes(const SmoothNoise& n) {
  return (n.rows + 2) * (n.columns + 2);
}
// `draws` is the stream Purpose::Lattice.
FCDD_SHARED constexpr int32_t lattice_value(const SmoothNoise& n, const Draws& draws, int32_t node) {
  if (node == n.top_node) return node_value - 1;
  return static_cast<int32_t>(draws.word(static_cast<uint64_t>(node)) >> 16);
}

// 3 f^2 - 2 f^3 in units of 2^-16.
FCDD_SHARED constexpr int32_t smooth_step(int32_t fraction) {
  const uint64_t f = static_cast<uint64_t>(fraction);
  return static_cast<int32_t>((f * f * (3 * 65536 - 2 * f)) >> 32);
}
FCDD_SHARED constexpr int32_t towards(int32_t a, int32_t b, int32_t part) {
  return a + static_cast<int32_t>((int64_t{b - a} * part) >> 16);
}
// Whether the noise exceeds its level between four nodes, at smooth steps `down` and `right`.
FCDD_SHARED constexpr bool exceeds(int32_t above_left, int32_t above_right, int32_t below_left,
                                   int32_t below_right, int32_t down, int32_t right) {
  return towards(towards(above_left, above_right, right), towards(below_left, below_right, right), down) >=
         smooth_level;
}

// Whether a patch covers a pixel of the image.
FCDD_SHARED constexpr bool patch_covers(const Patch& p, const Draws& lattice, int32_t y, int32_t x) {
  if (p.source == FCDD_CUT_PASTE) {
    return y >= p.top && y < p.top + p.rows && x >= p.left && x < p.left + p.columns;
  }
  const LatticePlace row = lattice_row(p.mask, y), column = lattice_column(p.mask, x);
  const int32_t across = p.mask.columns + 2, node = row.node * across + column.node;
  return exceeds(lattice_value(p.mask, lattice, node), lattice_value(p.mask, lattice, node + 1),
                 lattice_value(p.mask, lattice, node + across),
                 lattice_value(p.mask, lattice, node + across + 1), smooth_step(row.fraction),
                 smooth_step(column.fraction));
}

// The donor's pixel (row * width + column) that a covered pixel shows.
FCDD_SHARED constexpr int64_t donor_place(const Patch& p, int32_t y, int32_t x) {
  if (p.source == FCDD_CUT_PASTE) {
    return int64_t{y - p.top + p.from_top} * p.width + (x - p.left + p.from_left);
  }
  const bool swapped = (p.turn & 1) != 0;
  int32_t row = ((swapped ? x : y) + p.from_top) % p.height;
  int32_t column = ((swapped ? y : x) + p.from_left) % p.width;
  if (p.turn & 2) row = p.height - 1 - row;
  if (p.turn & 4) column = p.width - 1 - column;
  return int64_t{row} * p.width + column;
}

// What to add to a level of channel c to get from the image to the patch; never leaves 0...255.
FCDD_SHARED constexpr int32_t patch_step(const Patch& p, int32_t c, int32_t level, int32_t donor) {
  const int32_t shown = between((donor * p.gain[c] + one_gain / 2) >> 16, 0, 255);
  return ((shown - level) * p.opacity + full_opacity / 2) >> 8;
}

// Side `which` of the lattice: 2, 4, ... 32 cells, none of which is smaller than least_cell pixels.
FCDD_SHARED constexpr int32_t cells_of(uint32_t which, int32_t extent) {
  int32_t cells = 2 << which;
  while (cells > 1 && cells * least_cell > extent) cells /= 2;
  return cells;
}

FCDD_SHARED constexpr void draw_gains(Draws& draws, double range, bool grey, Patch& p) {
  const double brightness = draws.next_between(1 - range, 1 + range);
  for (int c = 0; c < 3; c++) {
    const double own = draws.next_between(0.95, 1.05);
    p.gain[c] = static_cast<int32_t>(brightness * (grey ? 1 : own) * one_gain);
  }
}

FCDD_SHARED constexpr void draw_rectangle(Draws& draws, const FcddImage& image, int32_t centre, Patch& p) {
  const int32_t height = image.height < p.height ? image.height : p.height;
  const int32_t width = image.width < p.width ? image.width : p.width;
  const double area = draws.next_between(0.02, 0.15) * height * width;
  const double proportion = draws.next_between(0.3, 1);
  const bool tall = draws.next_chance(0.5);
  const int32_t shorter = integer_root(static_cast<uint64_t>(area * proportion));
  const int32_t longer = integer_root(static_cast<uint64_t>(area / proportion));
  p.rows = between(tall ? longer : shorter, 1, height);
  p.columns = between(tall ? shorter : longer, 1, width);
  p.top = between(centre / image.width - p.rows / 2, 0, image.height - p.rows);
  p.left = between(centre % image.width - p.columns / 2, 0, image.width - p.columns);
  p.from_top = draws.next_integer(0, p.height - p.rows);
  p.from_left = draws.next_integer(0, p.width - p.columns);
}

FCDD_SHARED constexpr void draw_texture(Draws& draws, const FcddImage& image, int32_t centre, Patch& p) {
  p.from_top = draws.next_integer(0, p.height - 1);
  p.from_left = draws.next_integer(0, p.width - 1);
  p.turn = draws.next_integer(0, 7);
  p.opacity = draws.next_integer(full_opacity / 10 + 1, full_opacity);
  SmoothNoise& n = p.mask;
  n.height = image.height;
  n.width = image.width;
  n.rows = cells_of(draws.next_below(5), image.height);
  n.columns = cells_of(draws.next_below(5), image.width);
  n.row_phase = draws.next_integer(0, 65535);
  n.column_phase = draws.next_integer(0, 65535);
  const LatticePlace row = lattice_row(n, centre / image.width),
                     column = lattice_column(n, centre % image.width);
  n.top_node = (row.node + (row.fraction >> 15)) * (n.columns + 2) + column.node + (column.fraction >> 15);
}

// The patch of one sample: image `number` of `images`. `donors` are the exposure store's images for a texture
// that has one (`apart`), else the images themselves. Allowed extents (draws.h) of the image are taken for
// granted, those of the donor are not: where they are not allowed nothing but its number is drawn.
FCDD_SHARED constexpr Patch draw_patch(const DrawKey& key, const FcddSupervision& s, const FcddImage* images,
                                       int32_t number, const FcddImage* donors, int32_t count, bool apart,
                                       const uint8_t* foreground) {
  Draws draws = key.stream(Purpose::Patch);
  const FcddImage& image = images[number];
  const bool own = draws.next_chance(0.5);
  const int32_t other = static_cast<int32_t>(draws.next_below(static_cast<uint32_t>(count)));
  Patch p = {};
  p.source = s.source;
  p.apart = apart;
  p.donor = own && !apart ? number : other;
  p.height = donors[p.donor].height;
  p.width = donors[p.donor].width;
  p.opacity = full_opacity;
  if (!extents_allowed(donors[p.donor])) return p;
  const int32_t centre = static_cast<int32_t>(
      centre_of(draws, 0, draws.next(),
                static_cast<uint32_t>(image.height) * static_cast<uint32_t>(image.width), foreground));
  draw_gains(draws, s.source == FCDD_TEXTURE ? 0.3 : 0.1, s.grey != 0, p);
  if (s.source == FCDD_TEXTURE) {
    draw_texture(draws, image, centre, p);
  } else {
    draw_rectangle(draws, image, centre, p);
  }
  return p;
}

}  // namespace fcdd
