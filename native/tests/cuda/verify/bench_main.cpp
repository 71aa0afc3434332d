// Milliseconds, TFLOP/s and GB/s of every step, and whole training steps of the published networks, on a
// device. Prints a line per measurement. Options: options.h. Exits 1 when something fails other than for want
// of memory.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "bench.h"
#include "json.h"

namespace fcdd::test {
namespace {

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void wait(const Device& device) {
  device.check(device.table().synchronise(device.handle()), "synchronise");
}

double round_of(const Device& device, const std::function<void()>& enqueue, int calls) {
  wait(device);
  const double began = now_ms();
  for (int i = 0; i < calls; i++) enqueue();
  wait(device);
  return (now_ms() - began) / calls;
}

}  // namespace

double median_ms(const Device& device, const std::function<void()>& enqueue, double round_ms, int rounds) {
  round_of(device, enqueue, 1);
  const double once = std::max(1e-3, round_of(device, enqueue, 1));
  const int calls = std::clamp(static_cast<int>(round_ms / once), 1, 1000);
  std::vector<double> times;
  for (int i = 0; i < rounds; i++) times.push_back(round_of(device, enqueue, calls));
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<size_t>(rounds / 2)];
}

void Rows::step(const std::string& network, const std::string& layer, const std::string& what, int precision,
                int batch, double ms, double flops, double bytes) {
  const double tflops = flops / ms * 1e-9, gigabytes = bytes / ms * 1e-6;
  std::printf("%-11s %-14s %-15s %-7s %4d %9.4f ms %8.2f TFLOP/s %8.1f GB/s\n", network.c_str(),
              layer.c_str(), what.c_str(), precision_name(precision), batch, ms, tflops, gigabytes);
  std::fflush(stdout);
  steps_.push_back(json::object({{"network", json::text(network)},
                                 {"layer", json::text(layer)},
                                 {"step", json::text(what)},
                                 {"precision", json::text(precision_name(precision))},
                                 {"batch", json::number(batch)},
                                 {"ms", json::number(ms)},
                                 {"tflops", flops > 0 ? json::number(tflops) : "null"},
                                 {"gigabytesPerSecond", json::number(gigabytes)}}));
}

void Rows::whole(const std::string& network, const std::string& what, int precision, int batch, double ms,
                 uint64_t memory) {
  std::printf("%-11s %-21s %-7s batch %4d %9.3f ms %10.0f images/s\n", network.c_str(), what.c_str(),
              precision_name(precision), batch, ms, batch / ms * 1e3);
  std::fflush(stdout);
  whole_.push_back(json::object({{"network", json::text(network)},
                                 {"what", json::text(what)},
                                 {"precision", json::text(precision_name(precision))},
                                 {"batch", json::number(batch)},
                                 {"ms", json::number(ms)},
                                 {"imagesPerSecond", json::number(batch / ms * 1e3)},
                                 {"reservedBytes", std::to_string(memory)}}));
  char line[160];
  std::snprintf(line, sizeof line, "%s\t%s\t%s\t%d\t%.4f\n", network.c_str(), what.c_str(),
                precision_name(precision), batch, ms);
  table_ += line;
}

void Rows::missing(const std::string& what, const std::string& why) {
  std::printf("%s: %s\n", what.c_str(), why.c_str());
  missing_.push_back(json::object({{"what", json::text(what)}, {"why", json::text(why)}}));
}

bool Rows::finish(const Options& options, const std::string& detail) const {
  const std::string report = json::object({{"device", json::text(detail)},
                                           {"steps", json::array(steps_)},
                                           {"whole", json::array(whole_)},
                                           {"missing", json::array(missing_)}});
  bool written = options.json.empty() || json::write(options.json, report);
  if (!options.table.empty()) {
    std::FILE* file = std::fopen(options.table.c_str(), "w");
    written = written && file != nullptr && std::fputs(table_.c_str(), file) >= 0;
    if (file != nullptr) written = std::fclose(file) == 0 && written;
  }
  return written;
}

void with_fitting_batch(const std::string& what, int batch, Rows& rows,
                        const std::function<void(int)>& body) {
  for (; batch > 0; batch /= 2) {
    try {
      body(batch);
      return;
    } catch (const Error& error) {
      if (error.code != "FCDD_OUT_OF_MEMORY") throw;
    }
  }
  rows.missing(what, "out of memory even with one image");
}

namespace {

// Whole steps first: they say most. Then the steps they consist of, as far as time goes.
int bench(const Options& options) {
  Rows rows;
  int failed = 0;
  const auto networks = published_networks(options.reduced);
  const auto attempt = [&](const std::string& what, const std::function<void()>& body) {
    if (elapsed() > options.seconds) return rows.missing(what, "no time left");
    try {
      body();
    } catch (const std::exception& error) {
      failed++;
      rows.missing(what, error.what());
    }
  };
  for (const PublishedNetwork& network : networks) {
    for (const int precision : options.precisions) {
      attempt(network.name + ", " + precision_name(precision),
              [&] { bench_steps(options, network, precision, rows); });
    }
  }
  for (const PublishedNetwork& network : networks) {
    for (const int precision : options.precisions) {
      attempt(network.name + ", steps, " + precision_name(precision),
              [&] { bench_ops(options, network, precision, rows); });
    }
    attempt(network.name + ", input pipeline", [&] { bench_pipeline(options, network, rows); });
  }
  const auto device = open_verified(options.device, options.precisions.front());
  if (!rows.finish(options, device->info().detail)) {
    std::fprintf(stderr, "cannot write the report\n");
    failed++;
  }
  std::printf("%d failed\n", failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fcdd::test

int main(int argc, char** argv) {
  try {
    return fcdd::test::bench(fcdd::test::parse_options(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
