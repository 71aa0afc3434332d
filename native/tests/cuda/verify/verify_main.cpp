// Trains small networks on a device and on `cpu` from the same seed and compares what comes of it, per
// precision:
//   losses     every step's loss beside the cpu's
//   gradients  those of one batch beside `reference`'s: float32 as near as the cpu's (or three times as far);
//   with tf32
//              and bf16 the distance is written down and not judged, for operands rounded so far change which
//              value a pool takes (the steps' own tests judge these kernels)
//   scores     of stored images beside the cpu's, and alone the same bits as in a batch
//   bits       the same seed again gives the same bits
//   moved      weights and optimiser state that go from the cpu to the device go on as on the cpu
// Prints one line per check, then "N passed, N failed"; exits 1 when one failed. Options: options.h.
#include <cstdio>
#include <exception>

#include "check.h"
#include "json.h"
#include "options.h"
#include "tolerances.h"
#include "training.h"

namespace fcdd::test {
namespace {

// Largest differences accepted. A step's rounding goes into all later ones, so the losses of a run may part
// further than a single step.
struct Bounds {
  double losses, scores;
};

Bounds bounds_of(int precision) {
  switch (precision) {
    case FCDD_PRECISION_FLOAT32:
      return {tolerance::runLossesFloat32, tolerance::runScoresFloat32};
    case FCDD_PRECISION_TF32:
      return {tolerance::runLossesTf32, tolerance::runScoresTf32};
    default:
      return {tolerance::runLossesBf16, tolerance::runScoresBf16};
  }
}

class Report {
 public:
  void add(const std::string& network, int precision, const char* what, double value, double bound,
           std::vector<std::pair<std::string, std::string>> more = {}) {
    const bool passed = value <= bound;
    (passed ? passed_ : failed_)++;
    std::printf("%s %s, %s: %s differ by %.2e (at most %.0e)\n", passed ? "ok  " : "FAIL", network.c_str(),
                precision_name(precision), what, value, bound);
    std::fflush(stdout);
    std::vector<std::pair<std::string, std::string>> fields = {
        {"network", json::text(network)},    {"precision", json::text(precision_name(precision))},
        {"check", json::text(what)},         {"passed", json::boolean(passed)},
        {"difference", json::number(value)}, {"bound", json::number(bound)}};
    fields.insert(fields.end(), more.begin(), more.end());
    checks_.push_back(json::object(fields));
  }

  void remark(const std::string& network, int precision, const char* what, double value) {
    std::printf("     %s, %s: %s differ by %.2e (not judged)\n", network.c_str(), precision_name(precision),
                what, value);
    checks_.push_back(json::object({{"network", json::text(network)},
                                    {"precision", json::text(precision_name(precision))},
                                    {"check", json::text(what)},
                                    {"difference", json::number(value)},
                                    {"bound", "null"}}));
  }

  void error(const std::string& network, int precision, const std::string& text) {
    failed_++;
    std::printf("FAIL %s, %s: %s\n", network.c_str(), precision_name(precision), text.c_str());
    checks_.push_back(json::object({{"network", json::text(network)},
                                    {"precision", json::text(precision_name(precision))},
                                    {"check", json::text("runs")},
                                    {"passed", "false"},
                                    {"error", json::text(text)}}));
  }

  void leave_out(const std::string& network, int precision) {
    left_out_.push_back(json::text(network + ", " + precision_name(precision)));
  }

  int finish(const Options& options, const std::string& detail) const {
    const std::string report = json::object({{"device", json::text(detail)},
                                             {"passed", json::number(passed_)},
                                             {"failed", json::number(failed_)},
                                             {"leftOut", json::array(left_out_)},
                                             {"checks", json::array(checks_)}});
    if (!options.json.empty() && !json::write(options.json, report)) {
      std::fprintf(stderr, "cannot write %s\n", options.json.c_str());
      return 1;
    }
    if (!left_out_.empty()) std::printf("left out for want of time: %s\n", json::array(left_out_).c_str());
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  int passed_ = 0, failed_ = 0;
  std::vector<std::string> checks_, left_out_;
};

// What the other devices say about a case, computed once for all precisions.
struct Truth {
  Trained cpu;
  std::vector<double> gradients;
};

Truth truth_of(const TrainingCase& c) {
  TrainingCase one = c;
  one.batch = std::min(c.batch, 4);  // `reference` is slow
  return {train(open_verified("cpu", 0), c), gradients(open_verified("reference", 0), one)};
}

void compare(const Options& options, const TrainingCase& c, int precision, const Truth& truth,
             Report& report) {
  const Bounds bounds = bounds_of(precision);
  const auto device = open_verified(options.device, precision);
  const Trained trained = train(device, c);
  report.add(c.name, precision, "losses", largest_difference(trained.losses, truth.cpu.losses), bounds.losses,
             {{"losses", json::numbers(trained.losses)}, {"cpu", json::numbers(truth.cpu.losses)}});
  report.add(c.name, precision, "scores", relative_l2(trained.scores, truth.cpu.scores), bounds.scores);
  report.add(c.name, precision, "scores alone", trained.scores_alone ? 0 : 1, 0);
  TrainingCase one = c;
  one.batch = std::min(c.batch, 4);
  const double apart = relative_l2(gradients(device, one), truth.gradients);
  if (precision == FCDD_PRECISION_FLOAT32) {
    const double cpu = relative_l2(gradients(open_verified("cpu", 0), one), truth.gradients);
    report.add(c.name, precision, "gradients", apart, std::max(tolerance::networkGradientsFloat32, 3 * cpu));
  } else {
    report.remark(c.name, precision, "gradients", apart);
  }
  const Trained again = train(open_verified(options.device, precision), c);
  const bool same = again.losses == trained.losses && again.tensors == trained.tensors;
  report.add(c.name, precision, "bits of a second run", same ? 0 : 1, 0);
  const int half = c.steps / 2;
  const std::vector<double> moved = train_across(open_verified("cpu", 0), device, c, half, c.steps - half);
  report.add(c.name, precision, "losses after moving from the cpu",
             largest_difference(moved, truth.cpu.losses), bounds.losses);
}

int verify(const Options& options) {
  Report report;
  const auto device = open_verified(options.device, options.precisions.front());
  const std::string detail = device->info().detail;
  std::printf("%s: %s\n", device->info().name, detail.c_str());
  for (const TrainingCase& c : training_cases(options.reduced)) {
    Truth truth;
    bool known = false;
    for (const int precision : options.precisions) {
      if (elapsed() > options.seconds) {
        report.leave_out(c.name, precision);
        continue;
      }
      try {
        if (!known) truth = truth_of(c);
        known = true;
        compare(options, c, precision, truth, report);
      } catch (const std::exception& error) {
        report.error(c.name, precision, error.what());
      }
    }
  }
  return report.finish(options, detail);
}

}  // namespace
}  // namespace fcdd::test

int main(int argc, char** argv) {
  try {
    return fcdd::test::verify(fcdd::test::parse_options(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
