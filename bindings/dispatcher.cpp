#include "dispatcher.h"

#include <cstdlib>
#include <set>

namespace fcdd::bindings {

namespace {

// Dispatchers whose threads exist. Never destroyed: threads may outlive static objects.
struct Registry {
  std::mutex mutex;
  std::set<std::shared_ptr<Dispatcher>> all;
};
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

}  // namespace

// process.exit() on the main thread runs exit() without the environment's hooks. The engine must stand still
// before static objects are destroyed, so each thread ends its current step here.
void stop_all_at_exit() {
  std::set<std::shared_ptr<Dispatcher>> all;
  {
    const std::lock_guard lock(registry().mutex);
    all.swap(registry().all);
  }
  for (const auto& dispatcher : all) dispatcher->stop();
}

// Runs a finished job's `settle`. Without an environment (it is ending) the job is only dropped.
void settle_job(Napi::Env env, Napi::Function, Dispatcher* dispatcher, Job* raw) {
  const std::unique_ptr<Job> job(raw);
  if (env == nullptr) return;
  const Napi::HandleScope scope(env);
  const auto keep = dispatcher->shared_from_this();
  dispatcher->settled(env);
  job->settle(env);
}

std::shared_ptr<Dispatcher> Dispatcher::start(Napi::Env env, std::function<void()> close) {
  const std::shared_ptr<Dispatcher> d(new Dispatcher);
  d->env_ = env;
  d->close_ = std::move(close);
  d->to_javascript_ = ThreadSafe::New(env, "fcdd", 0, 1, d.get());
  d->to_javascript_.Unref(env);
  // Hooks run in reverse order: this one before the thread-safe function's own, so the thread is gone by
  // then. It waits, at most for the current step, because an environment must not end under a running step.
  napi_add_env_cleanup_hook(env, on_environment_end, d.get());
  d->self_ = d;
  d->thread_ = std::thread([raw = d.get()] { raw->loop(); });
  static std::once_flag once;
  std::call_once(once, [] { std::atexit(stop_all_at_exit); });
  const std::lock_guard lock(registry().mutex);
  registry().all.insert(d);
  return d;
}

Dispatcher::~Dispatcher() {
  stop();
}

void Dispatcher::post(Job job) {
  if (env_ == nullptr) {  // the environment has ended and the thread with it: only releases still matter
    if (!job.settle && job.work) job.work();
    return;
  }
  if (job.settle && pending_++ == 0) to_javascript_.Ref(env_);
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::make_unique<Job>(std::move(job)));
  }
  wake_.notify_one();
}

void Dispatcher::settled(Napi::Env env) {
  if (--pending_ == 0) to_javascript_.Unref(env);
}

void Dispatcher::leave() {
  if (--users_ > 0) return;
  if (env_ == nullptr) return close_();
  Job job;
  job.work = [this] { close_(); };
  job.settle = [this](Napi::Env) { finish(); };
  job.last = true;
  post(std::move(job));
}

std::unique_ptr<Job> Dispatcher::next() {
  std::unique_lock lock(mutex_);
  running_.reset();
  wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return nullptr;
  auto job = std::move(queue_.front());
  queue_.pop_front();
  running_ = job->stop;
  return job;
}

void Dispatcher::loop() {
  while (auto job = next()) {
    const bool last = job->last;
    job->work();
    job->work = nullptr;  // frees the inputs here, not on the JavaScript thread
    if (job->settle && to_javascript_.NonBlockingCall(job.get()) == napi_ok) job.release();
    if (last) return;
  }
}

void Dispatcher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_) running_->store(true);
  }
  wake_.notify_all();
  const std::lock_guard lock(joining_);
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::finish() {
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  stop();
  to_javascript_.Release();
  env_ = nullptr;
  {
    const std::lock_guard lock(registry().mutex);
    registry().all.erase(shared_from_this());
  }
  self_.reset();
}

void Dispatcher::on_environment_end(void* raw) {
  auto* dispatcher = static_cast<Dispatcher*>(raw);
  const auto keep = std::move(dispatcher->self_);
  dispatcher->stop();
  dispatcher->queue_.clear();
  dispatcher->to_javascript_.Release();
  dispatcher->env_ = nullptr;
  const std::lock_guard lock(registry().mutex);
  registry().all.erase(keep);
}

}  // namespace fcdd::bindings
