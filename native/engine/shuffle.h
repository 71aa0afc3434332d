// The order of an epoch: a permutation of 0 ... count-1 that depends on (seed, epoch, count) alone.
#pragma once

#include <cstdint>
#include <vector>

namespace fcdd {

std::vector<int32_t> shuffled(uint64_t seed, uint32_t epoch, int64_t count);

}  // namespace fcdd
