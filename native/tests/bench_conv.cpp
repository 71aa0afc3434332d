// GFLOP/s of the convolution passes on `cpu`, per layer shape of the networks, and their share of the FMA
// peak that the same run measures. Not a test. bench_conv [isa|bf16 [threads [filter]]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "cpu/isa.h"
#include "cpu/threads.h"
#include "cpu_harness.h"

namespace fcdd::test {

// The harness reports failures here when it is not linked to the tests.
void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

namespace {

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Best of several runs within about a fifth of a second.
double best_seconds(const std::function<void()>& body) {
  body();
  double best = 1e9, total = 0;
  for (int i = 0; i < 100 && (total < 0.2 || i < 3); i++) {
    const double s = seconds(body);
    best = std::min(best, s);
    total += s;
  }
  return best;
}

// FMA peak: independent chains in registers, on every thread.
double peak_gflops(const char* isa, int threads) {
  const cpu::IsaTable& table = *cpu::choose_isa(isa);
  const int64_t iterations = 1 << 18;
  const double s = best_seconds(
      [&] { cpu::parallel(threads, threads, [&](int64_t, int) { table.fma_chains(iterations); }); });
  return static_cast<double>(iterations) * table.flops_per_fma_iteration * threads / s * 1e-9;
}

struct Layer {
  const char* name;
  FcddConvProblem p;
};

constexpr Layer layers[] = {
    {"cnn28-w conv1", {128, 28, 28, 1, 128, 5, 1, 2}},
    {"cnn28-w conv2", {128, 14, 14, 128, 128, 5, 1, 2}},
    {"cnn32-lw3k conv1", {20, 32, 32, 3, 128, 3, 1, 1}},
    {"cnn32-lw3k conv2", {20, 16, 16, 128, 256, 3, 1, 1}},
    {"cnn32-lw3k conv3", {20, 16, 16, 256, 256, 3, 1, 1}},
    {"cnn32-lw3k conv4", {20, 8, 8, 256, 128, 3, 1, 1}},
    {"cnn224 conv1", {8, 224, 224, 3, 8, 5, 1, 2}},
    {"cnn224 conv2", {8, 112, 112, 8, 32, 5, 1, 2}},
    {"cnn224 conv3", {8, 56, 56, 32, 64, 3, 1, 1}},
    {"cnn224 conv4", {8, 56, 56, 64, 128, 3, 1, 1}},
    {"cnn224 conv5", {8, 28, 28, 128, 128, 3, 1, 1}},
    {"vgg11 conv1", {2, 224, 224, 3, 64, 3, 1, 1}},
    {"vgg11 conv2", {2, 112, 112, 64, 128, 3, 1, 1}},
    {"vgg11 conv3", {2, 56, 56, 128, 256, 3, 1, 1}},
    {"vgg11 conv4", {2, 56, 56, 256, 256, 3, 1, 1}},
    {"vgg11 conv5", {4, 28, 28, 256, 512, 3, 1, 1}},
    {"vgg11 conv6", {4, 28, 28, 512, 512, 3, 1, 1}},
    {"vgg11 conv6 b1", {1, 28, 28, 512, 512, 3, 1, 1}},
    {"cnn32-lw3k conv2 b1", {1, 16, 16, 128, 256, 3, 1, 1}},
    {"cnn32-lw3k conv3 b1", {1, 16, 16, 256, 256, 3, 1, 1}},
    {"cnn32-lw3k conv4 b1", {1, 8, 8, 256, 128, 3, 1, 1}},
    {"vgg11 head", {4, 28, 28, 512, 1, 1, 1, 0}},
    {"stride 2", {4, 56, 56, 64, 128, 3, 2, 1}},
};

void report(const char* pass, double gflop, double s, double peak) {
  std::printf("  %-7s %8.3f ms %7.1f GFLOP/s %5.1f %%", pass, s * 1e3, gflop / s, 100 * gflop / s / peak);
}

void bench_layer(const char* isa, int threads, int precision, const Layer& layer, double peak) {
  Bench b(fcdd_cpu_table(), isa, threads, precision);
  const FcddConvProblem& p = layer.p;
  const int64_t oh = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  const int64_t ow = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  const int64_t inputs = int64_t{p.batch} * p.height * p.width * p.channels,
                outputs = p.batch * oh * ow * p.filters;
  const int64_t weights = int64_t{p.filters} * p.channels * p.kernel * p.kernel;
  const double gflop = 2e-9 * static_cast<double>(outputs) * p.channels * p.kernel * p.kernel;
  std::mt19937 random(1);
  const FcddBuffer x = b.real(normal_values(random, inputs)), dy = b.real(normal_values(random, outputs));
  const FcddBuffer w = b.real(normal_values(random, weights)), y = b.real_out(outputs),
                   dx = b.real_out(inputs);
  FcddBuffer packed[2], workspace[3];
  double packing[2];
  for (int pass = 0; pass < 3; pass++) {
    workspace[pass] = b.scratch(b.table->conv_workspace_bytes(b.device, &p, pass));
    if (pass == FCDD_WEIGHT_GRAD) continue;
    packed[pass] = b.scratch(b.table->conv_packed_bytes(b.device, &p, pass));
    const FcddConvPack pack{p, pass, w, packed[pass]};
    packing[pass] = best_seconds([&] { b.run(b.table->conv_pack(b.device, &pack)); });
  }
  FcddConvForward forward{};
  forward.p = p, forward.x = x, forward.packed = packed[0], forward.y = y, forward.workspace = workspace[0];
  const FcddConvInputGrad input{p, dy, packed[1], dx, workspace[1]};
  const FcddConvWeightGrad weight{p, x, dy, b.real_out(weights), FcddBuffer{}, workspace[2]};
  std::printf("%-17s", layer.name);
  report("forward", gflop, best_seconds([&] { b.run(b.table->conv_forward(b.device, &forward)); }), peak);
  report("input", gflop, best_seconds([&] { b.run(b.table->conv_input_grad(b.device, &input)); }), peak);
  report("weight", gflop, best_seconds([&] { b.run(b.table->conv_weight_grad(b.device, &weight)); }), peak);
  std::printf("  pack %.2f + %.2f ms\n", packing[0] * 1e3, packing[1] * 1e3);
  std::fflush(stdout);
}

}  // namespace
}  // namespace fcdd::test

int main(int argc, char** argv) {
  using namespace fcdd::test;
  const int threads = argc > 2 ? std::atoi(argv[2]) : fcdd::cpu::default_threads();
  const bool bf16 = argc > 1 && std::strcmp(argv[1], "bf16") == 0;
  const int precision = bf16 ? FCDD_PRECISION_BF16 : FCDD_PRECISION_DEFAULT;
  for (const std::string& isa : isas()) {
    if (argc > 1 && isa != (bf16 ? "avx512" : argv[1])) continue;
    fcdd::cpu::ensure_workers(threads);
    const double peak = peak_gflops(isa.c_str(), threads);
    std::printf("%s, %d threads: FMA peak %.1f GFLOP/s\n", isa.c_str(), threads, peak);
    for (const Layer& layer : layers) {
      if (argc <= 3 || std::strstr(layer.name, argv[3]) != nullptr) {
        bench_layer(isa.c_str(), threads, precision, layer, peak);
      }
    }
  }
  return 0;
}
