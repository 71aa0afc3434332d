// The FCDD objective and its gradient (Liznerski et al., ICLR 2021, equations 2-4; the reference code
// `liznerski/fcdd`).
//
// z is the network's output, A = sqrt(z^2+1) - 1 the pseudo-Huber map. Per sample:
//   sample-wise  m = mean A; a normal sample costs m, an anomalous one -log(1 - exp(-m) + 1e-31)
//   pixel-wise   A' = A upsampled, Y the mask; n = mean(A'(1-Y)), a = -log(1 - exp(-mean(A' Y)) + 1e-31) if
//   any Y is 1,
//                both means over all pixels; the sample costs n + a
// The batch costs the mean over its samples. The rule is applied per sample, whatever the other labels are.
#include <cmath>

#include "reference/steps.h"

namespace fcdd::reference {

double pseudo_huber(double z) {
  return z * z / (std::sqrt(z * z + 1) + 1);
}

namespace {

double pseudo_huber_slope(double z) {
  return z / std::sqrt(z * z + 1);
}

// Keeps the logarithm finite where the map is exactly 0, as in the reference code.
constexpr double kFloor = 1e-31;

// -log(1 - exp(-m) + 1e-31), with 1 - exp(-m) free of cancellation.
double log_term(double m) {
  return -std::log(-std::expm1(-m) + kFloor);
}
double log_term_slope(double m) {
  return -std::exp(-m) / (-std::expm1(-m) + kFloor);
}

// One sample: A in `map` (u*v values), dz (may be null) receives the gradient of its loss divided by the
// batch.
double sample_loss(const FcddLoss& a, bool anomalous, const double* z, const double* map, double* dz) {
  const int64_t size = static_cast<int64_t>(a.height) * a.width;
  double mean = 0;
  for (int64_t i = 0; i < size; i++) mean += map[i];
  mean /= static_cast<double>(size);
  const double slope = anomalous ? log_term_slope(mean) : 1;
  if (dz != nullptr) {
    for (int64_t i = 0; i < size; i++) {
      dz[i] = slope / static_cast<double>(size) * pseudo_huber_slope(z[i]) / a.batch;
    }
  }
  return anomalous ? log_term(mean) : mean;
}

// One sample: `up` holds A' (H*W values) and becomes the gradient of the sample's loss by A', divided by the
// batch.
double pixel_loss(const FcddLoss& a, const uint8_t* mask, double* up) {
  const int64_t size = static_cast<int64_t>(a.up.height) * a.up.width;
  double normal = 0, anomalous = 0;
  bool any = false;
  for (int64_t i = 0; i < size; i++) {
    (mask[i] ? anomalous : normal) += up[i];
    any = any || mask[i];
  }
  normal /= static_cast<double>(size);
  anomalous /= static_cast<double>(size);
  const double slope = any ? log_term_slope(anomalous) : 0;
  for (int64_t i = 0; i < size; i++) up[i] = (mask[i] ? slope : 1) / static_cast<double>(size) / a.batch;
  return normal + (any ? log_term(anomalous) : 0);
}

void check(const FcddLoss& a) {
  const bool positive = a.batch > 0 && a.height > 0 && a.width > 0;
  const bool fits =
      !a.pixelwise || (a.up.batch == a.batch && a.up.in_height == a.height && a.up.in_width == a.width);
  if (!positive || !fits)
    throw Error("FCDD_INVALID_ARGUMENT", "the loss's map and upsampling sizes do not fit");
}

void pixel_losses(const ReferenceDevice& device, const FcddLoss& a, const double* z, double* map,
                  double* losses, double* dz) {
  const int64_t size = static_cast<int64_t>(a.height) * a.width;
  const int64_t pixels = static_cast<int64_t>(a.up.height) * a.up.width;
  const double* taps = device.need<double>(a.taps, count(a.up.taps), "taps");
  const uint8_t* masks = device.need<uint8_t>(a.masks, count(a.batch, pixels), "masks");
  double* up = map + a.batch * size;
  upsample_forward(a.up, taps, map, up);
  for (int64_t n = 0; n < a.batch; n++) losses[n] = pixel_loss(a, masks + n * pixels, up + n * pixels);
  if (dz == nullptr) return;
  upsample_backward(a.up, taps, up, dz);
  for (int64_t i = 0; i < a.batch * size; i++) dz[i] *= pseudo_huber_slope(z[i]);
}

}  // namespace

void loss(ReferenceDevice& device, const FcddLoss& a) {
  check(a);
  const int64_t N = a.batch, size = static_cast<int64_t>(a.height) * a.width;
  const uint64_t pixels = a.pixelwise ? count(a.up.height, a.up.width) : 0;
  const double* z = device.need<double>(a.z, count(N, size), "z");
  const uint8_t* labels = device.need<uint8_t>(a.labels, count(N), "labels");
  double* losses = device.need<double>(a.losses, count(N), "losses");
  double* dz = device.maybe<double>(a.dz, count(N, size), "dz");
  double* report = device.maybe<double>(a.report, 5, "report");
  double* map = device.need<double>(a.workspace, count(N, size) + count(N) * pixels, "workspace");
  for (int64_t i = 0; i < N * size; i++) map[i] = pseudo_huber(z[i]);
  if (a.pixelwise) {
    pixel_losses(device, a, z, map, losses, dz);
  } else {
    for (int64_t n = 0; n < N; n++) {
      losses[n] =
          sample_loss(a, labels[n] != 0, z + n * size, map + n * size, dz == nullptr ? dz : dz + n * size);
    }
  }
  if (report == nullptr) return;
  for (int64_t n = 0; n < N; n++) {
    report[0] += losses[n];
    report[labels[n] ? 2 : 1] += losses[n];
    report[labels[n] ? 4 : 3] += 1;
  }
}

}  // namespace fcdd::reference
