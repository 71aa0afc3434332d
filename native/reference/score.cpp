// Anomaly scores and heatmaps (FCDD, Liznerski et al., ICLR 2021, section 4): an image's score is the mean of
// the pseudo-Huber map A; its heatmap is A upsampled to the input's size.
#include "reference/steps.h"

namespace fcdd::reference {

void score(ReferenceDevice& device, const FcddScore& a) {
  const int64_t N = a.batch, size = static_cast<int64_t>(a.height) * a.width;
  const double* z = device.need<double>(a.z, count(N, size), "z");
  double* scores = device.need<double>(a.scores, count(N), "scores");
  double* low = device.maybe<double>(a.low, count(N, size), "low");
  double* maps = device.maybe<double>(a.maps, count(N, a.up.height, a.up.width), "maps");
  double* map = low != nullptr ? low : device.need<double>(a.workspace, count(N, size), "workspace");
  for (int64_t i = 0; i < N * size; i++) map[i] = pseudo_huber(z[i]);
  for (int64_t n = 0; n < N; n++) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += map[n * size + i];
    scores[n] = sum / static_cast<double>(size);
  }
  if (maps == nullptr) return;
  upsample_forward(a.up, device.need<double>(a.taps, count(a.up.taps), "taps"), map, maps);
}

}  // namespace fcdd::reference
