// The 8-bit arithmetic of the jitter against what Pillow computes (golden_jitter.h, made by
// scripts/goldens/jitter.py), on the reference's loops and on those of every instruction set.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/augment_stages.h"
#include "cpu_harness.h"
#include "fcdd/pil.h"
#include "golden_jitter.h"
#include "reference/augment_stages.h"

namespace fcdd::test {
namespace {

constexpr int area = golden_height * golden_width;

// The script's formula.
std::vector<uint8_t> picture(int channels) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < area; i++) {
    for (int c = 0; c < channels; c++)
      pixels.push_back(static_cast<uint8_t>(i * 37 + c * (i % 7) * 53 + i * i * c));
  }
  return pixels;
}

// One operation as a plan of its own, so that an operation may come twice.
JitterPlan plan_of(const GoldenOperation& step) {
  JitterPlan plan{};
  plan.count = 1;
  plan.order[0] = step.operation;
  if (step.operation == jitter_hue) {
    plan.hue_shift = static_cast<uint8_t>(static_cast<int32_t>(step.factor * 255));
  } else {
    plan.factor[step.operation] = static_cast<float>(step.factor);
  }
  return plan;
}

const cpu::AugmentKernels& kernels([[maybe_unused]] const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return cpu::augment_avx512;
  if (isa == "avx2") return cpu::augment_avx2;
#endif
  return cpu::augment_baseline;
}

}  // namespace

TEST(augment_jitter_equals_pillow) {
  for (const GoldenJitter& golden : golden_jitters) {
    std::vector<uint8_t> pixels = picture(golden.channels);
    for (const auto& step : golden.operations)
      reference::jitter(plan_of(step), pixels.data(), area, golden.channels);
    CHECK(pixels == golden.pixels);
    for (const std::string& isa : isas()) {
      pixels = picture(golden.channels);
      for (const auto& step : golden.operations) {
        cpu::jitter(kernels(isa), plan_of(step), pixels.data(), area, golden.channels);
      }
      CHECK(pixels == golden.pixels);
    }
  }
}

// All 2^24 colours through HSV and back, as a checksum; and the tables of `cpu` on every 5th of them.
TEST(augment_hue_equals_pillow_for_every_colour) {
  for (const GoldenColours& golden : golden_colours) {
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < 1u << 24; i++) {
      const Rgb c =
          shift_hue({static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)},
                    static_cast<uint8_t>(golden.shift));
      const uint64_t packed = uint64_t{c.r} << 16 | uint64_t{c.g} << 8 | c.b;
      checksum += packed * (i * (2 * 2654435761ull) + 1);
    }
    CHECK(checksum == golden.checksum);
  }
  std::vector<uint8_t> all;
  for (uint32_t i = 0; i < 1u << 24; i += 5) {
    all.insert(all.end(),
               {static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)});
  }
  std::vector<uint8_t> expected = all;
  const JitterPlan plan = plan_of({jitter_hue, -0.2});
  reference::jitter(plan, expected.data(), static_cast<int64_t>(all.size() / 3), 3);
  cpu::jitter(cpu::augment_baseline, plan, all.data(), static_cast<int64_t>(all.size() / 3), 3);
  CHECK(all == expected);
}

TEST(augment_hue_leaves_grey_alone) {
  for (int shift = 0; shift < 256; shift++) {
    for (int v = 0; v < 256; v++) {
      const uint8_t byte = static_cast<uint8_t>(v);
      const Rgb c = shift_hue({byte, byte, byte}, static_cast<uint8_t>(shift));
      CHECK(c.r == byte && c.g == byte && c.b == byte);
    }
  }
}

// Where (i + 1/2) in / out is a whole number Pillow's own rounding errors may take the neighbour before it;
// that never happens from 240 or 248 to 224, the sizes that the published pipelines resize.
TEST(augment_resizing_equals_pillow) {
  for (const GoldenResize& golden : golden_resizes) {
    for (int i = 0; i < golden.target; i++) {
      const int ours = nearest_source(i, golden.size, golden.target);
      const int pillow = golden.sources[static_cast<size_t>(i)];
      const bool whole = (2 * i + 1) * golden.size % (2 * golden.target) == 0;
      const bool published = golden.size == 240 || golden.size == 248;
      CHECK(ours == pillow || (whole && !published && ours == pillow + 1));
    }
  }
}

}  // namespace fcdd::test
