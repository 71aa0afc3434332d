// One worker pool for the whole process, shared by all devices.
//
// - `parallel` runs fn(index, worker) for every index in 0..count-1, on the calling thread (worker 0) and on
// up to
//   threads-1 pool workers; worker numbers are dense, so they can name scratch memory. It returns when all is
//   done.
// - Which worker takes which index depends on timing: results must depend on the index alone.
// - Several threads may call it at once; they share the pool's workers and never wait for each other's work.
// - The first exception of fn is rethrown to the caller, after all workers have left.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fcdd::cpu {

// Least of affinity mask, cgroup quota (rounded up) and physical cores; at least 1.
int default_threads();

// Starts workers so that `threads` can run at once; called when a device opens, so that no step creates a
// thread.
void ensure_workers(int threads);

using ParallelBody = void (*)(void* context, int64_t index, int worker);
void run_parallel(int threads, int64_t count, ParallelBody body, void* context);

template <class F>
void parallel(int threads, int64_t count, F&& fn) {
  using Fn = std::remove_reference_t<F>;
  run_parallel(
      threads, count,
      [](void* context, int64_t index, int worker) { (*static_cast<Fn*>(context))(index, worker); },
      const_cast<void*>(static_cast<const void*>(&fn)));
}

}  // namespace fcdd::cpu
