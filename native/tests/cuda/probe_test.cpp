// Every instruction wrapper gives what the PTX ISA says: see probe.h.
#include <string>

#include "check.h"
#include "cuda_harness.h"
#include "probe.h"
#include "probe_table.h"

namespace fcdd::test {
namespace {

std::string differences(const std::vector<uint32_t>& got, const std::vector<uint32_t>& expected) {
  if (got.size() != expected.size()) return "another number of words";
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < got.size(); i++) {
    if (got[i] == expected[i]) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return "";
  std::ostringstream text;
  text << wrong << " of " << got.size() << " words differ, first word " << first << ": " << std::hex
       << got[first] << ", expected " << expected[first];
  return text.str();
}

}  // namespace

TEST(cuda_probe_tables) {
  CHECK(probes().size() == probe_table.size());
  for (const Probe& probe : probes()) {
    if (probe.tensor_cores && !has_tensor_cores()) continue;
    for (const uint64_t seed : thread_orders()) {
      set_thread_order(seed);
      const std::string wrong = differences(run_probe(probe.name), probe_table.at(probe.name));
      if (!wrong.empty()) fail(__FILE__, __LINE__, probe.name + ": " + wrong);
    }
  }
}

}  // namespace fcdd::test
