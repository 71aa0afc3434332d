// Times steps that run by themselves (fcdd/ops.h): while one is in scope on a thread, each operation of that
// thread runs its step `calls` times more, on the same operands, and records each call. For benchmarks.
#pragma once

#include <memory>
#include <vector>

#include "fcdd/network.h"

namespace fcdd::ops {

class Stopwatch {
 public:
  explicit Stopwatch(int calls) : calls_(calls), outer_(current) { current = this; }
  ~Stopwatch() { current = outer_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  int calls() const { return calls_; }
  void record(double milliseconds) { milliseconds_.push_back(milliseconds); }
  // One figure per call: from enqueueing the step to its end.
  const std::vector<double>& milliseconds() const { return milliseconds_; }

  static thread_local Stopwatch* current;

 private:
  int calls_;
  Stopwatch* outer_;
  std::vector<double> milliseconds_;
};

// What this machine can do, measured now with the threads and the instruction set of a cpu device: the roofs
// that a step's rate is compared with.
struct Peaks {
  double gflops;     // fused multiply-adds in registers, both counted
  double gigabytes;  // per second: reading one large array and writing another
};
// Throws FCDD_INVALID_ARGUMENT for another device than the cpu.
Peaks measure_peaks(const Device& device);

}  // namespace fcdd::ops
