// Reads arguments from JavaScript objects. Every failure is one sentence with the code FCDD_INVALID_ARGUMENT:
// what was expected, for which argument, and what was received.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace fcdd::bindings {

// "0.5", "\"abc\"", "Float32Array of 12", "null", "an object", for messages.
std::string describe(const Napi::Value& value);
[[noreturn]] void reject(const std::string& expected, const std::string& argument,
                         const std::string& received);

// Plain values by themselves. `argument` is the name in messages.
int64_t read_integer(const Napi::Value& value, const std::string& argument, int64_t low, int64_t high);
double read_number(const Napi::Value& value, const std::string& argument);
bool read_flag(const Napi::Value& value, const std::string& argument);
std::string read_text(const Napi::Value& value, const std::string& argument);
// Copies of a Float32Array or Float64Array (finite values only) and of a Uint8Array (values 0...high).
std::vector<double> read_values(const Napi::Value& value, const std::string& argument);
std::vector<uint8_t> read_bytes(const Napi::Value& value, const std::string& argument, int high = 255);
// Like read_values, in the precision that they came in: pixels are many.
using Reals = std::variant<std::vector<float>, std::vector<double>>;
Reals read_reals(const Napi::Value& value, const std::string& argument);

// The properties of one object. A property that is undefined counts as absent.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string path);

  bool has(const char* name);
  Napi::Value raw(const char* name);
  std::string path(const char* name) const { return path_ + "." + name; }
  const std::string& path() const { return path_; }

  int32_t integer(const char* name, int64_t low, int64_t high = INT32_MAX);
  int32_t integer_or(const char* name, int32_t fallback, int64_t low, int64_t high = INT32_MAX);
  double number(const char* name);
  double number_or(const char* name, double fallback);
  // At least `low`.
  double number_from(const char* name, double fallback, double low);
  bool flag_or(const char* name, bool fallback);
  std::string text(const char* name);
  uint64_t seed(const char* name);
  std::vector<double> values(const char* name);
  std::vector<double> values_or_none(const char* name);
  std::vector<uint8_t> bytes(const char* name, int high = 255);
  std::vector<uint8_t> bytes_or_none(const char* name, int high = 255);
  // A JavaScript array of finite numbers.
  std::vector<double> numbers(const char* name);
  Fields object(const char* name);
  std::optional<Fields> object_or_none(const char* name);
  std::vector<Fields> list(const char* name);

  // Rejects a property that nothing has asked for: most likely a typing error.
  void done();

 private:
  Napi::Object object_;
  std::string path_;
  std::set<std::string> asked_;
};

// Position of `value` among `names`; throws and lists them when it is none of them.
int read_choice(const Napi::Value& value, const std::string& argument, const std::vector<const char*>& names);

// An array of objects, as fields named path[0], path[1]...
std::vector<Fields> read_list(const Napi::Value& value, const std::string& path);

}  // namespace fcdd::bindings
