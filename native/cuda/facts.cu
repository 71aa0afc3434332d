#include "cuda/facts.h"

#include <string>
#include <vector>

#include "cuda/runtime.h"

namespace fcdd::cuda {
namespace {

#if defined(__CUDACC__)
const std::vector<int> built = {__CUDA_ARCH_LIST__};
#else
const std::vector<int> built = {};
#endif

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) >= ' ') {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

// 13020 -> "13.2"
std::string version(int number) {
  if (number == 0) return "null";
  return quoted(std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10));
}

std::string list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return "[" + out + "]";
}

std::string gpu(int index) {
  const DeviceFacts facts = device_facts(index);
  use_device(index);
  return "{\"name\": " + quoted(facts.name) + ", \"architecture\": " + std::to_string(facts.architecture) +
         ", \"processors\": " + std::to_string(facts.processors) +
         ", \"memory\": " + std::to_string(facts.memory) +
         ", \"free\": " + std::to_string(free_device_bytes()) + "}";
}

std::string facts() {
  std::vector<std::string> architectures, gpus;
  for (const int architecture : built) architectures.push_back(std::to_string(architecture / 10));
  std::string problem = "null";
  try {
    const int count = device_count();
    for (int i = 0; i < count; i++) gpus.push_back(gpu(i));
  } catch (const std::exception& error) {
    problem = quoted(error.what());
  }
  return "{\"architectures\": " + list(architectures) + ", \"runtime\": " + version(runtime_version()) +
         ", \"driver\": " + version(driver_version()) + ", \"problem\": " + problem +
         ", \"gpus\": " + list(gpus) + "}";
}

}  // namespace
}  // namespace fcdd::cuda

extern "C" __attribute__((visibility("default"))) const char* fcdd_cuda_facts(void) {
  thread_local std::string text;
  text = fcdd::cuda::facts();
  return text.c_str();
}
