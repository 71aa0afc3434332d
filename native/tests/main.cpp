#include <cstdio>
#include <cstring>
#include <exception>

#include "check.h"

namespace fcdd::test {

static int failures_of_case = 0;

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void fail(const char* file, int line, const std::string& what) {
  failures_of_case++;
  std::fprintf(stderr, "  %s:%d: %s\n", file, line, what.c_str());
}

// No argument chooses all; else the name contains one of them.
static bool chosen(const std::string& name, int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (std::strstr(name.c_str(), argv[i])) return true;
  }
  return argc <= 1;
}

}  // namespace fcdd::test

int main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const auto& c : fcdd::test::cases()) {
    if (!fcdd::test::chosen(c.name, argc, argv)) continue;
    fcdd::test::failures_of_case = 0;
    try {
      c.body();
    } catch (const std::exception& e) {
      fcdd::test::fail(c.name.c_str(), 0, std::string("exception: ") + e.what());
    }
    const bool ok = fcdd::test::failures_of_case == 0;
    (ok ? passed : failed)++;
    std::printf("%s %s\n", ok ? "ok  " : "FAIL", c.name.c_str());
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
