// The synthetic sources made of squares: confetti (painted, then blurred), blob and mixed-blob
// (fcdd/squares.h).
//
// A block works on tiles of 32 x 32 pixels and paints, for confetti, the 12 pixels around that the blur
// reaches as well, at their reflected places. Every thread owns some pixels of the tile and looks at all
// squares: the winner of a pixel is the largest square, of two of a side the later one, so the order of
// painting does not matter and nobody races. The squares are drawn again for each tile: that is cheaper than
// room for as many as there might be.
#include "cuda/augment_blocks.h"
#include "cuda/augment_sample.h"

namespace fcdd::cuda {
namespace {

constexpr int tile = 32;
constexpr int chunk = 128;  // squares that are looked at together
constexpr uint32_t covered = 1u << 31;
constexpr uint32_t one_level = 1 + (1 << 10) + (1 << 20);

struct BlurTaps {
  uint32_t v[blur_reach + 1];
};

// A painted pixel: three levels of 10 bits, and bit 31 where the second layer covers it.
FCDD_GPU uint32_t packed_colour(const Square& square) {
  return static_cast<uint32_t>(square.colour[0]) | static_cast<uint32_t>(square.colour[1]) << 10 |
         static_cast<uint32_t>(square.colour[2]) << 20;
}

template <int Halo>
struct Painting {
  static constexpr int extent = tile + 2 * Halo;
  static constexpr int pixels = extent * extent;
  uint32_t winner[pixels];  // side and number of the square on top; 0: none
  uint32_t level[pixels];
};

// Rows or columns of the image that a painting shows along one axis.
struct Span {
  int32_t low, high;
};
FCDD_GPU Span shown_span(int32_t first, int32_t past, int32_t n) {
  const int32_t last = past - 1;
  int32_t low = max(first, 0), high = min(last, n - 1);
  if (first < 0) high = max(high, min(-first, n - 1));
  if (last >= n) low = min(low, max(2 * (n - 1) - last, 0));
  return {low, high};
}

struct TilePlace {
  int32_t y, x;  // of the first pixel
  Span rows, columns;
};

FCDD_GPU TilePlace tile_place(const SampleState& s, int64_t number, int halo) {
  const int32_t across = (s.image.width + tile - 1) / tile;
  const int32_t y = static_cast<int32_t>(number / across) * tile,
                x = static_cast<int32_t>(number % across) * tile;
  return {y, x, shown_span(y - halo, y + tile + halo, s.image.height),
          shown_span(x - halo, x + tile + halo, s.image.width)};
}

FCDD_GPU bool meets(const Square& square, const TilePlace& at) {
  const int32_t r = reach(square);
  return square.row + r >= at.rows.low && square.row - r <= at.rows.high &&
         square.column + r >= at.columns.low && square.column - r <= at.columns.high;
}

// Square number q of both layers together; side 0 when the tile does not show it.
FCDD_GPU Square draw_for_tile(const AugmentBatch& b, const SampleState& s, const SquareLayers& layers,
                              uint32_t q, const TilePlace& at) {
  const bool second = q >= s.squares[0];
  const Draws draws = s.plan.anomaly.stream(second ? Purpose::MoreSquares : Purpose::Squares);
  Square square = draw_square(draws, layers.layer[second ? 1 : 0], second ? q - s.squares[0] : q,
                              s.image.height, s.image.width, b.supervision.grey != 0,
                              foreground_of(b.supervision, s.image, b.images.bytes));
  if (!meets(square, at)) square.side = 0;
  return square;
}

// Lays one square over the pixels of this thread.
template <int Halo>
FCDD_GPU void lay(const Square& square, uint32_t number, bool second, const SampleState& s,
                  const TilePlace& at, Painting<Halo>& painting) {
  constexpr int extent = Painting<Halo>::extent;
  const uint32_t key = static_cast<uint32_t>(square.side) << 26 | number;
  for (int p = static_cast<int>(threadIdx.x); p < Painting<Halo>::pixels; p += augment_threads) {
    const int32_t y = reflected(at.y + p / extent - Halo, s.image.height);
    const int32_t x = reflected(at.x + p % extent - Halo, s.image.width);
    if (!covers(square, y, x)) continue;
    if (second) {
      painting.level[p] |= covered;
    } else if (key >= painting.winner[p]) {
      painting.winner[p] = key;
      painting.level[p] = (painting.level[p] & covered) | packed_colour(square);
    }
  }
}

// Paints a tile; each thread sees its own pixels alone. Returns whether there is anything.
template <int Halo>
FCDD_GPU bool paint(const AugmentBatch& b, const SampleState& s, const SquareLayers& layers,
                    const TilePlace& at, Painting<Halo>& painting, Square (&squares)[chunk]) {
  for (int p = static_cast<int>(threadIdx.x); p < Painting<Halo>::pixels; p += augment_threads) {
    painting.winner[p] = 0;
    painting.level[p] = 0;
  }
  const uint32_t count = s.squares[0] + s.squares[1];
  bool any = false;
  for (uint32_t first = 0; first < count; first += chunk) {
    const uint32_t here = min(count - first, static_cast<uint32_t>(chunk));
    sync_block();  // the squares before have been looked at by all
    if (threadIdx.x < here) squares[threadIdx.x] = draw_for_tile(b, s, layers, first + threadIdx.x, at);
    sync_block();
    for (uint32_t k = 0; k < here; k++) {
      if (squares[k].side == 0) continue;
      any = true;
      const bool second = first + k >= s.squares[0];
      lay(squares[k], first + k, second, s, at, painting);
    }
  }
  return any;
}

// The blur of fcdd/squares.h along rows; 6 fractional bits.
FCDD_GPU void blur_rows(const BlurTaps& taps, const Painting<blur_reach>& painting, int planes,
                        uint16_t (&rows)[3][Painting<blur_reach>::extent][tile]) {
  constexpr int extent = Painting<blur_reach>::extent;
  for (int p = static_cast<int>(threadIdx.x); p < extent * tile; p += augment_threads) {
    const int y = p / tile, x = p % tile;
    uint32_t sum[3] = {512, 512, 512};
    FCDD_UNROLL
    for (int t = -blur_reach; t <= blur_reach; t++) {
      const uint32_t level = painting.level[y * extent + x + blur_reach + t], tap = taps.v[t < 0 ? -t : t];
      FCDD_UNROLL
      for (int c = 0; c < 3; c++) sum[c] += tap * (level >> (10 * c) & 1023);
    }
    FCDD_UNROLL
    for (int c = 0; c < 3; c++) {
      if (c < planes) rows[c][y][x] = static_cast<uint16_t>(sum[c] >> 10);
    }
  }
}

// And along columns, into the noise.
FCDD_GPU void blur_columns(const BlurTaps& taps,
                           const uint16_t (&rows)[3][Painting<blur_reach>::extent][tile], int planes,
                           int channels, const SampleState& s, const TilePlace& at, int16_t* noise) {
  for (int p = static_cast<int>(threadIdx.x); p < tile * tile; p += augment_threads) {
    const int y = p / tile, x = p % tile;
    if (at.y + y >= s.image.height || at.x + x >= s.image.width) continue;
    int16_t* out = noise + (int64_t{at.y + y} * s.image.width + at.x + x) * channels;
    for (int c = 0; c < channels; c++) {
      const int plane = min(c, planes - 1);
      uint32_t sum = 0;
      FCDD_UNROLL
      for (int t = -blur_reach; t <= blur_reach; t++) {
        sum += taps.v[t < 0 ? -t : t] * rows[plane][y + blur_reach + t][x];
      }
      out[c] = static_cast<int16_t>(-static_cast<int32_t>(sum >> 22));
    }
  }
}

// Nothing was painted anywhere near.
FCDD_GPU void clear_tile(int channels, const SampleState& s, const TilePlace& at, int16_t* noise) {
  for (int p = static_cast<int>(threadIdx.x); p < tile * tile; p += augment_threads) {
    const int32_t y = at.y + p / tile, x = at.x + p % tile;
    if (y >= s.image.height || x >= s.image.width) continue;
    for (int c = 0; c < channels; c++) noise[(int64_t{y} * s.image.width + x) * channels + c] = 0;
  }
}

FCDD_GPU int64_t tiles_of(const SampleState& s) {
  return int64_t{(s.image.height + tile - 1) / tile} * ((s.image.width + tile - 1) / tile);
}

FCDD_KERNEL void FCDD_BOUNDS(augment_threads, 2)
    confetti_kernel(AugmentBatch b, SquareLayers layers, BlurTaps taps, int slices) {
  FCDD_SHARED_ARRAY(Square, squares, [chunk]);
  FCDD_SHARED_ARRAY(Painting<blur_reach>, painting, [1]);
  FCDD_SHARED_ARRAY(uint16_t, rows, [3][Painting<blur_reach>::extent][tile]);
  const BlockPlace block = block_place(slices);
  const SampleState& s = b.samples[block.sample];
  if (s.skipped || s.plan.mode == FCDD_UNSUPERVISED) return;
  const int channels = b.pipeline.channels, planes = b.supervision.grey != 0 ? 1 : channels;
  int16_t* noise = b.noise + static_cast<uint64_t>(block.sample) * b.noise_values;
  for (int64_t number = block.slice; number < tiles_of(s); number += slices) {
    const TilePlace at = tile_place(s, number, blur_reach);
    if (!paint(b, s, layers, at, painting[0], squares)) {
      clear_tile(channels, s, at, noise);
      continue;
    }
    for (int p = static_cast<int>(threadIdx.x); p < Painting<blur_reach>::pixels; p += augment_threads) {
      const uint32_t level = painting[0].level[p];
      if (level & covered) painting[0].level[p] = (level & ~covered) + 255 * one_level;
    }
    sync_block();
    blur_rows(taps, painting[0], planes, rows);
    sync_block();
    blur_columns(taps, rows, planes, channels, s, at, noise);
  }
}

FCDD_KERNEL void FCDD_BOUNDS(augment_threads, 2)
    blob_kernel(AugmentBatch b, SquareLayers layers, int slices) {
  FCDD_SHARED_ARRAY(Square, squares, [chunk]);
  FCDD_SHARED_ARRAY(Painting<0>, painting, [1]);
  const BlockPlace block = block_place(slices);
  const SampleState& s = b.samples[block.sample];
  if (s.skipped || s.plan.mode == FCDD_UNSUPERVISED) return;
  const int channels = b.pipeline.channels;
  const bool grey = b.supervision.grey != 0;
  const Draws colours = s.plan.anomaly.stream(Purpose::NoiseValues);
  int16_t* noise = b.noise + static_cast<uint64_t>(block.sample) * b.noise_values;
  for (int64_t number = block.slice; number < tiles_of(s); number += slices) {
    const TilePlace at = tile_place(s, number, 0);
    paint(b, s, layers, at, painting[0], squares);
    for (int p = static_cast<int>(threadIdx.x); p < tile * tile; p += augment_threads) {
      const int32_t y = at.y + p / tile, x = at.x + p % tile;
      if (y >= s.image.height || x >= s.image.width) continue;
      const int64_t pixel = int64_t{y} * s.image.width + x;
      const uint32_t level = painting[0].level[p];
      for (int c = 0; c < channels; c++) {
        int32_t value = static_cast<int32_t>(level & 1023);  // white
        if (level & covered) {
          const int64_t word = grey ? pixel : pixel * channels + c;
          value += static_cast<int32_t>(below_from_bits(colours.word(static_cast<uint64_t>(word)), 256));
        }
        noise[pixel * channels + c] = static_cast<int16_t>(value);
      }
    }
  }
}

}  // namespace

void launch_noise_squares(Stream stream, const AugmentBatch& b, const SquareLayers& layers, int slices) {
  const unsigned blocks = static_cast<unsigned>(b.batch) * static_cast<unsigned>(slices);
  const Launch shape = {dim3(blocks), dim3(augment_threads)};
  if (layers.confetti == 0) return launch("augment (blobs)", blob_kernel, shape, stream, b, layers, slices);
  BlurTaps taps;
  for (int i = 0; i <= blur_reach; i++) taps.v[i] = blur_taps[i];
  launch("augment (confetti)", confetti_kernel, shape, stream, b, layers, taps, slices);
}

}  // namespace fcdd::cuda
