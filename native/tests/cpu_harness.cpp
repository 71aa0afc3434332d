#include "cpu_harness.h"

#include <cstring>
#include <stdexcept>

#include "check.h"
#include "tolerances.h"

namespace fcdd::test {

Bench::Bench(const FcddDeviceTable* t, const char* isa, int threads, int precision)
    : Bench(t, FcddDeviceOptions{threads, isa, 0, precision}) {}

Bench::Bench(const FcddDeviceTable* t, const FcddDeviceOptions& options) : table(t) {
  run(table->open(&options, &device));
  FcddDeviceInfo info{};
  run(table->info(device, &info));
  wide_ = info.real_bytes == 8;
}

Bench::~Bench() {
  table->close(device);
}

void Bench::run(FcddStatus status) const {
  if (status != FCDD_OK) throw std::runtime_error(table->last_error(device));
}

FcddBuffer Bench::scratch(uint64_t bytes) {
  FcddBuffer buffer{0, 0, bytes};
  run(table->reserve(device, bytes, &buffer.arena));
  run(table->fill(device, buffer, 0xff));
  return buffer;
}

FcddBuffer Bench::upload(const void* data, uint64_t bytes) {
  const FcddBuffer buffer = scratch(bytes);
  run(table->upload(device, buffer, data));
  return buffer;
}

FcddBuffer Bench::real(const std::vector<double>& values) {
  if (wide_) return doubles(values);
  const std::vector<float> narrow(values.begin(), values.end());
  return upload(narrow.data(), narrow.size() * sizeof(float));
}

FcddBuffer Bench::doubles(const std::vector<double>& values) {
  return upload(values.data(), values.size() * sizeof(double));
}

FcddBuffer Bench::bytes(const std::vector<uint8_t>& values) {
  return upload(values.data(), values.size());
}

FcddBuffer Bench::real_out(int64_t count) {
  return scratch(static_cast<uint64_t>(count) * (wide_ ? sizeof(double) : sizeof(float)));
}

FcddBuffer Bench::doubles_out(int64_t count) {
  return scratch(static_cast<uint64_t>(count) * sizeof(double));
}

FcddBuffer Bench::bytes_out(int64_t count) {
  return scratch(static_cast<uint64_t>(count));
}

template <class T>
static std::vector<double> read(const Bench& bench, const FcddBuffer& buffer) {
  std::vector<T> values(buffer.bytes / sizeof(T));
  bench.run(bench.table->download(bench.device, values.data(), buffer));
  return std::vector<double>(values.begin(), values.end());
}

std::vector<double> Bench::read_real(const FcddBuffer& buffer) const {
  return wide_ ? read<double>(*this, buffer) : read<float>(*this, buffer);
}
std::vector<double> Bench::read_doubles(const FcddBuffer& buffer) const {
  return read<double>(*this, buffer);
}
std::vector<double> Bench::read_bytes(const FcddBuffer& buffer) const {
  return read<uint8_t>(*this, buffer);
}

const std::vector<std::string>& isas() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> found;
    for (const char* isa : {"baseline", "avx2", "avx512"}) {
      const FcddDeviceOptions options{1, isa, 0, FCDD_PRECISION_DEFAULT};
      FcddDevice* device = nullptr;
      if (fcdd_cpu_table()->open(&options, &device) != FCDD_OK) continue;
      fcdd_cpu_table()->close(device);
      found.push_back(isa);
    }
    return found;
  }();
  return all;
}

bool has_bf16() {
  const FcddDeviceOptions options{1, nullptr, 0, FCDD_PRECISION_BF16};
  FcddDevice* device = nullptr;
  if (fcdd_cpu_table()->open(&options, &device) != FCDD_OK) return false;
  fcdd_cpu_table()->close(device);
  return true;
}

static void compare(const std::string& label, const Outputs& got, const Outputs& expected, double tolerance) {
  for (size_t i = 0; i < expected.size(); i++) {
    const double distance = relative_l2(got[i].values, expected[i].values);
    if (!(distance < tolerance)) {
      fail(__FILE__, __LINE__, label + ": " + expected[i].name + " differs by " + std::to_string(distance));
    }
  }
}

bool same_bits(const Outputs& a, const Outputs& b) {
  for (size_t i = 0; i < a.size(); i++) {
    if (a[i].values.size() != b[i].values.size()) return false;
    if (std::memcmp(a[i].values.data(), b[i].values.data(), a[i].values.size() * sizeof(double)) != 0) {
      return false;
    }
  }
  return true;
}

static void check_device(const std::string& label, const BenchCase& body, const Outputs& expected,
                         const char* isa, int precision, double tolerance) {
  Bench one(fcdd_cpu_table(), isa, 1, precision);
  const Outputs got = body(one);
  compare(label, got, expected, tolerance);
  for (const int threads : {2, 7}) {
    Bench many(fcdd_cpu_table(), isa, threads, precision);
    if (!same_bits(got, body(many))) {
      fail(__FILE__, __LINE__, label + ": bits change with " + std::to_string(threads) + " threads");
    }
  }
}

void check_case(const std::string& label, const BenchCase& body) {
  Bench truth(fcdd_reference_table(), nullptr, 1);
  const Outputs expected = body(truth);
  for (const std::string& isa : isas()) {
    check_device(label + ", " + isa, body, expected, isa.c_str(), FCDD_PRECISION_DEFAULT,
                 tolerance::opFloat32);
  }
}

void check_case_bf16(const std::string& label, const BenchCase& body) {
  if (!has_bf16()) return;
  Bench truth(fcdd_reference_table(), nullptr, 1);
  check_device(label + ", bf16", body, body(truth), nullptr, FCDD_PRECISION_BF16, tolerance::opBf16Winograd);
}

std::vector<double> normal_values(std::mt19937& random, int64_t count, double scale, double shift) {
  std::normal_distribution<double> normal(shift, scale);
  std::vector<double> values(static_cast<size_t>(count));
  for (double& v : values) v = static_cast<double>(static_cast<float>(normal(random)));
  return values;
}

int uniform(std::mt19937& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

}  // namespace fcdd::test
