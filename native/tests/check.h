// A test harness of one page: TEST(name) { CHECK(...); } registers itself; main (main.cpp) runs all, or those
// whose names contain an argument, and exits 1 when a check failed. The last line is "N passed, N failed".
#pragma once

#include <cmath>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace fcdd::test {

struct Case {
  std::string name;
  std::function<void()> body;
};

std::vector<Case>& cases();
// Marks the running case as failed and prints where and why; the case goes on.
void fail(const char* file, int line, const std::string& what);

struct Register {
  Register(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

// Relative L2 distance ||a-b|| / ||b||; 0 when both are all zero, infinity when only b is. NaN counts as
// infinity.
template <class A, class B>
double relative_l2(const A& a, const B& b) {
  if (a.size() != b.size()) return INFINITY;
  double d = 0, n = 0;
  for (size_t i = 0; i < a.size(); i++) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    d += (x - y) * (x - y);
    n += y * y;
  }
  if (std::isnan(d) || std::isnan(n)) return INFINITY;
  if (d == 0) return 0;
  return n == 0 ? INFINITY : std::sqrt(d / n);
}

}  // namespace fcdd::test

#define TEST(name)                                                       \
  static void test_##name();                                             \
  static const fcdd::test::Register register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                \
  do {                                                                  \
    if (!(condition)) fcdd::test::fail(__FILE__, __LINE__, #condition); \
  } while (0)

// CHECK_LESS(value, bound) prints both.
#define CHECK_LESS(value, bound)                                              \
  do {                                                                        \
    const double v_ = (value), b_ = (bound);                                  \
    if (!(v_ < b_)) {                                                         \
      std::ostringstream o_;                                                  \
      o_ << #value << " = " << v_ << ", not below " << #bound << " = " << b_; \
      fcdd::test::fail(__FILE__, __LINE__, o_.str());                         \
    }                                                                         \
  } while (0)
