#include "fields.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "fcdd/errors.h"

namespace fcdd::bindings {

namespace {

std::string number_text(double value) {
  std::ostringstream out;
  out.precision(15);
  out << value;
  return out.str();
}

std::string class_name(const Napi::Object& object) {
  const Napi::Value constructor = object.Get("constructor");
  if (!constructor.IsFunction()) return "an object";
  const std::string name = constructor.As<Napi::Object>().Get("name").ToString();
  return name.empty() || name == "Object" ? "an object" : name;
}

constexpr double largest_safe_integer = 9007199254740991.0;

}  // namespace

std::string describe(const Napi::Value& value) {
  if (value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>() ? "true" : "false";
  if (value.IsNumber()) return number_text(value.As<Napi::Number>().DoubleValue());
  if (value.IsString()) return '"' + value.As<Napi::String>().Utf8Value() + '"';
  if (value.IsFunction()) return "a function";
  if (value.IsTypedArray()) {
    return class_name(value.As<Napi::Object>()) + " of " +
           std::to_string(value.As<Napi::TypedArray>().ElementLength());
  }
  if (value.IsArray()) return "an array of " + std::to_string(value.As<Napi::Array>().Length());
  return value.IsObject() ? class_name(value.As<Napi::Object>()) : "a value of another type";
}

void reject(const std::string& expected, const std::string& argument, const std::string& received) {
  throw Error("FCDD_INVALID_ARGUMENT",
              "Expected " + expected + " for " + argument + " but received " + received);
}

int64_t read_integer(const Napi::Value& value, const std::string& argument, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  const bool whole =
      std::isfinite(number) && number == std::floor(number) && std::fabs(number) <= largest_safe_integer;
  if (whole && number >= static_cast<double>(low) && number <= static_cast<double>(high)) {
    return static_cast<int64_t>(number);
  }
  const std::string range = high == INT32_MAX || high >= static_cast<int64_t>(largest_safe_integer)
                                ? "of at least " + std::to_string(low)
                                : "from " + std::to_string(low) + " to " + std::to_string(high);
  reject("an integer " + range, argument, describe(value));
}

double read_number(const Napi::Value& value, const std::string& argument) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!std::isfinite(number)) reject("a finite number", argument, describe(value));
  return number;
}

bool read_flag(const Napi::Value& value, const std::string& argument) {
  if (!value.IsBoolean()) reject("true or false", argument, describe(value));
  return value.As<Napi::Boolean>();
}

std::string read_text(const Napi::Value& value, const std::string& argument) {
  if (!value.IsString()) reject("a string", argument, describe(value));
  return value.As<Napi::String>();
}

template <class T, class Array>
static std::vector<T> finite_copy(const Array& array, const std::string& argument) {
  const auto* data = array.Data();
  const size_t count = array.ElementLength();
  // Without a way out of the loop the compiler does many values at once.
  bool finite = true;
  for (size_t i = 0; i < count; i++) finite &= std::abs(data[i]) <= std::numeric_limits<T>::max();
  for (size_t i = 0; !finite && i < count; i++) {
    if (!std::isfinite(data[i])) {
      reject("finite numbers", argument,
             number_text(static_cast<double>(data[i])) + " at index " + std::to_string(i));
    }
  }
  return std::vector<T>(data, data + count);
}

Reals read_reals(const Napi::Value& value, const std::string& argument) {
  if (value.IsTypedArray()) {
    const auto array = value.As<Napi::TypedArray>();
    if (array.TypedArrayType() == napi_float32_array)
      return finite_copy<float>(value.As<Napi::Float32Array>(), argument);
    if (array.TypedArrayType() == napi_float64_array)
      return finite_copy<double>(value.As<Napi::Float64Array>(), argument);
  }
  reject("a Float32Array or Float64Array", argument, describe(value));
}

std::vector<double> read_values(const Napi::Value& value, const std::string& argument) {
  Reals reals = read_reals(value, argument);
  if (auto* wide = std::get_if<std::vector<double>>(&reals)) return std::move(*wide);
  const auto& narrow = std::get<std::vector<float>>(reals);
  return std::vector<double>(narrow.begin(), narrow.end());
}

