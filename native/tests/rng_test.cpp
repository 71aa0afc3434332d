// Philox4x32-10 against the known answers of Random123, and the distributions made from its words.
#include "fcdd/rng.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <tuple>
#include <vector>

#include "check.h"

namespace {

using fcdd::Draws;
using fcdd::Philox4;
using fcdd::Purpose;

bool same(const Philox4& a, const Philox4& b) {
  for (int i = 0; i < 4; i++) {
    if (a.v[i] != b.v[i]) return false;
  }
  return true;
}

// Chi-square statistic of counts that should all be equal, as standard deviations from its mean.
double chi_square_deviation(const std::vector<int64_t>& counts) {
  double total = 0, chi = 0;
  for (const auto c : counts) total += static_cast<double>(c);
  const double expected = total / static_cast<double>(counts.size());
  for (const auto c : counts) {
    const double d = static_cast<double>(c) - expected;
    chi += d * d / expected;
  }
  const double freedom = static_cast<double>(counts.size() - 1);
  return (chi - freedom) / std::sqrt(2 * freedom);
}

}  // namespace

// Random123, tests/kat_vectors, lines "philox4x32 10": counter, key -> result.
TEST(philox_known_answers) {
  CHECK(same(fcdd::philox4x32_10({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  const uint32_t ones = 0xffffffff;
  CHECK(same(fcdd::philox4x32_10({{ones, ones, ones, ones}}, ones, ones),
             {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(same(fcdd::philox4x32_10({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
             {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
  static_assert(fcdd::philox4x32_10({{0, 0, 0, 0}}, 0, 0).v[0] == 0x6627e8d5, "usable at compile time");
}

TEST(draws_are_words_of_blocks) {
  Draws walk(0x0123456789abcdefu, Purpose::Place, 7, 3);
  const Draws jump = walk;
  for (uint32_t i = 0; i < 23; i++) {
    const Philox4 expected =
        fcdd::philox4x32_10({{i / 4, static_cast<uint32_t>(Purpose::Place), 7, 3}}, 0x89abcdef, 0x01234567);
    CHECK(jump.word(i) == expected.v[i % 4]);
    CHECK(walk.next() == expected.v[i % 4]);
  }
}

TEST(draws_differ_by_every_part_of_the_key) {
  std::set<uint32_t> firsts;
  for (const auto& [seed, purpose, position, epoch] :
       std::vector<std::tuple<uint64_t, Purpose, uint32_t, uint32_t>>{{1, Purpose::Place, 1, 1},
                                                                      {2, Purpose::Place, 1, 1},
                                                                      {1ull << 32 | 1, Purpose::Place, 1, 1},
                                                                      {1, Purpose::Jitter, 1, 1},
                                                                      {1, Purpose::Place, 2, 1},
                                                                      {1, Purpose::Place, 1, 2}}) {
    firsts.insert(Draws(seed, purpose, position, epoch).next());
  }
  CHECK(firsts.size() == 6);
}

TEST(bounded_integers_reach_both_ends) {
  CHECK(fcdd::below_from_bits(0, 10) == 0);
  CHECK(fcdd::below_from_bits(0xffffffff, 10) == 9);
  CHECK(fcdd::below_from_bits(0xffffffff, 0xffffffff) == 0xfffffffe);
  CHECK(fcdd::below_from_bits(123, 0) == 0);
  CHECK(fcdd::unit_from_bits(0) == 0);
  CHECK(fcdd::unit_from_bits(0xffffffff) < 1);
  Draws draws(5, Purpose::Place, 0, 0);
  int low = 0, high = 0;
  for (int i = 0; i < 2000; i++) {
    const int v = draws.next_integer(-2, 2);
    CHECK(v >= -2 && v <= 2);
    low += v == -2;
    high += v == 2;
  }
  CHECK(low > 300 && high > 300);
}

// Fixed seeds, so no flakiness; four standard deviations is what a fair generator keeps.
TEST(uniform_words_pass_chi_square) {
  for (const uint32_t bins : {2u, 7u, 100u, 1000u}) {
    std::vector<int64_t> counts(bins), pairs(64);
    Draws draws(42, Purpose::Shuffle, bins, 0);
    for (int i = 0; i < 400000; i++) {
      counts[draws.next_below(bins)]++;
      const uint32_t a = draws.next_below(8);
      pairs[a * 8 + draws.next_below(8)]++;
    }
    CHECK_LESS(std::abs(chi_square_deviation(counts)), 4);
    CHECK_LESS(std::abs(chi_square_deviation(pairs)), 4);
  }
}

// The same, across the other counters: successive positions and epochs must look as random as successive
// words.
TEST(first_words_of_positions_and_epochs_pass_chi_square) {
  std::vector<int64_t> by_position(64), by_epoch(64);
  for (uint32_t i = 0; i < 100000; i++) {
    by_position[Draws(9, Purpose::Replace, i, 0).next_below(64)]++;
    by_epoch[Draws(9, Purpose::Replace, 0, i).next_below(64)]++;
  }
  CHECK_LESS(std::abs(chi_square_deviation(by_position)), 4);
  CHECK_LESS(std::abs(chi_square_deviation(by_epoch)), 4);
}

TEST(unit_draws_pass_kolmogorov_smirnov) {
  const int n = 100000;
  std::vector<int64_t> below(1000);
  Draws draws(77, Purpose::PixelNoise, 0, 0);
  double sum = 0;
  for (int i = 0; i < n; i++) {
    const double u = draws.next_unit();
    CHECK(u >= 0 && u < 1);
    below[static_cast<size_t>(u * 1000)]++;
    sum += u;
  }
  double distance = 0, seen = 0;
  for (int k = 0; k < 1000; k++) {
    seen += static_cast<double>(below[k]);
    distance = std::max(distance, std::abs(seen / n - (k + 1) / 1000.0));
  }
  CHECK_LESS(distance, 1.95 / std::sqrt(n));  // the 0.1 % quantile of Kolmogorov's distribution
  CHECK_LESS(std::abs(sum / n - 0.5), 4 * std::sqrt(1.0 / 12 / n));
}
