// The command line that the programs of gpu-verify share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fcdd/network.h"

namespace fcdd::test {

struct Options {
  std::string device = "cuda";
  std::vector<int> precisions = {FCDD_PRECISION_FLOAT32, FCDD_PRECISION_TF32, FCDD_PRECISION_BF16};
  bool reduced = false;  // small sizes, for the emulated library
  std::string json;      // file for the report
  std::string table;     // file for one line per result: name, precision, batch, milliseconds, by tabs
  double seconds = 60;   // what is not begun by then is left out, and the report says so
};

// --device NAME --precisions float32,tf32,bf16 --reduced --json FILE --table FILE --seconds N.
// Throws Error for anything else.
Options parse_options(int argc, char** argv);

const char* precision_name(int precision);

// `device` as the engine opens it; a precision of its own only where the device has several.
std::shared_ptr<Device> open_verified(const std::string& device, int precision);

// Seconds since the program began.
double elapsed();

}  // namespace fcdd::test
