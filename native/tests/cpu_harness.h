// Runs one step on `reference` and on `cpu` with every instruction set of this machine and 1, 2 and 7
// threads.
//
// A case is a function of a Bench: it puts inputs, reserves outputs (filled with NaN before the step), runs
// steps and returns the outputs. Guarantee checked for every case: cpu equals reference within opFloat32
// (relative L2, per output), and the bits are the same for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fcdd/device.h"
#include "test_seed.h"

namespace fcdd::test {

struct Output {
  std::string name;
  std::vector<double> values;
};
using Outputs = std::vector<Output>;

// A device and its buffers, of its own real type.
class Bench {
 public:
  Bench(const FcddDeviceTable* table, const char* isa, int threads, int precision = FCDD_PRECISION_DEFAULT);
  Bench(const FcddDeviceTable* table, const FcddDeviceOptions& options);
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const FcddDeviceTable* table;
  FcddDevice* device = nullptr;

  FcddBuffer real(const std::vector<double>& values);
  FcddBuffer doubles(const std::vector<double>& values);
  FcddBuffer bytes(const std::vector<uint8_t>& values);
  FcddBuffer real_out(int64_t count);     // all NaN
  FcddBuffer doubles_out(int64_t count);  // all NaN
  FcddBuffer bytes_out(int64_t count);    // all 255
  FcddBuffer scratch(uint64_t bytes);     // all NaN

  std::vector<double> read_real(const FcddBuffer& buffer) const;
  std::vector<double> read_doubles(const FcddBuffer& buffer) const;
  std::vector<double> read_bytes(const FcddBuffer& buffer) const;
  void run(FcddStatus status) const;  // throws last_error unless FCDD_OK

 private:
  FcddBuffer upload(const void* data, uint64_t bytes);
  bool wide_;
};

using BenchCase = std::function<Outputs(Bench&)>;

// The instruction sets this machine has.
const std::vector<std::string>& isas();

// See the head of this file. `label` is printed when a check fails.
void check_case(const std::string& label, const BenchCase& body);

// The same for precision bf16, within opBf16Winograd; nothing where the machine has none.
bool has_bf16();
void check_case_bf16(const std::string& label, const BenchCase& body);

bool same_bits(const Outputs& a, const Outputs& b);

// Values that float32 holds exactly.
std::vector<double> normal_values(std::mt19937& random, int64_t count, double scale = 1, double shift = 0);
int uniform(std::mt19937& random, int low, int high);  // inclusive

}  // namespace fcdd::test
