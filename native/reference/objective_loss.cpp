// Losses of the paper's baselines (FCDD, Liznerski et al., ICLR 2021, section 4) and of classification, per
// sample, with their gradients.
//
// HSC: hypersphere classification, Ruff et al., "Rethinking assumptions in deep anomaly detection", 2020:
//   l = sqrt(|z|^2+1) - 1, a normal sample costs l, an anomalous one -log(1 - exp(-l) + 1e-31).
// AE: mean of (z - target)^2. DSVDD: |z - c|^2, Ruff et al., "Deep one-class classification", ICML 2018.
#include <algorithm>
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {
namespace {

// Keeps the logarithm finite where the distance is exactly 0, as in FCDD's loss.
constexpr double kFloor = 1e-31;

// One sample: z (and dz, which may be null) of `size` values. dz is multiplied by `factor`.
double hypersphere(uint64_t size, double factor, bool anomalous, const double* z, double* dz) {
  double square = 0;
  for (uint64_t i = 0; i < size; i++) square += z[i] * z[i];
  const double root = std::sqrt(square + 1), l = square / (root + 1);  // free of cancellation
  const double inside = -std::expm1(-l) + kFloor;
  const double slope = anomalous ? -std::exp(-l) / inside : 1;
  if (dz != nullptr) {
    for (uint64_t i = 0; i < size; i++) dz[i] = factor * slope * z[i] / root;
  }
  return anomalous ? -std::log(inside) : l;
}

// The sum of squared differences divided by `over`.
double distance(uint64_t size, double factor, double over, const double* z, const double* target,
                double* dz) {
  double sum = 0;
  for (uint64_t i = 0; i < size; i++) sum += (z[i] - target[i]) * (z[i] - target[i]);
  if (dz != nullptr) {
    for (uint64_t i = 0; i < size; i++) dz[i] = factor * 2 * (z[i] - target[i]) / over;
  }
  return sum / over;
}

double cross_entropy(uint64_t size, double factor, uint8_t label, const double* z, double* dz) {
  if (label >= size) throw Error("FCDD_INVALID_ARGUMENT", "a label is not among the network's classes");
  const double largest = *std::max_element(z, z + size);
  double sum = 0;
  for (uint64_t i = 0; i < size; i++) sum += std::exp(z[i] - largest);
  if (dz != nullptr) {
    for (uint64_t i = 0; i < size; i++)
      dz[i] = factor * (std::exp(z[i] - largest) / sum - (i == label ? 1 : 0));
  }
  return std::log(sum) - (z[label] - largest);
}

}  // namespace

void objective_loss(ReferenceDevice& device, const FcddObjectiveLoss& a) {
  if (a.batch < 1 || a.size < 1 || a.objective < FCDD_OBJECTIVE_HSC || a.objective > FCDD_OBJECTIVE_CLASSIFY)
    throw Error("FCDD_INVALID_ARGUMENT", "objective_loss: expected one of its objectives and positive sizes");
  const uint64_t N = count(a.batch), size = a.size;
  const double* z = device.need<double>(a.z, N * size, "z");
  const double* target = a.objective == FCDD_OBJECTIVE_AE ? device.need<double>(a.target, N * size, "target")
                         : a.objective == FCDD_OBJECTIVE_DSVDD ? device.need<double>(a.target, size, "target")
                                                               : nullptr;
  const uint8_t* labels = device.maybe<uint8_t>(a.labels, N, "labels");
  double* losses = device.need<double>(a.losses, N, "losses");
  double* dz = device.maybe<double>(a.dz, N * size, "dz");
  double* report = device.maybe<double>(a.report, 5, "report");
  for (uint64_t n = 0; n < N; n++) {
    const uint8_t label = labels == nullptr ? 0 : labels[n];
    const double* zn = z + n * size;
    double* dzn = dz == nullptr ? nullptr : dz + n * size;
    switch (a.objective) {
      case FCDD_OBJECTIVE_HSC:
        losses[n] = hypersphere(size, a.factor, label != 0, zn, dzn);
        break;
      case FCDD_OBJECTIVE_AE:
        losses[n] = distance(size, a.factor, static_cast<double>(size), zn, target + n * size, dzn);
        break;
      case FCDD_OBJECTIVE_DSVDD:
        losses[n] = distance(size, a.factor, 1, zn, target, dzn);
        break;
      default:
        losses[n] = cross_entropy(size, a.factor, label, zn, dzn);
    }
    if (report == nullptr) continue;
    const bool anomalous = label != 0 && a.objective != FCDD_OBJECTIVE_CLASSIFY;
    report[0] += losses[n];
    report[anomalous ? 2 : 1] += losses[n];
    report[anomalous ? 4 : 3] += 1;
  }
}

}  // namespace fcdd::reference
