// What the cuda device's input pipeline does with samples that cannot be made: it learns of them on the
// device, so they are zeros, and the next wait says which was the first.
#include <algorithm>

#include "augment_cases.h"
#include "check.h"

namespace fcdd::test {
namespace {

// What the next wait says after a step; the step itself must not fail.
std::string wait_after(Bench& bench, const FcddAugment& a) {
  bench.run(bench.table->augment(bench.device, &a));
  return bench.table->synchronise(bench.device) == FCDD_OK ? "" : bench.table->last_error(bench.device);
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

template <class T>
bool all_zero(const std::vector<T>& values, size_t first, size_t count) {
  return std::all_of(values.begin() + static_cast<int64_t>(first),
                     values.begin() + static_cast<int64_t>(first + count), [](T v) { return v == 0; });
}

// Sample `failed` of a batch is refused and zeros, all others are what they are without it.
// `indices`: how many of the order belong to it.
void check_refused(const std::string& label, const AugmentCase& bad, const AugmentCase& good, size_t failed,
                   uint64_t indices = 4) {
  const Result expected = run(fcdd_cuda_table(), good);
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddAugment a = prepared(bench, bad);
  a.order.bytes = indices * sizeof(int32_t);
  const std::string said = wait_after(bench, a);
  check_that(mentions(said, "sample " + std::to_string(failed) + " "), label, "the wait said: " + said);
  const Result got = results(bench, a);  // the word is cleared: these waits pass
  const size_t n = got.labels.size(), area = got.masks.size() / n, values = got.bytes.size() / n;
  for (size_t i = 0; i < n; i++) {
    const auto same = [&](const std::vector<double>& x, const std::vector<double>& y, size_t size) {
      return std::equal(x.begin() + static_cast<int64_t>(i * size),
                        x.begin() + static_cast<int64_t>((i + 1) * size),
                        y.begin() + static_cast<int64_t>(i * size));
    };
    const bool ok = i == failed
                        ? all_zero(got.x, i * values, values) && all_zero(got.bytes, i * values, values) &&
                              all_zero(got.masks, i * area, area) && got.labels[i] == 0
                        : same(got.x, expected.x, values) && same(got.bytes, expected.bytes, values) &&
                              same(got.masks, expected.masks, area) && got.labels[i] == expected.labels[i];
    check_that(ok, label, "sample " + std::to_string(i) + " is not what it should be");
  }
}

}  // namespace

TEST(cuda_augment_reports_what_cannot_be_made) {
  FcddPipeline p = plain_pipeline(3, 20, 30);
  p.lcn = 1;
  p.noise_sigma = 0.1;
  p.noise_probability = 1;
  p.jitter_count = 1;
  p.jitter[0] = {0.2, 0.2, 0.2, 0.2};
  AugmentCase good = case_of(p, pictures(3, 5, 20, 30), FCDD_MALFORMED_GT, FCDD_EXPOSURE, 3);
  good.exposure = pictures(3, 1, 9, 9, 1);
  good.settings.first = 0;
  good.order = {4, 3, 2, 1};
  AugmentCase bad = good;
  bad.order = {4, 3, -1, 1};
  check_refused("negative index", bad, good, 2);
  bad.order = good.order;
  check_refused("missing index", bad, good, 3, 3);
  bad.images.images[3].height = 19;
  check_refused("small image", bad, good, 1);
  bad.images.images[3].height = 20;
  bad.images.images[3].pixels = bad.images.bytes.size() - 1799;
  check_refused("outside of the store", bad, good, 1);
  bad.images.images[3] = good.images.images[3];
  bad.images.images[3].mask = UINT64_MAX - 1;
  check_refused("mask outside of the store", bad, good, 1);
  bad.images.images[3] = good.images.images[3];
  bad.images.images[3].width = 1 << 15;
  check_refused("too wide", bad, good, 1);
  bad = good;
  bad.exposure.images[0].height = -9;
  bad.settings.supervision.probability = 1;
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  const FcddAugment a = prepared(bench, bad);
  CHECK(mentions(wait_after(bench, a), "sample 0 "));
  CHECK(all_zero(bench.read_bytes(a.bytes), 0, 4 * 1800));
}

// A workspace made for smaller images is refused, not overrun.
TEST(cuda_augment_refuses_a_small_workspace) {
  AugmentCase c = case_of(plain_pipeline(1, 9, 9), pictures(1, 2, 20, 20), FCDD_NOISE, FCDD_UNIFORM, 3);
  c.settings.supervision.probability = 1;
  Bench bench(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddAugment a = prepared(bench, c);
  a.workspace.bytes -= 8;
  CHECK(mentions(wait_after(bench, a), "workspace"));
  a.workspace.bytes = 64;
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  a.workspace = {};
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  a.pipeline.scale[0] = 0;
  CHECK(bench.table->augment(bench.device, &a) == FCDD_INVALID);
  CHECK(mentions(bench.table->last_error(bench.device), "pipeline.scale"));
}

}  // namespace fcdd::test
