// The worker pool: a list of open jobs under one mutex. A job's indices are cut into as many ranges as it has
// workers; each worker begins with a range of its own, always the same, and then helps with the others. So
// neighbours (rows, images) stay on one core from step to step: cores need not share a cache, and what
// another one has written then arrives at a third of the speed. Nor do they wait for one counter.
#include "cpu/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace fcdd::cpu {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How often an idle worker looks for work before it sleeps: for about 100 microseconds, longer than the
// serial gap between two steps, and than a service's between two small pictures; asleep, it may wake up on
// its caller's core and stay there for a whole call. Where workers are more than cores, looking keeps others
// from working.
constexpr int patient_spins = 5000, brief_spins = 500;

constexpr int most_ranges = 64;

// One call of run_parallel; lives on the caller's stack and is reachable through the pool's list while open.
struct Job {
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;

    bool empty() const { return next.load(std::memory_order_relaxed) >= end; }
  };

  ParallelBody body;
  void* context;
  int wanted;      // helpers that may still join (pool mutex)
  int joined = 0;  // helpers that have joined (pool mutex)
  Job* next = nullptr;
  std::atomic<int> active{0};  // helpers inside
  std::atomic<bool> failed{false};
  std::exception_ptr error{};
  int ranges;
  Range range[most_ranges];

  Job(ParallelBody run, void* with, int64_t count, int workers)
      : body(run), context(with), wanted(workers - 1), ranges(std::min(workers, most_ranges)) {
    for (int r = 0; r < ranges; r++) {
      range[r].next.store(count * r / ranges, std::memory_order_relaxed);
      range[r].end = count * (r + 1) / ranges;
    }
  }

  bool exhausted() const {
    for (int r = 0; r < ranges; r++) {
      if (!range[r].empty()) return false;
    }
    return true;
  }

  void work(int worker, int first) {
    try {
      for (int r = 0; r < ranges; r++) {
        Range& mine = range[(first + r) % ranges];
        if (mine.empty()) continue;
        for (int64_t i; (i = mine.next.fetch_add(1, std::memory_order_relaxed)) < mine.end;)
          body(context, i, worker);
      }
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
      for (int r = 0; r < ranges; r++) range[r].next.store(range[r].end, std::memory_order_relaxed);
    }
  }
};

class Pool {
 public:
  void ensure(int workers) {
    const std::lock_guard lock(mutex_);
    if (static_cast<int>(workers_.size()) < workers)
      spins_.store(workers < default_threads() ? patient_spins : brief_spins, std::memory_order_relaxed);
    while (static_cast<int>(workers_.size()) < workers) {
      const int seat = static_cast<int>(workers_.size()) + 1;
      workers_.emplace_back([this, seat] { serve(seat); });
    }
  }

  void run(Job& job) {
    {
      const std::lock_guard lock(mutex_);
      job.next = jobs_;
      jobs_ = &job;
      posted_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load() > 0) wake_.notify_all();
    job.work(0, 0);
    {
      const std::lock_guard lock(mutex_);
      Job** link = &jobs_;
      while (*link != &job) link = &(*link)->next;
      *link = job.next;
    }
    // Nobody can join any more. A helper may have lost its core in mid-index: spin briefly, then sleep.
    const int spins = spins_.load(std::memory_order_relaxed);
    for (int spin = 0; job.active.load(std::memory_order_acquire) > 0; spin++) {
      if (spin < spins) {
        pause();
      } else {
        std::unique_lock lock(mutex_);
        left_.wait(lock, [&] { return job.active.load(std::memory_order_acquire) == 0; });
      }
    }
  }

 private:
  Job* join(int& worker) {  // mutex held
    for (Job* job = jobs_; job != nullptr; job = job->next) {
      if (job->wanted == 0 || job->exhausted()) continue;
      job->wanted--;
      worker = ++job->joined;
      job->active.fetch_add(1, std::memory_order_relaxed);
      return job;
    }
    return nullptr;
  }

  void leave(Job* job) {
    // Under the mutex: the caller may destroy the job as soon as it sees zero.
    const std::lock_guard lock(mutex_);
    if (job->active.fetch_sub(1, std::memory_order_release) == 1) left_.notify_all();
  }

  void serve(int seat) {
    for (;;) {
      const uint64_t seen = posted_.load(std::memory_order_acquire);
      int worker = 0;
      Job* job;
      {
        const std::lock_guard lock(mutex_);
        job = join(worker);
      }
      if (job != nullptr) {
        job->work(worker, seat < job->ranges ? seat : worker);
        leave(job);
        continue;
      }
      await_post(seen);
    }
  }

  void await_post(uint64_t seen) {
    const int spins = spins_.load(std::memory_order_relaxed);
    for (int spin = 0; spin < spins; spin++) {
      if (posted_.load(std::memory_order_acquire) != seen) return;
      pause();
    }
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, [&] { return posted_.load(std::memory_order_relaxed) != seen; });
    sleepers_.fetch_sub(1);
  }

  std::mutex mutex_;
  std::condition_variable wake_, left_;
  std::vector<std::thread> workers_;
  Job* jobs_ = nullptr;
  std::atomic<uint64_t> posted_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> spins_{brief_spins};
};

// Never destroyed: its threads may be asleep when the process exits, and joining them there could hang a
// host.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

void ensure_workers(int threads) {
  pool().ensure(threads - 1);
}

void run_parallel(int threads, int64_t count, ParallelBody body, void* context) {
  if (threads <= 1 || count <= 1) {
    for (int64_t i = 0; i < count; i++) body(context, i, 0);
    return;
  }
  Job job(body, context, count, static_cast<int>(std::min<int64_t>(threads, count)));
  pool().run(job);
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace fcdd::cpu
