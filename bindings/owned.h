// An engine object that JavaScript owns: made, used and destroyed on its device's dispatcher thread, in
// order.
//
// Creation: when nothing else is queued the caller waits for it and gets its error at once; behind a long run
// it is queued, so that the event loop never waits, and the first use of the object reports the error.
// Parents: `make` keeps what the object needs (device, network, stores) alive; the wrapper counts as a user
// of the dispatcher until it is disposed or collected.
#pragma once

#include <future>
#include <string>

#include "dispatcher.h"

namespace fcdd::bindings {

template <class T>
class Owned : public std::enable_shared_from_this<Owned<T>> {
 public:
  Owned(std::shared_ptr<Dispatcher> dispatcher, const char* kind)
      : dispatcher_(std::move(dispatcher)), kind_(kind) {
    dispatcher_->enter();
  }

  // JavaScript thread. `bytes`: memory outside V8's heap that the object stands for.
  void create(Napi::Env env, std::function<std::shared_ptr<T>()> make, std::function<uint64_t(T&)> bytes) {
    auto self = this->shared_from_this();
    auto work = [self, make = std::move(make), bytes = std::move(bytes)] {
      try {
        self->object_ = make();
        self->bytes_ = static_cast<int64_t>(bytes(*self->object_));
      } catch (...) {
        self->failure_ = current_failure();
      }
      self->made_.set_value();
    };
    const bool at_once = dispatcher_->idle();
    if (!at_once) {
      return dispatcher_->post({std::move(work), [self](Napi::Env env) { self->account(env); }, nullptr});
    }
    dispatcher_->post({std::move(work), nullptr, nullptr});
    ready_.wait();
    if (failure_) {
      dispose(env);
      throw make_error(env, *failure_);
    }
    account(env);
  }

  // Dispatcher thread: the object, or the error that its creation met.
  std::shared_ptr<T> get() const {
    if (failure_) throw Error(failure_->code, failure_->message);
    return object_;
  }

  // JavaScript thread: waits until the object exists; for facts that do not change.
  T& wait() const {
    ready_.wait();
    return *get();
  }

  void require_alive() const {
    if (disposed_)
      throw Error("FCDD_INVALID_ARGUMENT", std::string("this ") + kind_ + " has been disposed of");
  }

  // JavaScript thread. Calls that are queued already finish first. May be called twice.
  void dispose(Napi::Env env) {
    if (disposed_) return;
    disposed_ = true;
    if (accounted_) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes_);
    auto self = this->shared_from_this();
    dispatcher_->post({[self] { self->object_.reset(); }, nullptr, nullptr});
    dispatcher_->leave();
  }

  const std::shared_ptr<Dispatcher>& dispatcher() const { return dispatcher_; }

 private:
  void account(Napi::Env env) {
    if (disposed_ || failure_) return;
    accounted_ = true;
    Napi::MemoryManagement::AdjustExternalMemory(env, bytes_);
  }

  std::shared_ptr<Dispatcher> dispatcher_;
  const char* kind_;
  bool disposed_ = false, accounted_ = false;  // JavaScript thread only

  // Written by the dispatcher's thread before made_ is set; read by the JavaScript thread after ready_.
  std::shared_ptr<T> object_;
  std::optional<Failure> failure_;
  int64_t bytes_ = 0;
  std::promise<void> made_;
  std::shared_future<void> ready_ = made_.get_future().share();
};

}  // namespace fcdd::bindings
