// Loss and its gradient with respect to the network's output (FCDD, Liznerski et al., ICLR 2021, eq. 3 and 4
// and the reference code's log(1 - exp(-m) + 1e-31)). Maps in float, reductions and transcendental functions
// in double.
#include <cmath>

#include "cpu/huber.h"
#include "cpu/steps.h"
#include "cpu/threads.h"
#include "cpu/upsample.h"

namespace fcdd::cpu {
namespace {

// -log(1 - exp(-m) + 1e-31) and its derivative; 1 - exp(-m) through expm1, exact for small m.
struct Repulsion {
  double value, slope;
};

Repulsion repulsion(double m) {
  const double inside = -std::expm1(-m) + 1e-31;
  return {-std::log(inside), -std::exp(-m) / inside};
}

struct Sizes {
  uint64_t low, full, worker_floats;
};

double sample_wise(const float* z, uint64_t low, bool anomalous, double per_sample, float* dz) {
  const double m = huber_mean(z, low);
  const Repulsion log_term = anomalous ? repulsion(m) : Repulsion{m, 1};
  if (dz != nullptr) {
    const double factor = log_term.slope * per_sample / static_cast<double>(low);
    for (uint64_t i = 0; i < low; i++) dz[i] = static_cast<float>(factor * huber_slope(z[i]));
  }
  return log_term.value;
}

// scratch: two low maps, one full map, the upsampling's scratch.
double pixel_wise(const IsaTable& isa, const FcddUpsampleProblem& up, const float* taps, const float* z,
                  const uint8_t* mask, Sizes s, double per_sample, float* scratch, float* dz) {
  float *map = scratch, *dmap = map + s.low, *full = dmap + s.low, *rows = full + s.full;
  for (uint64_t i = 0; i < s.low; i++) map[i] = static_cast<float>(huber(z[i]));
  upsample_image(isa, up, taps, map, full, rows);
  double normal = 0, anomalous = 0;
  bool any = false;
  for (uint64_t i = 0; i < s.full; i++) {
    if (mask[i] != 0) {
      any = true;
      anomalous += static_cast<double>(full[i]);
    } else {
      normal += static_cast<double>(full[i]);
    }
  }
  const auto pixels = static_cast<double>(s.full);
  const Repulsion log_term = any ? repulsion(anomalous / pixels) : Repulsion{0, 0};
  if (dz != nullptr) {
    const auto inside = static_cast<float>(log_term.slope / pixels), outside = static_cast<float>(1 / pixels);
    for (uint64_t i = 0; i < s.full; i++) full[i] = mask[i] != 0 ? inside : outside;
    upsample_image_adjoint(isa, up, taps, full, dmap, rows);
    for (uint64_t i = 0; i < s.low; i++) {
      dz[i] = static_cast<float>(per_sample * static_cast<double>(dmap[i]) * huber_slope(z[i]));
    }
  }
  return normal / pixels + log_term.value;
}

void add_report(const double* losses, const uint8_t* labels, uint64_t n, double* report) {
  for (uint64_t i = 0; i < n; i++) {
    const int anomalous = labels[i] != 0 ? 1 : 0;
    report[0] += losses[i];
    report[1 + anomalous] += losses[i];
    report[3 + anomalous] += 1;
  }
}

}  // namespace

void loss(CpuDevice& device, const FcddLoss& a) {
  require(a.batch > 0 && a.height > 0 && a.width > 0, "loss: expected positive extents");
  const auto n = static_cast<uint64_t>(a.batch);
  Sizes s{static_cast<uint64_t>(a.height) * static_cast<uint64_t>(a.width), 0, 0};
  const float* taps = nullptr;
  const uint8_t* masks = nullptr;
  float* workspace = nullptr;
  if (a.pixelwise) {
    check(a.up);
    require(a.up.in_height == a.height && a.up.in_width == a.width,
            "loss: the upsampling's input is not the map");
    s.full = static_cast<uint64_t>(a.up.height) * static_cast<uint64_t>(a.up.width);
    s.worker_floats = upsample_worker_floats(a.up);
    taps = at<float>(device, a.taps, static_cast<uint64_t>(a.up.taps), "loss: taps");
    masks = at<uint8_t>(device, a.masks, n * s.full, "loss: masks");
    workspace = at<float>(device, a.workspace, static_cast<uint64_t>(device.threads) * s.worker_floats,
                          "loss: workspace");
  }
  const float* z = at<float>(device, a.z, n * s.low, "loss: z");
  const uint8_t* labels = at<uint8_t>(device, a.labels, n, "loss: labels");
  double* losses = at<double>(device, a.losses, n, "loss: losses");
  float* dz = at_or_null<float>(device, a.dz, n * s.low, "loss: dz");
  double* report = at_or_null<double>(device, a.report, 5, "loss: report");
  const double per_sample = 1.0 / a.batch;
  parallel(device.threads, a.batch, [&](int64_t image, int worker) {
    const auto i = static_cast<uint64_t>(image);
    const float* zi = z + i * s.low;
    float* dzi = dz != nullptr ? dz + i * s.low : nullptr;
    losses[i] = a.pixelwise ? pixel_wise(*device.isa, a.up, taps, zi, masks + i * s.full, s, per_sample,
                                         workspace + static_cast<uint64_t>(worker) * s.worker_floats, dzi)
                            : sample_wise(zi, s.low, labels[i] != 0, per_sample, dzi);
  });
  if (report != nullptr) add_report(losses, labels, n, report);
}

}  // namespace fcdd::cpu
