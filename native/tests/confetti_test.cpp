// Confetti against its description (FCDD, Liznerski et al., ICLR 2021; liznerski/fcdd): how many squares, of
// which sides, colours and angles, how they are painted and blurred. Fixed seeds.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "augment_harness.h"
#include "check.h"
#include "fcdd/draws.h"
#include "fcdd/squares.h"
#include "reference/augment_stages.h"

namespace fcdd::test {
namespace {

Draws stream(uint32_t position, Purpose purpose = Purpose::Squares) {
  return Draws(13, purpose, position, 2);
}

// Whether two squares of a layer overlap near one of their centres.
bool overlaps(const Draws& draws, const SquareLayer& layer, int height, int width) {
  const uint32_t count = count_squares(draws, layer, static_cast<uint64_t>(height * width));
  for (uint32_t i = 0; i < count; i++) {
    for (uint32_t k = 0; k < count; k++) {
      const Square a = draw_square(draws, layer, i, height, width, false);
      const Square b = draw_square(draws, layer, k, height, width, false);
      if (i != k && covers(a, b.row, b.column)) return true;
    }
  }
  return false;
}

// The first positions whose layer (coloured or dark) has overlapping squares.
std::vector<uint32_t> overlapping_positions(size_t wanted, int height, int width) {
  std::vector<uint32_t> coloured, dark;
  for (uint32_t i = 0; coloured.size() < wanted || dark.size() < wanted; i++) {
    if (overlaps(stream(i), confetti_coloured, height, width)) coloured.push_back(i);
    if (overlaps(stream(i, Purpose::MoreSquares), confetti_dark, height, width)) dark.push_back(i);
  }
  coloured.resize(wanted);
  coloured.insert(coloured.end(), dark.begin(), dark.begin() + static_cast<int64_t>(wanted));
  return coloured;
}

// Noise of a source as a vector; 3 channels unless said.
std::vector<int32_t> noise_of(int source, uint32_t position, int height, int width, int channels = 3,
                              bool grey = false) {
  std::vector<uint8_t> pixels(static_cast<size_t>(height * width * channels)), mask(pixels.size());
  std::vector<int32_t> noise(pixels.size()), scratch(pixels.size());
  const reference::Sample s = {pixels.data(), mask.data(), height, width, channels};
  reference::synthetic_noise({FCDD_MALFORMED, source, 0, grey, 0.5, 0}, {13, position, 2}, s, nullptr,
                             noise.data(), scratch.data());
  return noise;
}

double binomial_mass(uint64_t n, double p, int k) {
  double log_mass = static_cast<double>(n) * std::log1p(-p);
  for (int i = 0; i < k; i++) {
    log_mass += std::log(static_cast<double>(n - static_cast<uint64_t>(i)) / (i + 1) * p / (1 - p));
  }
  return std::exp(log_mass);
}

}  // namespace

// Zero-truncated binomial counts at 240 x 240: means 1.61 and 1.39, and every probability.
TEST(confetti_counts_are_truncated_binomial) {
  for (const auto& [layer, mean] : {std::pair{confetti_coloured, 1.61}, std::pair{confetti_dark, 1.39}}) {
    const uint64_t pixels = 240 * 240;
    const int n = 20000;
    std::map<uint32_t, int> counts;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t count = count_squares(stream(i), layer, pixels);
      counts[count]++;
      sum += count;
    }
    CHECK(counts.begin()->first == 1);
    CHECK_LESS(std::abs(sum / n - mean), 0.03);
    const double truncation = 1 - binomial_mass(pixels, layer.probability, 0);
    for (int k = 1; k <= 6; k++) {
      const double p = binomial_mass(pixels, layer.probability, k) / truncation;
      CHECK_LESS(std::abs(counts[static_cast<uint32_t>(k)] - n * p), 4 * std::sqrt(n * p * (1 - p)) + 1);
    }
  }
}

// Small images have exactly one square nearly always; large ones are summed in parts.
TEST(square_counts_of_small_and_large_images) {
  for (uint32_t i = 0; i < 200; i++) CHECK(count_squares(stream(i), confetti_coloured, 28 * 28) <= 2);
  CHECK(count_squares(stream(1), confetti_dark, 1) == 1);
  for (const uint64_t pixels : {240u * 240u, 1000u * 1000u}) {
    const double mean = 0.002 * static_cast<double>(pixels);
    double sum = 0, squares = 0;
    const int n = 2000;
    for (uint32_t i = 0; i < n; i++) {
      const double count = count_squares(stream(i), blob_squares, pixels);
      sum += count;
      squares += (count - mean) * (count - mean);
    }
    CHECK_LESS(std::abs(sum / n - mean), 4 * std::sqrt(mean / n));
    CHECK_LESS(std::abs(squares / n / (mean * 0.998) - 1), 4 * std::sqrt(2.0 / n));
  }
}

