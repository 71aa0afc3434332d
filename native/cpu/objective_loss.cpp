// Losses of the paper's baselines and of classification, image by image; sums and transcendental functions in
// double. What each is: reference/objective_loss.cpp.
#include <algorithm>
#include <cmath>

#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

// z (and dz, which may be null) of one sample.
struct Sample {
  uint64_t size;
  const float* z;
  float* dz;
};

double hypersphere(const Sample& s, double factor, bool anomalous) {
  double square = 0;
  for (uint64_t i = 0; i < s.size; i++) square += static_cast<double>(s.z[i]) * static_cast<double>(s.z[i]);
  const double root = std::sqrt(square + 1), l = square / (root + 1);
  const double inside = -std::expm1(-l) + 1e-31;  // of the logarithm, which stays finite where l is 0
  const double slope = factor * (anomalous ? -std::exp(-l) / inside : 1) / root;
  if (s.dz != nullptr) {
    for (uint64_t i = 0; i < s.size; i++) s.dz[i] = static_cast<float>(slope * static_cast<double>(s.z[i]));
  }
  return anomalous ? -std::log(inside) : l;
}

// The sum of squared differences divided by `over`.
double distance(const Sample& s, double factor, double over, const float* target) {
  double sum = 0;
  const double slope = 2 * factor / over;
  for (uint64_t i = 0; i < s.size; i++) {
    const double difference = static_cast<double>(s.z[i]) - static_cast<double>(target[i]);
    sum += difference * difference;
    if (s.dz != nullptr) s.dz[i] = static_cast<float>(slope * difference);
  }
  return sum / over;
}

double cross_entropy(const Sample& s, double factor, uint8_t label) {
  require(label < s.size, "objective_loss: a label is not among the network's classes");
  const double largest = static_cast<double>(*std::max_element(s.z, s.z + s.size));
  double sum = 0;
  for (uint64_t i = 0; i < s.size; i++) sum += std::exp(static_cast<double>(s.z[i]) - largest);
  for (uint64_t i = 0; s.dz != nullptr && i < s.size; i++) {
    const double share = std::exp(static_cast<double>(s.z[i]) - largest) / sum;
    s.dz[i] = static_cast<float>(factor * (share - (i == label ? 1 : 0)));
  }
  return std::log(sum) - (static_cast<double>(s.z[label]) - largest);
}

void add_report(const FcddObjectiveLoss& a, const double* losses, const uint8_t* labels, double* report) {
  for (int32_t i = 0; i < a.batch; i++) {
    const bool anomalous = labels != nullptr && labels[i] != 0 && a.objective != FCDD_OBJECTIVE_CLASSIFY;
    report[0] += losses[i];
    report[anomalous ? 2 : 1] += losses[i];
    report[anomalous ? 4 : 3] += 1;
  }
}

}  // namespace

void objective_loss(CpuDevice& device, const FcddObjectiveLoss& a) {
  require(a.batch > 0 && a.size > 0 && a.objective >= FCDD_OBJECTIVE_HSC &&
              a.objective <= FCDD_OBJECTIVE_CLASSIFY,
          "objective_loss: expected one of its objectives and positive sizes");
  const auto n = static_cast<uint64_t>(a.batch);
  const float* z = at<float>(device, a.z, n * a.size, "objective_loss: z");
  const bool autoencoder = a.objective == FCDD_OBJECTIVE_AE;
  const float* target = nullptr;
  if (autoencoder || a.objective == FCDD_OBJECTIVE_DSVDD)
    target = at<float>(device, a.target, autoencoder ? n * a.size : a.size, "objective_loss: target");
  const uint8_t* labels = at_or_null<uint8_t>(device, a.labels, n, "objective_loss: labels");
  double* losses = at<double>(device, a.losses, n, "objective_loss: losses");
  float* dz = at_or_null<float>(device, a.dz, n * a.size, "objective_loss: dz");
  double* report = at_or_null<double>(device, a.report, 5, "objective_loss: report");
  parallel(device.threads, a.batch, [&](int64_t image, int) {
    const auto i = static_cast<uint64_t>(image);
    const Sample s{a.size, z + i * a.size, dz != nullptr ? dz + i * a.size : nullptr};
    const uint8_t label = labels != nullptr ? labels[i] : uint8_t{0};
    if (a.objective == FCDD_OBJECTIVE_HSC) {
      losses[i] = hypersphere(s, a.factor, label != 0);
    } else if (a.objective == FCDD_OBJECTIVE_CLASSIFY) {
      losses[i] = cross_entropy(s, a.factor, label);
    } else {
      losses[i] = distance(s, a.factor, autoencoder ? static_cast<double>(a.size) : 1,
                           autoencoder ? target + i * a.size : target);
    }
  });
  if (report != nullptr) add_report(a, losses, labels, report);
}

}  // namespace fcdd::cpu
