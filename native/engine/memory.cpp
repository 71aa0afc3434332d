// Greedy by size: the largest buffer first, each at the lowest offset that no buffer alive at the same time
// covers. Chains of layers have few large buffers, for which this is close to the peak that any plan needs.
#include "engine/memory.h"

#include <algorithm>

namespace fcdd {

void MemoryPlanner::add(Slot& slot, uint64_t bytes, int first, int last) {
  slot.offset = 0;
  slot.bytes = bytes;
  if (bytes > 0) requests_.push_back({&slot, first, last});
}

uint64_t MemoryPlanner::place() {
  std::vector<const Request*> order;
  for (const Request& request : requests_) order.push_back(&request);
  std::stable_sort(order.begin(), order.end(),
                   [](const Request* a, const Request* b) { return a->slot->bytes > b->slot->bytes; });
  uint64_t total = 0;
  std::vector<const Request*> placed;  // by offset
  for (const Request* request : order) {
    uint64_t offset = 0;
    for (const Request* other : placed) {
      if (other->first > request->last || request->first > other->last) continue;
      if (offset + request->slot->bytes <= other->slot->offset) break;
      offset = std::max(offset, other->slot->offset + aligned(other->slot->bytes));
    }
    request->slot->offset = offset;
    total = std::max(total, offset + aligned(request->slot->bytes));
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), request,
                      [](const Request* a, const Request* b) { return a->slot->offset < b->slot->offset; }),
                  request);
  }
  return total;
}

}  // namespace fcdd
