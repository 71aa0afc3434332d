// Places buffers of known lifetimes into one arena, so that buffers which are never alive together share
// memory.
//
// Guarantees: offsets are multiples of 64; buffers whose lifetimes meet do not overlap; the result depends on
// the order and size of what was added alone. Nothing is reserved here: the planner answers "how much" and
// "where".
#pragma once

#include <cstdint>
#include <vector>

namespace fcdd {

// Where a buffer lies within its arena; bytes 0: there is none.
struct Slot {
  uint64_t offset = 0, bytes = 0;
  bool kept = false;  // of a training plan: lies in the part that lasts, see training_plan.h
};

class MemoryPlanner {
 public:
  // Asks for `bytes`, alive from time `first` to time `last`, both included. `slot` is filled in by place()
  // and must stay where it is until then.
  void add(Slot& slot, uint64_t bytes, int first, int last);

  // Fills in all slots and returns the size of the arena that holds them.
  uint64_t place();

  struct Request {
    Slot* slot;
    int first, last;
  };
  const std::vector<Request>& requests() const { return requests_; }

 private:
  std::vector<Request> requests_;
};

inline uint64_t aligned(uint64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

}  // namespace fcdd
