// One thread per device: an in-order queue of jobs, apart from libuv's pool.
//
// Guarantees
// - `work` of all jobs runs on the dispatcher's thread, one at a time, in the order of `post`.
// - `settle` runs on the JavaScript thread afterwards; a job that has one keeps the event loop alive until
// then.
// - When the JavaScript environment ends (process, worker thread) in the middle of a job, the job is told to
// stop, the
//   thread is joined, and queued jobs are dropped unsettled. The same happens at exit(), before static
//   objects go.
// - The thread ends by itself when the last `leave` has been called and everything posted before it is done.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "failure.h"

namespace fcdd::bindings {

using StopFlag = std::shared_ptr<std::atomic<bool>>;

struct Job {
  std::function<void()> work;             // must not throw
  std::function<void(Napi::Env)> settle;  // may be empty
  StopFlag stop;                          // may be empty: the work cannot be stopped
  bool last = false;                      // the thread ends after it
};

class Dispatcher;
void settle_job(Napi::Env env, Napi::Function, Dispatcher* dispatcher, Job* job);

class Dispatcher : public std::enable_shared_from_this<Dispatcher> {
 public:
  // `close` is the last thing that runs on the thread; it releases the device.
  static std::shared_ptr<Dispatcher> start(Napi::Env env, std::function<void()> close);
  ~Dispatcher();

  // All of these on the JavaScript thread.
  void post(Job job);
  bool idle() const { return pending_ == 0; }  // nothing posted awaits its settling
  void enter() { users_++; }
  void leave();

  // A promise for what `work` returns, made into a JavaScript value by `convert` on the JavaScript thread.
  template <class T>
  Napi::Value promise(Napi::Env env, StopFlag stop, std::function<T()> work,
                      std::function<Napi::Value(Napi::Env, T&)> convert);

 private:
  using ThreadSafe = Napi::TypedThreadSafeFunction<Dispatcher, Job, settle_job>;
  friend void settle_job(Napi::Env, Napi::Function, Dispatcher*, Job*);
  friend void stop_all_at_exit();

  Dispatcher() = default;
  void loop();
  std::unique_ptr<Job> next();
  void settled(Napi::Env env);
  void stop();    // tells the thread to end and waits for it; any thread
  void finish();  // after the last job: forgets the environment
  static void on_environment_end(void* self);

  napi_env env_ = nullptr;
  std::function<void()> close_;
  std::thread thread_;
  ThreadSafe to_javascript_;
  std::shared_ptr<Dispatcher> self_;  // while the environment's hook names this object
  int pending_ = 0, users_ = 1;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  StopFlag running_;
  bool stopping_ = false;

  std::mutex joining_;
};

template <class T>
Napi::Value Dispatcher::promise(Napi::Env env, StopFlag stop, std::function<T()> work,
                                std::function<Napi::Value(Napi::Env, T&)> convert) {
  struct Outcome {
    std::optional<T> value;
    Failure failure;
  };
  auto outcome = std::make_shared<Outcome>();
  const auto deferred = Napi::Promise::Deferred::New(env);
  post({[outcome, work = std::move(work)] {
          try {
            outcome->value = work();
          } catch (...) {
            outcome->failure = current_failure();
          }
        },
        [outcome, deferred, convert = std::move(convert)](Napi::Env env) {
          try {
            if (!outcome->value) throw make_error(env, outcome->failure);
            deferred.Resolve(convert(env, *outcome->value));
          } catch (const Napi::Error& error) {
            deferred.Reject(error.Value());
          }
        },
        std::move(stop)});
  return deferred.Promise();
}

}  // namespace fcdd::bindings
