#include "engine/device_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "fcdd/errors.h"

// What CMake found out about nvcc when this was built; see native/cuda/CMakeLists.txt.
#ifndef FCDD_CUDA_BUILD
#define FCDD_CUDA_BUILD ""
#endif

namespace fcdd {
namespace {

namespace fs = std::filesystem;

struct Kind {
  const char* device;
  const char* file;
};
constexpr Kind kKinds[] = {{"cuda", "libfcdd_cuda.so"}, {"cuda-emulated", "libfcdd_cuda_emulated.so"}};

const char* file_of(const std::string& name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.device) return kind.file;
  }
  throw Error("FCDD_NO_DEVICE", "there is no device library for '" + name + "'");
}

[[noreturn]] void missing(const std::string& problem, const std::string& hint) {
  throw Error("FCDD_NO_DEVICE", problem + "\nhint: " + hint);
}

const char* const kRebuild =
    "npm rebuild fcdd-native --foreground-scripts (in a checkout: npm run build:addon)";

// The folder of the addon or program that holds this code.
fs::path own_folder() {
  Dl_info info{};
  std::error_code error;
  fs::path path;
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) != 0 && info.dli_fname != nullptr) {
    path = info.dli_fname;
  }
  // A program is known by the name it was started with, which need not lead to it.
  if (!path.has_parent_path() || !fs::exists(path, error)) path = fs::read_symlink("/proc/self/exe", error);
  const fs::path real = fs::canonical(path, error);
  return (error ? path : real).parent_path();
}

[[noreturn]] void not_there(const std::string& name, const fs::path& path) {
  if (const char* forced = std::getenv("FCDD_CUDA_LIBRARY"); forced != nullptr && *forced != '\0') {
    missing("there is no file " + path.string() + ", which FCDD_CUDA_LIBRARY names", "correct or unset it");
  }
  const std::string where = path.filename().string() + " would lie in " + path.parent_path().string();
  if (name != "cuda") {
    missing("the library of the device '" + name + "' is not built",
            where + "; cmake -DFCDD_CUDA_EMULATED=ON builds it, for tests only");
  }
  const std::string why = FCDD_CUDA_BUILD;
  missing("the CUDA library is not built" + (why.empty() ? "" : ": " + why),
          where + "; it is built where nvcc of CUDA 12 or 13 is found (on the PATH, in /usr/local/cuda, or " +
              "where CUDACXX says): install the CUDA toolkit, then " + kRebuild);
}

struct Library {
  void* handle;
  const FcddDeviceTable* table;
};

const FcddDeviceTable* checked_table(void* handle, const std::string& path) {
  using Entry = const FcddDeviceTable* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, "fcdd_cuda_table"));
  if (entry == nullptr) missing(path + " is no device library of this package", kRebuild);
  const FcddDeviceTable* table = entry();
  if (table->abi == FCDD_DEVICE_ABI && table->bytes == sizeof(FcddDeviceTable)) return table;
  missing(path + " was built for another version of this package (interface " + std::to_string(table->abi) +
              ", this addon has " + std::to_string(FCDD_DEVICE_ABI) + ")",
          std::string("build both anew: ") + kRebuild);
}

Library load(const std::string& name, const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) not_there(name, path);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* text = dlerror();
    missing("the library of the device '" + name + "' cannot be loaded: " + (text ? text : path),
            std::string("build it anew on this machine: ") + kRebuild);
  }
  return {handle, checked_table(handle, path)};
}

// Loads at the first call that succeeds; a failure is tried again, because files may come.
Library library_of(const std::string& name) {
  static std::mutex& mutex = *new std::mutex;  // outlives every static object
  static std::map<std::string, Library>& loaded = *new std::map<std::string, Library>;
  const std::string path = library_path(name);
  const std::lock_guard lock(mutex);
  const auto found = loaded.find(path);
  if (found != loaded.end()) return found->second;
  return loaded[path] = load(name, path);
}

}  // namespace

bool is_library_device(const std::string& name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.device) return true;
  }
  return false;
}

std::vector<std::string> library_devices() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.device);
  return names;
}

std::string library_path(const std::string& name) {
  const char* file = file_of(name);
  const char* forced = std::getenv("FCDD_CUDA_LIBRARY");
  return forced != nullptr && *forced != '\0' ? forced : (own_folder() / file).string();
}

const FcddDeviceTable* library_table(const std::string& name) {
  return library_of(name).table;
}

std::string library_facts(const std::string& name) {
  using Entry = const char* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library_of(name).handle, "fcdd_cuda_facts"));
  return entry == nullptr ? "" : entry();
}

}  // namespace fcdd
