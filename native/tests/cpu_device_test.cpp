// The cpu device itself: its worker pool, the choice of instruction set and algorithm, memory and its errors.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "check.h"
#include "cpu/threads.h"
#include "cpu_harness.h"

namespace fcdd::test {
namespace {

// Sets an environment variable for the life of the object.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

FcddStatus open_with(const char* isa, int threads) {
  const FcddDeviceOptions options{threads, isa, 0, FCDD_PRECISION_DEFAULT};
  FcddDevice* device = nullptr;
  const FcddStatus status = fcdd_cpu_table()->open(&options, &device);
  if (status == FCDD_OK) fcdd_cpu_table()->close(device);
  return status;
}

}  // namespace

TEST(cpu_pool_visits_every_index_once_from_several_callers) {
  cpu::ensure_workers(4);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 3; caller++) {
    callers.emplace_back([&wrong] {
      for (int round = 0; round < 200; round++) {
        const int count = 1 + round % 37, threads = 1 + round % 6;
        std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
        std::vector<std::atomic<int>> busy(static_cast<size_t>(threads));
        cpu::parallel(threads, count, [&](int64_t index, int worker) {
          if (worker < 0 || worker >= threads || busy[static_cast<size_t>(worker)]++ != 0) wrong++;
          visits[static_cast<size_t>(index)]++;
          busy[static_cast<size_t>(worker)]--;
        });
        for (const auto& v : visits) wrong += v == 1 ? 0 : 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST(cpu_pool_hands_exceptions_to_the_caller) {
  cpu::ensure_workers(3);
  std::string caught;
  try {
    cpu::parallel(3, 100, [](int64_t index, int) {
      if (index == 57) throw std::runtime_error("at 57");
    });
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
  CHECK(caught == "at 57");
  std::atomic<int> visits{0};
  cpu::parallel(3, 10, [&](int64_t, int) { visits++; });  // the pool goes on
  CHECK(visits == 10);
}

TEST(cpu_default_threads_fit_the_machine) {
  CHECK(cpu::default_threads() >= 1);
  CHECK(cpu::default_threads() <= static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(cpu_isa_is_chosen_forced_and_refused) {
  CHECK(open_with("sse9", 1) == FCDD_INVALID);
  CHECK(std::string(fcdd_cpu_table()->last_error(nullptr)).find("received sse9") != std::string::npos);
  CHECK(open_with(nullptr, 5000) == FCDD_INVALID);
  const std::string best_isa = isas().back();  // before an instruction set is forced on every opening
  {
    const Setting forced("FCDD_CPU_ISA", "baseline");
    Bench b(fcdd_cpu_table(), best_isa.c_str(), 2);
    FcddDeviceInfo info{};
    b.run(b.table->info(b.device, &info));
    CHECK(std::string(info.isa) == "baseline");
    CHECK(std::string(info.detail) == "baseline, 2 threads");
  }
  Bench best(fcdd_cpu_table(), nullptr, 1);
  FcddDeviceInfo info{};
  best.run(best.table->info(best.device, &info));
  CHECK(info.isa == best_isa);
}

TEST(cpu_memory_refuses_what_it_does_not_have) {
  Bench b(fcdd_cpu_table(), nullptr, 1);
  uint64_t arena = 0;
  CHECK(b.table->reserve(b.device, UINT64_MAX, &arena) == FCDD_OUT_OF_MEMORY);
  FcddBuffer buffer = b.scratch(100);
  char bytes[200];
  buffer.bytes = 200;
  CHECK(b.table->download(b.device, bytes, buffer) == FCDD_INVALID);
  buffer.bytes = 50, buffer.offset = 51;
  CHECK(b.table->download(b.device, bytes, buffer) == FCDD_INVALID);
  CHECK(b.table->upload(b.device, FcddBuffer{12345, 0, 8}, bytes) == FCDD_INVALID);
}

}  // namespace fcdd::test
