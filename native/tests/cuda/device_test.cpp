// The cuda device behind its table: opening, memory, errors, and that it stays usable after them.
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "cuda_harness.h"
#if !defined(FCDD_CUDA_GPU_TESTS)
#include "cuda/emulation/control.h"
#endif

namespace fcdd::test {
namespace {

const FcddDeviceTable* table() {
  return fcdd_cuda_table();
}

FcddStatus open_status(const FcddDeviceOptions& options) {
  FcddDevice* device = nullptr;
  const FcddStatus status = table()->open(&options, &device);
  if (status == FCDD_OK) table()->close(device);
  return status;
}

bool said(const std::string& part) {
  const std::string text = table()->last_error(nullptr);
  if (text.find(part) != std::string::npos) return true;
  fail(__FILE__, __LINE__, "expected '" + part + "' in: " + text);
  return false;
}

// One step end to end: the device works.
bool works(Bench& b) {
  const FcddBuffer x = b.real({1, 2, 3, 4}), y = b.real_out(4);
  b.run(b.table->copy(b.device, y, x));
  return b.read_real(y) == std::vector<double>{1, 2, 3, 4};
}

}  // namespace

TEST(cuda_device_describes_itself) {
  CHECK(table()->abi == FCDD_DEVICE_ABI);
  CHECK(table()->bytes == sizeof(FcddDeviceTable));
  for (const FcddPrecision precision : cuda_precisions()) {
    Bench b(table(), cuda_options(precision));
    FcddDeviceInfo info{};
    b.run(table()->info(b.device, &info));
    CHECK(info.real_bytes == 4);
    const std::string detail = info.detail, isa = info.isa, name = info.name, suffix = name_of(precision);
    CHECK(detail.find(", sm_") != std::string::npos && detail.ends_with(", " + suffix));
    CHECK(isa.starts_with(name + "-sm") && isa.ends_with("-" + suffix));
#if defined(FCDD_CUDA_GPU_TESTS)
    CHECK(name == "cuda");
#else
    CHECK(name == "cuda-emulated");
#endif
    CHECK(works(b));
  }
}

TEST(cuda_device_takes_tensor_cores_by_default) {
  Bench b(table(), cuda_options(FCDD_PRECISION_DEFAULT));
  FcddDeviceInfo info{};
  b.run(table()->info(b.device, &info));
  const bool tensor_cores = cuda_precisions().size() > 1;
  CHECK(std::string(info.isa).ends_with(tensor_cores ? "-tf32" : "-float32"));
}

TEST(cuda_device_refuses_what_is_not_there) {
  CHECK(open_status({0, nullptr, 0, 17}) == FCDD_INVALID && said("no precision 17"));
  CHECK(open_status({0, nullptr, -1, 0}) == FCDD_FAILED && said("there is no GPU -1"));
  CHECK(open_status({0, nullptr, 100, 0}) == FCDD_FAILED && said("there is no GPU 100: this machine has"));
  CHECK(table()->open(nullptr, nullptr) == FCDD_INVALID);
  CHECK(table()->synchronise(nullptr) == FCDD_INVALID);
}

TEST(cuda_device_moves_bytes) {
  Bench b(table(), cuda_options(FCDD_PRECISION_FLOAT32));
  std::vector<uint8_t> values(1000);
  for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<uint8_t>(i * 7);
  const FcddBuffer x = b.bytes(values), y = b.bytes_out(1000);
  b.run(table()->copy(b.device, y, x));
  CHECK(b.read_bytes(y) == std::vector<double>(values.begin(), values.end()));
  FcddBuffer part = y;
  part.offset = 100, part.bytes = 3;
  b.run(table()->fill(b.device, part, 9));
  const std::vector<double> got = b.read_bytes(y);
  CHECK(got[99] == values[99] && got[100] == 9 && got[102] == 9 && got[103] == values[103]);
  b.run(table()->copy(b.device, FcddBuffer{}, FcddBuffer{}));
  b.run(table()->upload(b.device, FcddBuffer{}, nullptr));
  b.run(table()->synchronise(b.device));
}

TEST(cuda_device_refuses_buffers_outside_their_arena) {
  Bench b(table(), cuda_options(FCDD_PRECISION_FLOAT32));
  FcddBuffer buffer = b.scratch(100);
  char bytes[200];
  buffer.bytes = 200;
  CHECK(table()->download(b.device, bytes, buffer) == FCDD_INVALID && said("leaves its arena"));
  buffer.bytes = 50, buffer.offset = 51;
  CHECK(table()->download(b.device, bytes, buffer) == FCDD_INVALID);
  CHECK(table()->upload(b.device, FcddBuffer{12345, 0, 8}, bytes) == FCDD_INVALID);
  CHECK(table()->copy(b.device, FcddBuffer{buffer.arena, 0, 8}, FcddBuffer{buffer.arena, 8, 9}) ==
        FCDD_INVALID);
  CHECK(works(b));
  table()->release(b.device, buffer.arena);
  table()->release(b.device, buffer.arena);  // and again: nothing
  buffer.bytes = 1;
  CHECK(table()->fill(b.device, buffer, 0) == FCDD_INVALID);
  CHECK(works(b));
}

TEST(cuda_device_says_what_memory_was_needed) {
  Bench b(table(), cuda_options(FCDD_PRECISION_FLOAT32));
  uint64_t arena = 0;
  CHECK(table()->reserve(b.device, uint64_t{1} << 50, &arena) == FCDD_OUT_OF_MEMORY);
  CHECK(said("1073741824 MiB of device memory needed, ") && said(" MiB free on the device") &&
        said("lower the batch size or set --memory-budget"));
  CHECK(arena == 0);
  CHECK(works(b));
}

#if !defined(FCDD_CUDA_GPU_TESTS)

TEST(cuda_device_survives_any_failing_allocation) {
  const int before = cuda::emulation::live_allocations();
  cuda::emulation::fail_allocation(1);
  CHECK(open_status(cuda_options(FCDD_PRECISION_DEFAULT)) == FCDD_OUT_OF_MEMORY);
  {
    Bench b(table(), cuda_options(FCDD_PRECISION_DEFAULT));
    uint64_t arena = 0;
    cuda::emulation::fail_allocation(1);
    CHECK(table()->reserve(b.device, 1000, &arena) == FCDD_OUT_OF_MEMORY);
    CHECK(said("cudaMalloc: out of memory: 1 MiB of device memory needed"));
    CHECK(works(b));
  }
  CHECK(cuda::emulation::live_allocations() == before);  // closing gave everything back
}

TEST(cuda_store_goes_to_host_memory_when_the_device_is_short) {
  cuda::emulation::set_memory(1 << 20);
  {
    Bench b(table(), cuda_options(FCDD_PRECISION_FLOAT32));
    uint64_t large = 0, small = 0, none = 0;
    CHECK(table()->reserve(b.device, 900000, &none) == FCDD_OK);
    CHECK(table()->reserve_store(b.device, 4 << 20, &large) == FCDD_OK);
    CHECK(table()->reserve_store(b.device, 1000, &small) == FCDD_OK);
    CHECK(table()->reserve(b.device, 4 << 20, &none) == FCDD_OUT_OF_MEMORY);
    const FcddBuffer store{large, 0, 4 << 20};
    b.run(table()->fill(b.device, store, 3));
    CHECK(b.read_bytes(FcddBuffer{large, (4 << 20) - 1, 1}) == std::vector<double>{3});
  }
  cuda::emulation::set_memory(UINT64_MAX);
}

#endif

}  // namespace fcdd::test
