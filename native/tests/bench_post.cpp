// GB/s of the memory-bound steps on `cpu`: what follows a convolution, forward and backward, and the
// optimisers. Counts every byte that has to move once. Not a test. bench_post [isa [threads]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>

#include "cpu/threads.h"
#include "cpu_harness.h"

namespace fcdd::test {

// The harness reports failures here when it is not linked to the tests.
void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

namespace {

// Processor time per thread, best of several runs, as in bench_conv.
double best_seconds(int threads, const std::function<void()>& body) {
  double best = 1e9, total = 0;
  for (int i = 0; i < 100 && (total < 0.2 || i < 3); i++) {
    timespec start{}, end{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    body();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    const double s = (static_cast<double>(end.tv_sec - start.tv_sec) +
                      static_cast<double>(end.tv_nsec - start.tv_nsec) * 1e-9) /
                     threads;
    best = std::min(best, s);
    total += s;
  }
  return best;
}

struct Layer {
  const char* name;
  FcddPostProblem p;
};

constexpr Layer layers[] = {
    {"cnn28-w 1", {128, 28, 28, 128, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {2, 2, 0}}},
    {"cnn28-w 2", {128, 14, 14, 128, FCDD_NORM_NONE, FCDD_ACT_NONE, 0, 1e-4, 0.1, {2, 2, 0}}},
    {"cnn32-lw3k 1", {20, 32, 32, 128, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {2, 2, 0}}},
    {"cnn32-lw3k 2", {20, 16, 16, 256, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {0, 0, 0}}},
    {"cnn224 1", {8, 224, 224, 8, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {3, 2, 1}}},
    {"cnn224 2", {8, 112, 112, 32, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0.01, 1e-4, 0.1, {3, 2, 1}}},
    {"vgg11 1", {4, 224, 224, 64, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {2, 2, 0}}},
    {"vgg11 3", {4, 56, 56, 256, FCDD_NORM_BATCH, FCDD_ACT_LEAKY, 0, 1e-5, 0.1, {0, 0, 0}}},
};

void report(const char* what, double bytes, double s) {
  std::printf("  %s %7.2f ms %5.1f GB/s", what, s * 1e3, bytes / s * 1e-9);
}

void bench_layer(const char* isa, int threads, const Layer& layer) {
  Bench b(fcdd_cpu_table(), isa, threads);
  const FcddPostProblem& p = layer.p;
  const bool pool = p.pool.kernel > 0;
  const int64_t in = int64_t{p.batch} * p.height * p.width * p.channels;
  const int64_t out =
      pool ? int64_t{p.batch} * fcdd_out_extent(p.height, p.pool.kernel, p.pool.stride, p.pool.padding) *
                 fcdd_out_extent(p.width, p.pool.kernel, p.pool.stride, p.pool.padding) * p.channels
           : in;
  std::mt19937 random(1);
  const FcddBuffer some = b.real(std::vector<double>(static_cast<size_t>(p.channels), 0.5));
  FcddPostForward f{};
  f.p = p;
  f.x = b.real(normal_values(random, in));
  f.mean = f.inv_std = f.gamma = f.beta = some;
  f.y = b.real_out(out);
  if (pool) f.argmax = b.bytes_out(out);
  FcddPostBackward g{};
  g.p = p;
  g.dy = b.real(normal_values(random, out));
  g.x = f.x, g.mean = g.inv_std = g.gamma = g.beta = some, g.argmax = f.argmax;
  g.dx = b.real_out(in);
  g.workspace = b.scratch(b.table->post_workspace_bytes(b.device, &p));
  const double input = 4.0 * static_cast<double>(in), output = (pool ? 5.0 : 4.0) * static_cast<double>(out);
  const double passes = p.norm == FCDD_NORM_NONE ? 1 : 2;
  std::printf("%-13s", layer.name);
  report("forward", input + output,
         best_seconds(threads, [&] { b.run(b.table->post_forward(b.device, &f)); }));
  report("backward", passes * (input + output) + input,
         best_seconds(threads, [&] { b.run(b.table->post_backward(b.device, &g)); }));
  std::printf("\n");
}

void bench_update(const char* isa, int threads) {
  Bench b(fcdd_cpu_table(), isa, threads);
  const int64_t count = 4 << 20;
  const FcddBuffer w = b.real(std::vector<double>(count, 0.1)), m = b.real(std::vector<double>(count, 0.0));
  FcddUpdate a{
      FCDD_SGD, count, 2, 0.01, 1e-4, 0.9, 0.9, 0.999, 1e-8, w, w, m, b.real(std::vector<double>(count))};
  for (const int kind : {FCDD_SGD, FCDD_ADAM}) {
    a.kind = kind;
    report(kind == FCDD_SGD ? "sgd" : "adam", 4.0 * count * (kind == FCDD_SGD ? 5 : 7),
           best_seconds(threads, [&] { b.run(b.table->update(b.device, &a)); }));
  }
  std::printf("\n");
}

}  // namespace
}  // namespace fcdd::test

int main(int argc, char** argv) {
  using namespace fcdd::test;
  const int threads = argc > 2 ? std::atoi(argv[2]) : fcdd::cpu::default_threads();
  for (const std::string& isa : isas()) {
    if (argc > 1 && isa != argv[1]) continue;
    std::printf("%s, %d threads\n", isa.c_str(), threads);
    for (const Layer& layer : layers) bench_layer(isa.c_str(), threads, layer);
    bench_update(isa.c_str(), threads);
  }
  return 0;
}
