// Timing of steps and whole training steps on a device, by the wall clock with the queue run dry at both
// ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fcdd/network.h"
#include "networks.h"
#include "options.h"

namespace fcdd::test {

// Milliseconds of one `enqueue`: after a warm-up, the median of several rounds of as many calls as fill
// `round_ms`.
double median_ms(const Device& device, const std::function<void()>& enqueue, double round_ms, int rounds);

// Rows of a report, printed as they come.
class Rows {
 public:
  // A step of one layer. flops and bytes are what the mathematics needs: every operand moved once.
  void step(const std::string& network, const std::string& layer, const std::string& what, int precision,
            int batch, double ms, double flops, double bytes);
  void whole(const std::string& network, const std::string& what, int precision, int batch, double ms,
             uint64_t memory);
  void missing(const std::string& what, const std::string& why);
  // Writes options.json and options.table; false when one cannot be written.
  bool finish(const Options& options, const std::string& detail) const;

 private:
  std::vector<std::string> steps_, whole_, missing_;
  std::string table_;
};

// Every step that a training step or an inference of the network consists of.
void bench_ops(const Options& options, const PublishedNetwork& network, int precision, Rows& rows);
// The input pipeline with half of the images covered with confetti.
void bench_pipeline(const Options& options, const PublishedNetwork& network, Rows& rows);
// Whole training steps, with bytes only normalised and with the published augmentation, and inference.
void bench_steps(const Options& options, const PublishedNetwork& network, int precision, Rows& rows);

// Calls body(batch) with ever smaller batches until the device has the memory for one; leaves a row when none
// fits.
void with_fitting_batch(const std::string& what, int batch, Rows& rows, const std::function<void(int)>& body);

}  // namespace fcdd::test
