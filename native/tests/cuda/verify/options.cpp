#include "options.h"

#include <chrono>
#include <cstdlib>
#include <sstream>

namespace fcdd::test {
namespace {

const auto began = std::chrono::steady_clock::now();

int precision_of(const std::string& name) {
  for (const int precision : {FCDD_PRECISION_FLOAT32, FCDD_PRECISION_TF32, FCDD_PRECISION_BF16}) {
    if (name == precision_name(precision)) return precision;
  }
  throw Error("FCDD_INVALID_ARGUMENT", "--precisions: expected float32, tf32 or bf16, received " + name);
}

std::vector<int> precisions_of(const std::string& list) {
  std::vector<int> found;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) found.push_back(precision_of(name));
  return found;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    if (name == "--reduced") {
      options.reduced = true;
      continue;
    }
    if (i + 1 == argc) throw Error("FCDD_INVALID_ARGUMENT", "unknown option or missing value: " + name);
    const std::string value = argv[++i];
    if (name == "--device") {
      options.device = value;
    } else if (name == "--precisions") {
      options.precisions = precisions_of(value);
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--table") {
      options.table = value;
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else {
      throw Error("FCDD_INVALID_ARGUMENT", "unknown option " + name);
    }
  }
  return options;
}

const char* precision_name(int precision) {
  switch (precision) {
    case FCDD_PRECISION_FLOAT32:
      return "float32";
    case FCDD_PRECISION_TF32:
      return "tf32";
    case FCDD_PRECISION_BF16:
      return "bf16";
    default:
      return "default";
  }
}

std::shared_ptr<Device> open_verified(const std::string& device, int precision) {
  FcddDeviceOptions options{};
  if (device.rfind("cuda", 0) == 0) options.precision = precision;
  return Device::open(device, options);
}

double elapsed() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace fcdd::test
