// How many threads this process should use: see default_threads in threads.h.
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs of the affinity mask, hyper-threads of one core counted once.
int allowed_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string siblings =
        first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

// Cores of "quota period" (microseconds); infinite without a quota.
double cores_of(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : INFINITY;
}

double quota_v2(std::string group) {
  double least = INFINITY;
  for (;;) {  // a parent's quota binds its children
    std::istringstream line(first_line("/sys/fs/cgroup" + group + "/cpu.max"));
    double quota = 0, period = 0;
    if (line >> quota >> period)
      least = std::min(least, cores_of(quota, period));  // "max ..." does not parse
    const size_t slash = group.find_last_of('/');
    if (group.empty() || slash == std::string::npos) return least;
    group.resize(slash);
  }
}

double quota_v1(const std::string& group) {
  double least = INFINITY;
  for (const std::string& folder : {group, std::string()}) {
    for (const char* root : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
      double quota = 0, period = 0;
      std::istringstream(first_line(root + folder + "/cpu.cfs_quota_us")) >> quota;
      std::istringstream(first_line(root + folder + "/cpu.cfs_period_us")) >> period;
      least = std::min(least, cores_of(quota, period));
    }
  }
  return least;
}

double cgroup_cores() {
  double least = quota_v2("");
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = ",";
    controllers.append(line, first + 1, second - first - 1).append(",");
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least = std::min(least, quota_v2(group == "/" ? "" : group));
    if (controllers.find(",cpu,") != std::string::npos) least = std::min(least, quota_v1(group));
  }
  return least;
}

}  // namespace

int default_threads() {
  const int cores = allowed_cores();
  const double quota = std::ceil(cgroup_cores());
  return quota < cores ? std::max(1, static_cast<int>(quota)) : cores;
}

}  // namespace fcdd::cpu
