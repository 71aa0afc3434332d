// One probe kernel per wrapper of cuda/instructions.h: a known pattern in, a table of words out. What must
// come out (probe_table.h) was computed by probe_table.py from the PTX ISA's text, not by the emulation: a
// fault that the emulated loads and products share would cancel out in a step's test, but not here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fcdd::test {

struct Probe {
  std::string name;
  bool tensor_cores;  // needs sm_80
};

const std::vector<Probe>& probes();
std::vector<uint32_t> run_probe(const std::string& name);  // on device 0; throws fcdd::Error
bool has_tensor_cores();

}  // namespace fcdd::test
