#include "fcdd/stopwatch.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "cpu/isa.h"
#include "cpu/threads.h"

namespace fcdd::ops {

thread_local Stopwatch* Stopwatch::current = nullptr;

namespace {

// Seconds of the fastest of several runs.
template <class Body>
double fastest(Body body) {
  double best = 1e9;
  for (int i = 0; i < 7; i++) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

}  // namespace

Peaks measure_peaks(const Device& device) {
  const FcddDeviceInfo& info = device.info();
  if (std::strcmp(info.name, "cpu") != 0) {
    throw Error("FCDD_INVALID_ARGUMENT", std::string("Expected a cpu device, got ") + info.name);
  }
  const std::string isa(info.isa);
  const cpu::IsaTable& table = *cpu::choose_isa(isa.substr(0, isa.find('-')).c_str());
  const int threads = info.threads;
  constexpr int64_t iterations = 1 << 20;
  const double fma =
      fastest([&] { cpu::parallel(threads, threads, [&](int64_t, int) { table.fma_chains(iterations); }); });

  constexpr size_t floats = size_t{32} << 20;  // beyond any last-level cache, together
  std::vector<float> from(floats, 1.0f), to(floats);
  const size_t pieces = 64, piece = floats / pieces;
  const double copy = fastest([&] {
    cpu::parallel(threads, pieces, [&](int64_t i, int) {
      std::memcpy(to.data() + static_cast<size_t>(i) * piece, from.data() + static_cast<size_t>(i) * piece,
                  piece * sizeof(float));
    });
  });
  return {static_cast<double>(iterations) * table.flops_per_fma_iteration * threads / fma * 1e-9,
          2.0 * floats * sizeof(float) / copy * 1e-9};
}

}  // namespace fcdd::ops
