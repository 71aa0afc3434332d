// The synthetic sources that draw every value for itself: gaussian, uniform, and solid, which is one colour
// (reference/augment_noise.cpp says what each is). A draw is one word of Philox; a thread makes the four of a
// block.
#include "cuda/augment_blocks.h"
#include "cuda/augment_sample.h"
#include "fcdd/normal.h"

namespace fcdd::cuda {
namespace {

FCDD_GPU int16_t level_of(int32_t source, uint32_t bits) {
  return static_cast<int16_t>(source == FCDD_GAUSSIAN ? gaussian_level(bits)
                                                      : static_cast<int32_t>(below_from_bits(bits, 256)));
}

// Four draws, of four values or, in grey, of four pixels.
FCDD_GPU void draw_quad(const AugmentBatch& b, const Draws& draws, int64_t quad, int64_t words,
                        int16_t* out) {
  const int copies = b.supervision.grey != 0 ? b.pipeline.channels : 1;
  const Philox4 bits = draws.block(static_cast<uint32_t>(quad));
  FCDD_UNROLL
  for (int k = 0; k < 4; k++) {
    const int64_t word = 4 * quad + k;
    if (word >= words) return;
    const int16_t level = level_of(b.supervision.source, bits.v[k]);
    for (int c = 0; c < copies; c++) out[word * copies + c] = level;
  }
}

FCDD_KERNEL void noise_values_kernel(AugmentBatch b, int slices) {
  const BlockPlace at = block_place(slices);
  const SampleState& s = b.samples[at.sample];
  if (s.skipped || s.plan.mode == FCDD_UNSUPERVISED) return;
  const int channels = b.pipeline.channels;
  const bool grey = b.supervision.grey != 0;
  const int64_t area = stored_area(s);
  const Draws draws = s.plan.anomaly.stream(Purpose::NoiseValues);
  int16_t* out = b.noise + static_cast<uint64_t>(at.sample) * b.noise_values;
  if (b.supervision.source == FCDD_SOLID) {
    const Philox4 colour = draws.block(0);
    const Range range = slice_range(area, at.slice, slices);
    for (int64_t i = range.first + threadIdx.x; i < range.past; i += augment_threads) {
      FCDD_UNROLL
      for (int c = 0; c < 3; c++) {
        if (c < channels) out[i * channels + c] = level_of(FCDD_SOLID, colour.v[grey ? 0 : c]);
      }
    }
    return;
  }
  const int64_t words = grey ? area : area * channels;
  const Range range = slice_range((words + 3) / 4, at.slice, slices);
  for (int64_t quad = range.first + threadIdx.x; quad < range.past; quad += augment_threads) {
    draw_quad(b, draws, quad, words, out);
  }
}

}  // namespace

void launch_noise_values(Stream stream, const AugmentBatch& b, int slices) {
  const unsigned blocks = static_cast<unsigned>(b.batch) * static_cast<unsigned>(slices);
  launch("augment (noise)", noise_values_kernel, {dim3(blocks), dim3(augment_threads)}, stream, b, slices);
}

}  // namespace fcdd::cuda
