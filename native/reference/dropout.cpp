// Dropout in training: values are dropped by draws that nothing but seed, epoch and position decides; what is
// kept is scaled so that the expectation stays. The gradient goes the same way.
#include "fcdd/dropout.h"
#include "reference/steps.h"

namespace fcdd::reference {

void dropout(ReferenceDevice& device, const FcddDropout& a) {
  if (a.batch < 1 || a.size > kDropoutValues || a.layer < 0 || a.layer >= kDropoutLayers ||
      !(a.probability >= 0 && a.probability < 1)) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "dropout: expected a probability from 0 to below 1 and at most 2^28 "
                "values in each of at most 64 layers");
  }
  const double* from = device.need<double>(a.from, count(a.batch) * a.size, "from");
  double* to = device.need<double>(a.to, count(a.batch) * a.size, "to");
  for (uint64_t n = 0; n < count(a.batch); n++) {
    const uint32_t position = a.first + static_cast<uint32_t>(n);
    for (uint64_t i = 0; i < a.size; i++) {
      const bool drop = dropped(a.seed, a.epoch, position, a.layer, i, a.probability);
      to[n * a.size + i] = drop ? 0 : from[n * a.size + i] / (1 - a.probability);
    }
  }
}

}  // namespace fcdd::reference
