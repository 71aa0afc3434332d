// Squares at random places: the raw material of the synthetic noise confetti, blob and mixed-blob (FCDD,
// Liznerski et al., ICLR 2021; reference code liznerski/fcdd, datasets/noise.py). Which squares there are,
// and which pixels a square covers, as pure integer functions of a stream of draws; painting, blurring and
// adding is left to devices.
//
// A layer: every pixel is the centre of a square with probability p, independently, drawn again while there
// is none (so the count follows a zero-truncated binomial distribution). Sides are uniform; squares may be
// rotated by up to 45 degrees; a square has one random colour, or a random grey. Larger squares lie over
// smaller ones, of two of the same side the later one is on top. Squares are clipped at the border. Unlike
// the reference code a rotation turns the square alone (there a window of the image, cutting neighbours).
#pragma once

#include <stdint.h>

#include "fcdd/rng.h"

namespace fcdd {

// Colours are magnitudes; the devices decide whether a layer brightens or darkens.
struct SquareLayer {
  double probability;  // of a centre, per pixel
  int32_t least_side, greatest_side;
  int32_t rotated;                        // by up to +-45 degrees
  int32_t least_colour, greatest_colour;  // per channel
};

constexpr SquareLayer confetti_coloured = {1.8e-5, 8, 54, 1, 1, 256};
constexpr SquareLayer confetti_dark = {1.2e-5, 8, 54, 1, 255, 255};
constexpr SquareLayer blob_squares = {0.002, 6, 6, 0, 255, 255};
constexpr SquareLayer mixed_blob_squares = {1e-5, 34, 34, 0, 255, 255};

struct Square {
  int32_t row, column;  // of the centre, inside the image
  int32_t side;
  int32_t sine, cosine;  // of the angle, times 2^16
  int32_t colour[3];
};

// Sine and cosine of |angle| <= pi/4 times 2^16, rounded: Taylor polynomials, exact to 1e-9 before rounding.
FCDD_SHARED constexpr int32_t fixed_sine(double a) {
  const double q = a * a;
  double s = 1.0 / 362880;
  s = s * q - 1.0 / 5040;
  s = s * q + 1.0 / 120;
  s = s * q - 1.0 / 6;
  s = (s * q + 1) * a * 65536;
  return static_cast<int32_t>(s < 0 ? s - 0.5 : s + 0.5);
}
FCDD_SHARED constexpr int32_t fixed_cosine(double a) {
  const double q = a * a;
  double c = -1.0 / 3628800;
  c = c * q + 1.0 / 40320;
  c = c * q - 1.0 / 720;
  c = c * q + 1.0 / 24;
  c = c * q - 0.5;
  return static_cast<int32_t>((c * q + 1) * 65536 + 0.5);
}

// base^n by squaring: the same products in the same order everywhere, unlike pow.
FCDD_SHARED constexpr double integer_power(double base, uint64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1) {
    if (n & 1) result *= base;
    base *= base;
  }
  return result;
}

// The binomial(n, p) number with distribution function F(k-1) <= u < F(k), by walking up from 0. For n p
// below 100.
FCDD_SHARED constexpr uint32_t binomial_quantile(double u, uint64_t n, double p) {
  double mass = integer_power(1 - p, n);
  double sum = mass;
  uint64_t k = 0;
  while (u >= sum && k < n) {
    mass = mass * static_cast<double>(n - k) / static_cast<double>(k + 1) * (p / (1 - p));
    sum += mass;
    k++;
  }
  return static_cast<uint32_t>(k);
}

// Large images are the sum of independent parts of this many pixels, with a mean of at most 16 squares each,
// so that the probability of 0 never underflows.
FCDD_SHARED constexpr uint64_t part_pixels(const SquareLayer& layer) {
  return static_cast<uint64_t>(16 / layer.probability);
}
FCDD_SHARED constexpr uint64_t parts_of(const SquareLayer& layer, uint64_t pixels) {
  const uint64_t part = part_pixels(layer);
  return pixels <= part ? 1 : pixels / part + (pixels % part != 0);
}

// Squares of part i of a layer of `pixels` pixels. In one part the draw is of the truncated distribution
// itself.
FCDD_SHARED constexpr uint32_t count_in_part(const Draws& draws, const SquareLayer& layer, uint64_t pixels,
                                             uint64_t i) {
  constexpr uint64_t first_word = uint64_t{1} << 33;  // far beyond the words of the squares themselves
  const uint64_t part = part_pixels(layer);
  double u = unit_from_bits(draws.word(first_word + i));
  if (pixels <= part) {
    const double none = integer_power(1 - layer.probability, pixels);
    u = none + (1 - none) * u;
    return binomial_quantile(u, pixels, layer.probability);
  }
  const uint64_t rest = pixels - i * part;
  return binomial_quantile(u, rest < part ? rest : part, layer.probability);
}