std::vector<uint8_t> read_bytes(const Napi::Value& value, const std::string& argument, int high) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    reject("a Uint8Array", argument, describe(value));
  }
  const auto array = value.As<Napi::Uint8Array>();
  const uint8_t* data = array.Data();
  const size_t count = array.ElementLength();
  for (size_t i = 0; i < count && high < 255; i++) {
    if (data[i] > high) {
      reject("values from 0 to " + std::to_string(high), argument,
             std::to_string(data[i]) + " at index " + std::to_string(i));
    }
  }
  return std::vector<uint8_t>(data, data + count);
}

Fields::Fields(const Napi::Value& value, std::string path) : path_(std::move(path)) {
  if (!value.IsObject() || value.IsArray() || value.IsTypedArray() || value.IsFunction()) {
    reject("an object", path_, describe(value));
  }
  object_ = value.As<Napi::Object>();
}

Napi::Value Fields::raw(const char* name) {
  asked_.insert(name);
  return object_.Get(name);
}

bool Fields::has(const char* name) {
  return !raw(name).IsUndefined();
}

int32_t Fields::integer(const char* name, int64_t low, int64_t high) {
  return static_cast<int32_t>(read_integer(raw(name), path(name), low, high));
}

int32_t Fields::integer_or(const char* name, int32_t fallback, int64_t low, int64_t high) {
  return has(name) ? integer(name, low, high) : fallback;
}

double Fields::number(const char* name) {
  return read_number(raw(name), path(name));
}

double Fields::number_or(const char* name, double fallback) {
  return has(name) ? number(name) : fallback;
}

double Fields::number_from(const char* name, double fallback, double low) {
  const double value = number_or(name, fallback);
  if (value < low) reject("a number of at least " + number_text(low), path(name), number_text(value));
  return value;
}

bool Fields::flag_or(const char* name, bool fallback) {
  return has(name) ? read_flag(raw(name), path(name)) : fallback;
}

std::string Fields::text(const char* name) {
  return read_text(raw(name), path(name));
}

uint64_t Fields::seed(const char* name) {
  return static_cast<uint64_t>(read_integer(raw(name), path(name), 0, INT64_MAX));
}

std::vector<double> Fields::values(const char* name) {
  return read_values(raw(name), path(name));
}

std::vector<double> Fields::values_or_none(const char* name) {
  return has(name) ? values(name) : std::vector<double>{};
}

std::vector<uint8_t> Fields::bytes(const char* name, int high) {
  return read_bytes(raw(name), path(name), high);
}

std::vector<uint8_t> Fields::bytes_or_none(const char* name, int high) {
  return has(name) ? bytes(name, high) : std::vector<uint8_t>{};
}

std::vector<double> Fields::numbers(const char* name) {
  const Napi::Value value = raw(name);
  if (!value.IsArray()) reject("an array of numbers", path(name), describe(value));
  const auto array = value.As<Napi::Array>();
  std::vector<double> numbers;
  for (uint32_t i = 0; i < array.Length(); i++) {
    numbers.push_back(read_number(array.Get(i), path(name) + "[" + std::to_string(i) + "]"));
  }
  return numbers;
}

Fields Fields::object(const char* name) {
  return Fields(raw(name), path(name));
}

std::optional<Fields> Fields::object_or_none(const char* name) {
  return has(name) ? std::optional(object(name)) : std::nullopt;
}

std::vector<Fields> Fields::list(const char* name) {
  return read_list(raw(name), path(name));
}

void Fields::done() {
  const Napi::Array names = object_.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    if (asked_.count(name) > 0 || object_.Get(name).IsUndefined()) continue;
    std::string known;
    for (const auto& asked : asked_) known += (known.empty() ? "" : ", ") + asked;
    reject("only the properties " + known, path_, "the property " + name);
  }
}

int read_choice(const Napi::Value& value, const std::string& argument,
                const std::vector<const char*>& names) {
  std::string known;
  for (size_t i = 0; i < names.size(); i++) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == names[i]) return static_cast<int>(i);
    known += (i == 0 ? "\"" : ", \"") + std::string(names[i]) + '"';
  }
  reject("one of " + known, argument, describe(value));
}

std::vector<Fields> read_list(const Napi::Value& value, const std::string& path) {
  if (!value.IsArray()) reject("an array", path, describe(value));
  const auto array = value.As<Napi::Array>();
  std::vector<Fields> items;
  for (uint32_t i = 0; i < array.Length(); i++) {
    items.emplace_back(array.Get(i), path + "[" + std::to_string(i) + "]");
  }
  return items;
}

}  // namespace fcdd::bindings
