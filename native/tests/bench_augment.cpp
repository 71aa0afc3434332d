// Milliseconds of processor time per sample of the published input pipelines on `cpu`, with the supervision
// that costs most. Not a test. bench_augment [isa [threads]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "augment_harness.h"
#include "check.h"

namespace fcdd::test {

// The harness reports failures here when it is not linked to the tests.
void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

namespace {

constexpr int batch = 64, repetitions = 7;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Best of several batches.
double milliseconds(const AugmentCase& c, const DeviceChoice& device) {
  AugmentRun run(c, device);
  double best = 1e9;
  for (int i = 0; i < repetitions; i++) {
    const double start = processor_seconds();
    run.step(static_cast<uint32_t>(i));
    best = std::min(best, processor_seconds() - start);
  }
  return best * 1000 / batch;
}

}  // namespace
}  // namespace fcdd::test

int main(int argc, char** argv) {
  using namespace fcdd::test;
  const DeviceChoice device = {"cpu", argc > 1 ? argv[1] : "", argc > 2 ? std::atoi(argv[2]) : 1};
  std::printf("%-32s %12s %20s %20s\n", "pipeline, ms per sample", "no anomalies", "half confetti",
              "all confetti-gt");
  for (const NamedPipeline& named : published_pipelines()) {
    AugmentCase c;
    c.settings.pipeline = named.pipeline;
    c.settings.batch = batch;
    c.images = pictures(named.pipeline.channels, 8, named.height, named.width);
    std::printf("%-32s", named.name.c_str());
    for (const auto& [mode, probability] : {std::pair{FCDD_UNSUPERVISED, 0.0}, std::pair{FCDD_MALFORMED, 0.5},
                                            std::pair{FCDD_MALFORMED_GT, 1.0}}) {
      c.settings.supervision = {mode, FCDD_CONFETTI, 0, 0, probability, 0};
      std::printf(" %15.3f", milliseconds(c, device));
    }
    std::printf("\n");
  }
  return 0;
}