// How many squares a layer has; at least 1: in several parts "none at all" has a probability below 1e-7 and
// counts as one.
FCDD_SHARED constexpr uint32_t count_squares(const Draws& draws, const SquareLayer& layer, uint64_t pixels) {
  uint32_t count = 0;
  for (uint64_t i = 0; i < parts_of(layer, pixels); i++) count += count_in_part(draws, layer, pixels, i);
  return count > 0 ? count : 1;
}

// A place among `pixels`, from `bits`. With a foreground (1 where the object is; null: everywhere) others are
// tried, up to a limit, until one lies on it: words of the stream that belong to thing number k alone.
constexpr uint32_t centre_tries = 64;
FCDD_SHARED constexpr uint32_t centre_of(const Draws& draws, uint32_t k, uint32_t bits, uint32_t pixels,
                                         const uint8_t* foreground) {
  constexpr uint64_t first_word = uint64_t{1}
                                  << 32;  // beyond those of the squares, before those of the counts
  uint32_t centre = below_from_bits(bits, pixels);
  for (uint32_t t = 0; foreground != nullptr && foreground[centre] == 0 && t < centre_tries; t++) {
    centre = below_from_bits(draws.word(first_word + uint64_t{k} * centre_tries + t), pixels);
  }
  return centre;
}

// Square number k of a layer, from blocks 2k and 2k+1 of its stream. `grey` gives all channels one value.
// With a foreground its centre lies there, so that as many squares are seen on a small object.
FCDD_SHARED constexpr Square draw_square(const Draws& draws, const SquareLayer& layer, uint32_t k,
                                         int32_t height, int32_t width, bool grey,
                                         const uint8_t* foreground = nullptr) {
  const Philox4 a = draws.block(2 * k), b = draws.block(2 * k + 1);
  const uint32_t centre =
      centre_of(draws, k, a.v[0], static_cast<uint32_t>(height) * static_cast<uint32_t>(width), foreground);
  const uint32_t sides = static_cast<uint32_t>(layer.greatest_side - layer.least_side + 1);
  const uint32_t colours = static_cast<uint32_t>(layer.greatest_colour - layer.least_colour + 1);
  const double angle = layer.rotated ? (2 * unit_from_bits(a.v[2]) - 1) * 0.78539816339744831 : 0.0;
  Square square = {static_cast<int32_t>(centre / static_cast<uint32_t>(width)),
                   static_cast<int32_t>(centre % static_cast<uint32_t>(width)),
                   layer.least_side + static_cast<int32_t>(below_from_bits(a.v[1], sides)),
                   fixed_sine(angle),
                   fixed_cosine(angle),
                   {}};
  for (int c = 0; c < 3; c++) {
    square.colour[c] = layer.least_colour + static_cast<int32_t>(below_from_bits(b.v[grey ? 0 : c], colours));
  }
  return square;
}

// Whether a square covers a pixel: turned back about the centre and rounded to the nearest pixel, the pixel
// lies within -h/2+1 ... h/2 (even side h) or -(h-1)/2 ... (h-1)/2 (odd) on both axes.
FCDD_SHARED constexpr bool covers(const Square& square, int32_t row, int32_t column) {
  const int32_t dy = row - square.row, dx = column - square.column;
  const int32_t u = square.cosine * dx + square.sine * dy;
  const int32_t v = square.cosine * dy - square.sine * dx;
  const int32_t high = square.side / 2, low = high + 1 - square.side;
  const int32_t least = (2 * low - 1) * 32768, limit = (2 * high + 1) * 32768;
  return u >= least && u < limit && v >= least && v < limit;
}

// No pixel further from the centre than this, on either axis, is covered.
FCDD_SHARED constexpr int32_t reach(const Square& square) {
  return square.side * 3 / 4 + 2;
}

// Confetti's blur in fixed point: 25 taps of a Gaussian with sigma 5, sum 2^16. Half of the symmetric kernel,
// from the centre outwards. Rows first: h = (sum w v + 512) >> 10 keeps 6 fractional bits; then columns,
// truncated: (sum w h) >> 22. A flat area keeps its value exactly. Magnitudes up to 511 stay within 32 bits.
constexpr int32_t blur_reach = 12;
constexpr uint32_t blur_taps[blur_reach + 1] = {5294, 5189, 4887, 4422, 3844, 3211, 2577,
                                                1987, 1472, 1048, 716,  471,  297};

// Index of a reflected border that does not repeat the edge: -1 is 1, n is n-2. Any i, any n >= 1.
FCDD_SHARED constexpr int32_t reflected(int32_t i, int32_t n) {
  if (n == 1) return 0;
  const int32_t period = 2 * (n - 1);
  i = i % period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

}  // namespace fcdd