TEST(confetti_squares_have_the_right_ranges) {
  std::map<int, int> sides, colours, rows;
  int clockwise = 0, grey = 0;
  const int n = 47000;
  for (uint32_t k = 0; k < n; k++) {
    const Square s = draw_square(stream(1), confetti_coloured, k, 100, 60, false);
    sides[s.side]++;
    rows[s.row]++;
    for (const int colour : s.colour) colours[colour]++;
    CHECK(s.column >= 0 && s.column < 60);
    CHECK(s.cosine >= 46340 && s.cosine <= 65536);  // |angle| <= 45 degrees
    CHECK(std::abs(s.sine) <= 46341);
    CHECK(std::abs(std::hypot(s.sine, s.cosine) - 65536) < 1.5);
    clockwise += s.sine > 0;
    grey += s.colour[0] == s.colour[1];
    const Square one = draw_square(stream(1), confetti_coloured, k, 100, 60, true);
    CHECK(one.colour[0] == one.colour[1] && one.colour[1] == one.colour[2] && one.row == s.row);
    const Square dark = draw_square(stream(1), confetti_dark, k, 100, 60, false);
    CHECK(dark.colour[0] == 255 && dark.colour[2] == 255);
  }
  CHECK(sides.size() == 47 && sides.begin()->first == 8 && sides.rbegin()->first == 54);
  CHECK(rows.size() == 100 && rows.begin()->first == 0);
  CHECK(colours.size() == 256 && colours.begin()->first == 1 && colours.rbegin()->first == 256);
  for (const auto& [side, count] : sides) CHECK_LESS(std::abs(count - 1000), 4 * std::sqrt(1000.0));
  CHECK_LESS(std::abs(clockwise - n / 2), 2 * std::sqrt(n));
  CHECK_LESS(std::abs(grey - n / 256.0), 4 * std::sqrt(n / 256.0));
}

TEST(squares_have_sine_and_cosine) {
  for (int i = -1000; i <= 1000; i++) {
    const double angle = i * M_PI / 4000;
    CHECK(std::abs(fixed_sine(angle) - 65536 * std::sin(angle)) <= 0.501);
    CHECK(std::abs(fixed_cosine(angle) - 65536 * std::cos(angle)) <= 0.501);
  }
}

// Upright squares cover -h/2+1 ... h/2 (even) or -(h-1)/2 ... (h-1)/2 (odd); turned ones about as many
// pixels.
TEST(squares_cover_what_they_should) {
  for (int side = 8; side <= 54; side++) {
    for (const double angle : {0.0, 0.3, -0.78}) {
      const Square s = {100, 120, side, fixed_sine(angle), fixed_cosine(angle), {}};
      int covered = 0, top = 1000, bottom = -1;
      for (int y = 0; y < 220; y++) {
        for (int x = 0; x < 240; x++) {
          if (!covers(s, y, x)) continue;
          covered++;
          top = std::min(top, y);
          bottom = std::max(bottom, y);
          CHECK(std::abs(y - s.row) <= reach(s) && std::abs(x - s.column) <= reach(s));
        }
      }
      if (angle == 0) {
        CHECK(covered == side * side);
        CHECK(bottom == 100 + side / 2 && top == bottom + 1 - side);
      }
      CHECK_LESS(std::abs(covered - side * side), 0.03 * side * side + 8);
    }
  }
}

TEST(confetti_blur_is_the_gaussian) {
  uint32_t sum = blur_taps[0];
  double total = 1;
  for (int t = 1; t <= blur_reach; t++) total += 2 * std::exp(-t * t / 50.0);
  for (int t = 0; t <= blur_reach; t++) {
    CHECK_LESS(std::abs(blur_taps[t] / 65536.0 - std::exp(-t * t / 50.0) / total), 1.0 / 65536);
    if (t > 0) sum += 2 * blur_taps[t];
  }
  CHECK(sum == 65536);
  CHECK(reflected(-1, 10) == 1 && reflected(-12, 10) == 6 && reflected(10, 10) == 8 && reflected(0, 10) == 0);
  CHECK(reflected(-5, 1) == 0 && reflected(7, 2) == 1 && reflected(-12, 3) == 0);
}

