// Heatmaps of the baselines, one value per pixel: the sum over channels of a gradient's absolute value (HSC),
// or the mean over channels of the squared reconstruction error (autoencoder).
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {

void channel_map(ReferenceDevice& device, const FcddChannelMap& a) {
  if (a.batch < 1 || a.height < 1 || a.width < 1 || a.channels < 1)
    throw Error("FCDD_INVALID_ARGUMENT", "channel_map: expected positive extents");
  const uint64_t pixels = count(a.batch, a.height, a.width), C = count(a.channels);
  const double* x = device.need<double>(a.a, pixels * C, "a");
  const double* y = device.maybe<double>(a.b, pixels * C, "b");
  double* map = device.need<double>(a.map, pixels, "map");
  for (uint64_t i = 0; i < pixels; i++) {
    double sum = 0;
    for (uint64_t c = 0; c < C; c++) {
      const double v = x[i * C + c];
      sum += y == nullptr ? std::abs(v) : (v - y[i * C + c]) * (v - y[i * C + c]) / static_cast<double>(C);
    }
    map[i] = sum;
  }
}

}  // namespace fcdd::reference
