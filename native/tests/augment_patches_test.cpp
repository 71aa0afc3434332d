// Cut-paste, texture and anomalies kept to a foreground: where they are, how much of an image they change,
// and that their masks are the pixels that changed. Every test runs on both devices.
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "augment_harness.h"
#include "check.h"
#include "fcdd/errors.h"
#include "fcdd/patches.h"

namespace fcdd::test {
namespace {

constexpr int side = 96, batch = 24;

// Pictures that differ everywhere, shown as anomalies in every position.
AugmentCase anomalies(int source, int channels = 3) {
  AugmentCase c;
  c.settings.pipeline = plain_pipeline(channels, side, side);
  c.settings.supervision = {FCDD_MALFORMED_GT, source, 0, 0, 1, 0};
  c.settings.batch = batch;
  c.settings.seed = 77;
  c.images = pictures(channels, 3, side, side);  // the first three have grain everywhere
  return c;
}

void on_both(const AugmentCase& c, const std::function<void(const Augmented&)>& body) {
  const Augmented truth = run_augment(c, {"reference", "", 1}), fast = run_augment(c, {"cpu", "", 2});
  CHECK(fast.bytes == truth.bytes && fast.masks == truth.masks && fast.labels == truth.labels);
  body(truth);
}

// What image the sample n was made of: positions go through the store in turn.
const uint8_t* before(const AugmentCase& c, size_t n) {
  return c.images.bytes.data() + c.images.images[n % c.images.images.size()].pixels;
}

// Number of samples' pixels that changed, by sample; checks that the mask is exactly they.
std::vector<int> changed_pixels(const AugmentCase& c, const Augmented& got) {
  const size_t area = side * side, channels = static_cast<size_t>(c.settings.pipeline.channels);
  std::vector<int> counts;
  for (size_t n = 0; n < batch; n++) {
    int count = 0;
    for (size_t i = 0; i < area; i++) {
      const uint8_t* after = got.bytes.data() + (n * area + i) * channels;
      const bool changed = !std::equal(after, after + channels, before(c, n) + i * channels);
      if ((got.masks[n * area + i] != 0) != changed) fail(__FILE__, __LINE__, "the mask is not what changed");
      count += changed;
    }
    counts.push_back(count);
  }
  return counts;
}

double mean_share(const std::vector<int>& counts) {
  double sum = 0;
  for (const int count : counts) sum += count;
  return sum / static_cast<double>(counts.size()) / (side * side);
}

}  // namespace

// After clamping, in both modes of drawing, for every source: nothing more and nothing less.
TEST(augment_masks_are_exactly_what_changed) {
  for (int source = FCDD_CONFETTI; source <= FCDD_TEXTURE; source++) {
    for (const int channels : {1, 3}) {
      for (const int offline : {0, 1}) {
        AugmentCase c = anomalies(source, channels);
        c.images = pictures(channels, 5, side, side);  // saturated ones among them
        c.exposure = source == FCDD_EXPOSURE ? pictures(channels, 2, side, side, 1) : StoreData{};
        c.settings.supervision.offline = offline;
        c.settings.normals = 5;
        c.settings.first = offline ? 5 : 0;
        on_both(c, [&](const Augmented& got) { changed_pixels(c, got); });
        c.settings.supervision.mode = FCDD_MALFORMED;
        on_both(c, [&](const Augmented& got) {
          CHECK(std::count(got.masks.begin(), got.masks.end(), 1) == batch * side * side || offline);
        });
      }
    }
  }
}

TEST(augment_cut_paste_pastes_a_rectangle) {
  for (const int grey : {0, 1}) {
    AugmentCase c = anomalies(FCDD_CUT_PASTE);
    c.settings.supervision.grey = grey;
    on_both(c, [&](const Augmented& got) {
      const std::vector<int> counts = changed_pixels(c, got);
      CHECK_LESS(0.05, mean_share(counts));
      CHECK_LESS(mean_share(counts), 0.12);
      for (size_t n = 0; n < batch; n++) {
        const Patch p =
            draw_patch({77, static_cast<uint32_t>(n), 0}, c.settings.supervision, c.images.images.data(),
                       static_cast<int32_t>(n % 3), c.images.images.data(), 3, false, nullptr);
        CHECK(p.rows * p.columns >= 0.017 * side * side && p.rows * p.columns <= 0.151 * side * side);
        const double proportion = static_cast<double>(p.rows) / p.columns;
        CHECK(proportion > 0.27 && proportion < 3.7);
        // The pixels of the donor, made brighter or darker by at most a tenth and 5 % per channel.
        CHECK(!grey || (p.gain[0] == p.gain[1] && p.gain[1] == p.gain[2]));
        const uint8_t* donor = c.images.bytes.data() + c.images.images[static_cast<size_t>(p.donor)].pixels;
        for (int32_t y = 0; y < side; y++) {
          for (int32_t x = 0; x < side; x++) {
            const size_t at = (n * side + static_cast<size_t>(y)) * side + static_cast<size_t>(x);
            if (!patch_covers(p, Draws(0, Purpose::Lattice, 0, 0), y, x)) {
              CHECK(got.masks[at] == 0);
              continue;
            }
            for (size_t k = 0; k < 3; k++) {
              const double from = donor[donor_place(p, y, x) * 3 + static_cast<int64_t>(k)];
              const double to = got.bytes[at * 3 + k];
              CHECK(to >= std::floor(from * 0.85) && to <= std::min(255.0, std::ceil(from * 1.16)));
            }
          }
        }
      }
    });
  }
}

TEST(augment_cut_paste_takes_every_image_and_its_own_half_of_the_time) {
  const std::vector<FcddImage> images(4, FcddImage{0, FCDD_NO_MASK, 40, 30, 0, 0, FCDD_NO_MASK});
  const FcddSupervision s = {FCDD_MALFORMED, FCDD_CUT_PASTE, 0, 0, 1, 0};
  int counts[4] = {};
  for (uint32_t i = 0; i < 4000; i++) {
    const Patch p = draw_patch({5, i, 1}, s, images.data(), 2, images.data(), 4, false, nullptr);
    counts[p.donor]++;
    CHECK(p.top >= 0 && p.left >= 0 && p.top + p.rows <= 40 && p.left + p.columns <= 30);
    CHECK(p.from_top >= 0 && p.from_left >= 0 && p.from_top + p.rows <= 40 && p.from_left + p.columns <= 30);
  }
  for (int i = 0; i < 4; i++) CHECK_LESS(std::abs(counts[i] - (i == 2 ? 2500 : 500)), 130);
}

// Of a constant texture everything is known: which pixels changed, and by how much at most.
TEST(augment_texture_blends_smoothly) {
  AugmentCase c = anomalies(FCDD_TEXTURE);
  c.images = {};
  c.images.add(side, side, 0, [](int, int, int) { return 50; });
  c.exposure.add(20, 30, 1, [](int, int, int) { return 200; });
  on_both(c, [&](const Augmented& got) {
    const std::vector<int> counts = changed_pixels(c, got);
    CHECK_LESS(0.06, mean_share(counts));
    CHECK_LESS(mean_share(counts), 0.2);
    std::set<int> contrasts;
    for (size_t n = 0; n < batch; n++) {
      CHECK(counts[n] > 0 && counts[n] < side * side / 2);
      const auto begin = got.bytes.begin() + static_cast<int64_t>(n * side * side * 3);
      const int top = *std::max_element(begin, begin + side * side * 3);
      CHECK(*std::min_element(begin, begin + side * side * 3) == 50);
      CHECK(top >= 50 + 7 && top <= 255);  // an opacity of 0.1 of a texture of at least 133
      contrasts.insert(top);
    }
    CHECK(contrasts.size() > batch / 2);
  });
}

// The default texture is other places of the normal images: a small tile of one colour shows none other.
TEST(augment_texture_comes_from_the_images_without_a_store) {
  AugmentCase c = anomalies(FCDD_TEXTURE, 1);
  c.images.channels = 1;
  c.images.images.clear();
  c.images.bytes.clear();
  c.images.add(side, side, 0, [](int y, int, int) { return y < side / 2 ? 0 : 240; });
  on_both(c, [&](const Augmented& got) {
    const std::vector<int> counts = changed_pixels(c, got);
    CHECK(std::count_if(counts.begin(), counts.end(), [](int v) { return v > 0; }) > batch / 2);
  });
}

TEST(augment_anomalies_stay_on_the_object) {
  const auto disc = [](int y, int x) { return (y - 60) * (y - 60) + (x - 30) * (x - 30) < 18 * 18; };
  for (int source = FCDD_CONFETTI; source <= FCDD_TEXTURE; source++) {
    AugmentCase c = anomalies(source);
    c.exposure = source == FCDD_EXPOSURE ? pictures(3, 2, side, side, 1) : StoreData{};
    c.settings.supervision.on_object = 1;
    for (size_t i = 0; i < 3; i++) c.images.add_foreground(i, disc);
    on_both(c, [&](const Augmented& got) {
      const std::vector<int> counts = changed_pixels(c, got);
      for (size_t i = 0; i < got.masks.size(); i++) {
        const int at = static_cast<int>(i) % (side * side);
        CHECK(got.masks[i] == 0 || disc(at / side, at % side));
      }
      // The object is 11 % of the picture; squares and patches are placed on it, so nearly all of them are
      // seen.
      CHECK(std::count_if(counts.begin(), counts.end(), [](int v) { return v > 0; }) >= batch - 2);
    });
    // A foreground that is everything changes nothing.
    AugmentCase whole = anomalies(source), free = whole;
    whole.exposure = free.exposure = c.exposure;
    for (size_t i = 0; i < 3; i++) whole.images.add_foreground(i, [](int, int) { return true; });
    whole.settings.supervision.on_object = 1;
    CHECK(run_augment(whole, {"cpu", "", 2}).bytes == run_augment(free, {"cpu", "", 2}).bytes);
  }
}

TEST(augment_refuses_patches_as_pictures) {
  for (const int source : {FCDD_CUT_PASTE, FCDD_TEXTURE}) {
    AugmentCase c = anomalies(source);
    c.settings.supervision.mode = FCDD_NOISE;
    for (const char* name : {"reference", "cpu"}) {
      try {
        run_augment(c, {name, "", 1});
        fail(__FILE__, __LINE__, "no error");
      } catch (const Error& error) {
        CHECK(std::string(error.what()).find("cut-paste") != std::string::npos);
      }
    }
  }
}

TEST(patches_root_and_lattice) {
  for (uint64_t n : {0ull, 1ull, 3ull, 4ull, 99ull, 100ull, 65535ull, 65536ull, 999999999ull}) {
    const uint64_t root = static_cast<uint64_t>(integer_root(n));
    CHECK(root * root <= n && (root + 1) * (root + 1) > n);
  }
  CHECK(smooth_step(0) == 0 && smooth_step(32768) == 32768 && smooth_step(65535) <= 65535);
  for (const int extent : {1, 7, 28, 240, 4000}) {
    for (uint32_t which = 0; which < 5; which++) {
      const int32_t cells = cells_of(which, extent);
      CHECK(cells >= 1 && cells <= most_cells && (cells == 1 || cells * least_cell <= extent));
      const LatticePlace last = lattice_place(cells, extent, 65535, extent - 1);
      CHECK(last.node <= cells && last.fraction >= 0 && last.fraction < 65536);
    }
  }
}

}  // namespace fcdd::test