// The whole image: darkening, within -511 ... 0, the flat inside of a large square keeps its colour, and the
// blur agrees with one in floating point to 0.02 levels before truncation.
TEST(confetti_images_are_blurred_squares) {
  const int height = 150, width = 170;
  std::vector<uint32_t> positions = overlapping_positions(3, height, width);
  positions.insert(positions.end(), {0, 1, 2, 3, 4});
  for (const uint32_t position : positions) {
    std::vector<double> painted(static_cast<size_t>(height * width * 3));
    for (const auto& [layer, purpose] :
         {std::pair{confetti_coloured, Purpose::Squares}, std::pair{confetti_dark, Purpose::MoreSquares}}) {
      const Draws draws = stream(position, purpose);
      const uint32_t count = count_squares(draws, layer, static_cast<uint64_t>(height * width));
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          Square top = {};  // the largest square here
          for (uint32_t k = 0; k < count; k++) {
            const Square s = draw_square(draws, layer, k, height, width, false);
            if (covers(s, y, x) && s.side >= top.side) top = s;
          }
          for (int c = 0; c < 3; c++) painted[static_cast<size_t>((y * width + x) * 3 + c)] -= top.colour[c];
        }
      }
    }
    double worst = 0, total = 1;
    for (int t = 1; t <= 12; t++) total += 2 * std::exp(-t * t / 50.0);
    const std::vector<int32_t> noise = noise_of(FCDD_CONFETTI, position, height, width);
    for (int y = 0; y < height; y += 3) {
      for (int x = 0; x < width; x += 3) {
        double blurred = 0;
        for (int i = -12; i <= 12; i++) {
          for (int j = -12; j <= 12; j++) {
            const int at = (reflected(y + i, height) * width + reflected(x + j, width)) * 3 + 1;
            blurred += painted[static_cast<size_t>(at)] * std::exp(-(i * i + j * j) / 50.0) / total / total;
          }
        }
        const int32_t got = noise[static_cast<size_t>((y * width + x) * 3 + 1)];
        CHECK(got <= 0 && got >= -511);
        worst = std::max(worst, std::abs(got - blurred - 0.5));  // truncated towards zero
      }
    }
    CHECK_LESS(worst, 0.52);
  }
}

// `cpu` paints and blurs otherwise: overlapping squares are where it could go wrong.
TEST(confetti_overlaps_agree_between_devices) {
  for (const uint32_t position : overlapping_positions(4, 120, 110)) {
    AugmentCase c;
    c.settings.pipeline = plain_pipeline(3, 120, 110);
    c.settings.supervision = {FCDD_NOISE, FCDD_CONFETTI, 0, 0, 1, 0};
    c.settings.seed = 13;
    c.settings.epoch = 2;
    c.settings.first = position;
    c.settings.batch = 1;
    c.images.add(120, 110, 0, [](int, int, int) { return 0; });
    const Augmented truth = run_augment(c, {"reference", "", 1});
    CHECK(run_augment(c, {"cpu", "", 1}).bytes == truth.bytes);
    const std::vector<int32_t> noise = noise_of(FCDD_CONFETTI, position, 120, 110);
    for (size_t i = 0; i < noise.size(); i++) CHECK(truth.bytes[i] == std::min(255, -noise[i]));
  }
}

TEST(synthetic_noise_has_its_distribution) {
  const std::vector<int32_t> uniform = noise_of(FCDD_UNIFORM, 1, 100, 100);
  CHECK(*std::min_element(uniform.begin(), uniform.end()) == 0);
  CHECK(*std::max_element(uniform.begin(), uniform.end()) == 255);
  const std::vector<int32_t> gaussian = noise_of(FCDD_GAUSSIAN, 1, 100, 100);
  double sum = 0, squares = 0;
  for (const int32_t v : gaussian) {
    sum += v + 0.5;
    squares += (v + 0.5) * (v + 0.5);
  }
  CHECK_LESS(std::abs(sum / 30000), 4 * 64 / std::sqrt(30000.0));
  CHECK_LESS(std::abs(std::sqrt(squares / 30000) / 64 - 1), 4 / std::sqrt(60000.0));
  const std::vector<int32_t> solid = noise_of(FCDD_SOLID, 1, 20, 20);
  for (size_t i = 3; i < solid.size(); i++) CHECK(solid[i] == solid[i - 3]);
  CHECK(solid[0] != solid[1] || solid[1] != solid[2]);
  const std::vector<int32_t> blob = noise_of(FCDD_BLOB, 1, 240, 240);
  int64_t white = 0;
  for (const int32_t v : blob) {
    CHECK(v == 0 || v == 255);
    white += v == 255;
  }
  CHECK_LESS(std::abs(static_cast<double>(white) / (240 * 240 * 3) - 0.0695), 0.02);  // 1 - exp(-0.002 * 36)
  int64_t coloured = 0, mixed_white = 0;
  for (const int32_t v : noise_of(FCDD_MIXED_BLOB, 4, 240, 240)) {
    CHECK(v >= 0 && v <= 510);
    coloured += v > 0 && v < 255;
    mixed_white += v >= 255;
  }
  CHECK(coloured >= 900 && mixed_white >= 900);
}

TEST(grey_noise_has_equal_channels) {
  for (int source = FCDD_CONFETTI; source <= FCDD_MIXED_BLOB; source++) {
    const std::vector<int32_t> noise = noise_of(source, 3, 60, 50, 3, true);
    const std::vector<int32_t> single = noise_of(source, 3, 60, 50, 1, false);
    int64_t present = 0;
    for (size_t i = 0; i < noise.size(); i += 3) {
      CHECK(noise[i] == noise[i + 1] && noise[i] == noise[i + 2]);
      CHECK(noise[i] == single[i / 3]);
      present += noise[i] != 0;
    }
    CHECK(present > 0);
  }
}

}  // namespace fcdd::test
