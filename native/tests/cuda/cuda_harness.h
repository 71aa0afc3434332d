// Runs one step on `reference` and on the cuda device: under g++ in several orders of threads, on a GPU
// several times.
//
// Guarantee checked for every case and precision: cuda equals reference within opFloat32, opTf32 or opBf16
// (relative L2, per output), and the bits are the same in all orders. Outputs and workspaces are full of NaN
// before the step. FCDD_CUDA_ORDERS=n runs n orders instead of six.
#pragma once

#include <string>
#include <vector>

#include "cpu_harness.h"

extern "C" const FcddDeviceTable* fcdd_cuda_table(void);

namespace fcdd::test {

// What the tested step depends on: convolutions on the precision of their operands, all others on none.
enum class Operands { any_precision, float32_only };

// `label` is printed when a check fails.
void check_cuda_case(const std::string& label, const BenchCase& body,
                     Operands operands = Operands::any_precision);

// Precisions that this device has, and the tolerance of each.
std::vector<FcddPrecision> cuda_precisions();
double tolerance_of(FcddPrecision precision);
const char* name_of(FcddPrecision precision);
FcddDeviceOptions cuda_options(FcddPrecision precision);

// Orders of threads to try: seeds for set_thread_order, which does nothing on a GPU.
std::vector<uint64_t> thread_orders();
void set_thread_order(uint64_t seed);

}  // namespace fcdd::test
