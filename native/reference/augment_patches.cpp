// Stage 1, cut-paste and texture: the steps from an image to the patch that replaces a part of it.
#include <algorithm>

#include "fcdd/pil.h"
#include "reference/augment_stages.h"

namespace fcdd::reference {

void patch_noise(const Patch& patch, const DrawKey& key, const uint8_t* donor, int32_t donor_channels,
                 const Sample& s, int32_t* noise) {
  const Draws lattice = key.stream(Purpose::Lattice);
  std::fill_n(noise, s.values(), 0);
  for (int32_t y = 0; y < s.height; y++) {
    for (int32_t x = 0; x < s.width; x++) {
      if (!patch_covers(patch, lattice, y, x)) continue;
      const uint8_t* from = donor + donor_place(patch, y, x) * donor_channels;
      const uint8_t grey = donor_channels == 3 ? grey_level(from[0], from[1], from[2]) : from[0];
      const int64_t at = (int64_t{y} * s.width + x) * s.channels;
      for (int32_t c = 0; c < s.channels; c++) {
        const int32_t shown = donor_channels == s.channels ? from[c] : grey;
        noise[at + c] = patch_step(patch, c, s.pixels[at + c], shown);
      }
    }
  }
}

}  // namespace fcdd::reference
