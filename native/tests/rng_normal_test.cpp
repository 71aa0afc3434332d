// Normal draws: the inverse distribution function itself, symmetry, and the distribution of a stream's draws.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "fcdd/normal.h"

namespace {

using fcdd::Draws;
using fcdd::normal_from_bits;
using fcdd::Purpose;

// Upper tail probability of the standard normal distribution.
double tail(double z) {
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

// The probability that these bits stand for: the middle of their interval, as distance from the nearer end.
double tail_of_bits(uint32_t bits) {
  const int32_t i = static_cast<int32_t>(bits);
  const uint32_t m = static_cast<uint32_t>(i < 0 ? ~i : i);
  return (0x7fffffffu - m + 0.5) / 4294967296.0;
}

}  // namespace

// tail(z) must be the probability, to the first order in the error of z: d tail = -density dz.
TEST(normals_invert_the_distribution) {
  double worst = 0;
  const auto check = [&](uint32_t bits) {
    const double z = std::abs(static_cast<double>(normal_from_bits(bits)));
    if (z < 1e-3) return;  // see the next test: around 0 the tail says nothing about relative errors
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
    worst = std::max(worst, std::abs(tail(z) - tail_of_bits(bits)) / density / z);
  };
  for (uint32_t i = 0; i < 300000; i++) {
    check(i * 14317u);       // everywhere
    check(0x7fffffffu - i);  // the far tails
    check(0x80000000u + 7 * i);
  }
  CHECK_LESS(worst, 1e-6);
}

TEST(normals_around_zero_are_linear) {
  for (uint32_t i = 0; i < 1000; i++) {
    const double x = (i + 0.5) / 2147483648.0;
    CHECK_LESS(std::abs(normal_from_bits(i) / (x * std::sqrt(M_PI / 2)) - 1), 1e-6);
  }
}

TEST(normals_are_symmetric_and_increasing) {
  float previous = -INFINITY;
  for (int64_t i = INT32_MIN; i <= INT32_MAX; i += 65521) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(i));
    const float z = normal_from_bits(bits);
    CHECK(z == -normal_from_bits(~bits));
    CHECK(z >= previous);
    previous = z;
  }
  CHECK(normal_from_bits(0x7fffffffu) > 6.2f && normal_from_bits(0x7fffffffu) < 6.4f);
}

TEST(normals_pass_kolmogorov_smirnov) {
  const size_t n = 200000;
  const Draws draws(3, Purpose::PixelNormals, 5, 8);
  std::vector<double> z(n);
  double sum = 0, squares = 0, cubes = 0, fourths = 0;
  for (size_t i = 0; i < n; i++) {
    z[i] = static_cast<double>(normal_from_bits(draws.word(i)));
    sum += z[i];
    squares += z[i] * z[i];
    cubes += z[i] * z[i] * z[i];
    fourths += z[i] * z[i] * z[i] * z[i];
  }
  std::sort(z.begin(), z.end());
  double distance = 0;
  for (size_t i = 0; i < n; i++) {
    const double expected = 1 - tail(z[i]);
    distance = std::max({distance, std::abs(expected - static_cast<double>(i) / n),
                         std::abs(expected - static_cast<double>(i + 1) / n)});
  }
  const double root = std::sqrt(static_cast<double>(n));
  CHECK_LESS(distance, 1.95 / root);  // the 0.1 % quantile of Kolmogorov's distribution
  CHECK_LESS(std::abs(sum / n), 4 / root);
  CHECK_LESS(std::abs(squares / n - 1), 4 * std::sqrt(2.0) / root);
  CHECK_LESS(std::abs(cubes / n), 4 * std::sqrt(15.0) / root);
  CHECK_LESS(std::abs(fourths / n - 3), 4 * std::sqrt(96.0) / root);
}

TEST(gaussian_levels_are_floors) {
  for (uint32_t i = 0; i < 100000; i++) {
    const uint32_t bits = i * 42953u;
    CHECK(fcdd::gaussian_level(bits) ==
          static_cast<int32_t>(std::floor(64.0 * static_cast<double>(normal_from_bits(bits)))));
  }
}
