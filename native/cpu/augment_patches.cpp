// Stage 1, cut-paste and texture: the steps from an image to the patch that replaces a part of it. A
// rectangle is visited alone; of a texture's mask the lattice is drawn once, and a row of pixels goes along
// it.
#include <algorithm>
#include <cstring>

#include "cpu/augment_stages.h"
#include "fcdd/pil.h"

namespace fcdd::cpu {
namespace {

// What the pixel of row y and column x needs to become the patch's.
void replace_pixel(const Patch& patch, const uint8_t* donor, int32_t donor_channels, int32_t y, int32_t x,
                   Extent e, AugmentScratch& scratch) {
  const uint8_t* from = donor + donor_place(patch, y, x) * donor_channels;
  const int64_t at = (int64_t{y} * e.width + x) * e.channels;
  uint8_t level[3] = {from[0], from[0], from[0]};
  if (donor_channels == 3 && e.channels == 1) {
    level[0] = grey_level(from[0], from[1], from[2]);
  } else if (donor_channels == 3) {
    std::copy_n(from, 3, level);
  }
  for (int32_t c = 0; c < e.channels; c++) {
    scratch.noise[at + c] = static_cast<int16_t>(patch_step(patch, c, scratch.pixels[at + c], level[c]));
  }
}

void paste(const Patch& patch, const uint8_t* donor, int32_t donor_channels, Extent e,
           AugmentScratch& scratch) {
  for (int32_t y = patch.top; y < patch.top + patch.rows; y++) {
    for (int32_t x = patch.left; x < patch.left + patch.columns; x++) {
      replace_pixel(patch, donor, donor_channels, y, x, e, scratch);
    }
  }
}

void blend_texture(const Patch& patch, const Draws& draws, const uint8_t* donor, int32_t donor_channels,
                   Extent e, AugmentScratch& scratch) {
  const SmoothNoise& mask = patch.mask;
  const int32_t across = mask.columns + 2, nodes = lattice_nodes(mask);
  int32_t values[most_nodes];
  for (int32_t i = 0; i < nodes; i += 4) {
    const Philox4 words = draws.block(static_cast<uint32_t>(i / 4));
    for (int32_t k = 0; k < std::min(4, nodes - i); k++)
      values[i + k] = static_cast<int32_t>(words.v[k] >> 16);
  }
  values[mask.top_node] = node_value - 1;
  for (int32_t y = 0; y < e.height; y++) {
    const LatticePlace row = lattice_row(mask, y);
    const int32_t down = smooth_step(row.fraction);
    for (int32_t x = 0; x < e.width; x++) {
      const LatticePlace column = lattice_column(mask, x);
      const int32_t* node = values + row.node * across + column.node;
      if (!exceeds(node[0], node[1], node[across], node[across + 1], down, smooth_step(column.fraction)))
        continue;
      replace_pixel(patch, donor, donor_channels, y, x, e, scratch);
    }
  }
}

}  // namespace

void patch_noise(const Patch& patch, const DrawKey& key, const uint8_t* donor, int32_t donor_channels,
                 Extent e, AugmentScratch& scratch) {
  std::memset(scratch.noise, 0, static_cast<size_t>(e.values()) * sizeof(int16_t));
  if (patch.source == FCDD_CUT_PASTE) return paste(patch, donor, donor_channels, e, scratch);
  blend_texture(patch, key.stream(Purpose::Lattice), donor, donor_channels, e, scratch);
}

}  // namespace fcdd::cpu
