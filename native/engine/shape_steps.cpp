#include "engine/shape_steps.h"

#include <algorithm>

namespace fcdd {
namespace {

FcddStatus enqueue(const Device& device, LayerKind kind, const FcddShapeStep& a) {
  const FcddDeviceTable& table = device.table();
  switch (kind) {
    case LayerKind::Reshape:
      return table.reshape(device.handle(), &a);
    case LayerKind::Nearest:
      return table.nearest(device.handle(), &a);
    case LayerKind::AveragePool:
      return table.average_pool(device.handle(), &a);
    default:
      return table.sigmoid(device.handle(), &a);
  }
}

const char* what_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::Reshape:
      return "reshape";
    case LayerKind::Nearest:
      return "nearest upsampling";
    case LayerKind::AveragePool:
      return "average pooling";
    case LayerKind::Sigmoid:
      return "sigmoid";
    default:
      return "dropout";
  }
}

void run(const Device& device, const ShapeStep& step, int batch, bool backward, FcddBuffer from,
         FcddBuffer to, FcddBuffer x, const DropoutDraws& draws) {
  if (step.kind == LayerKind::Dropout) {
    const FcddDropout a{.batch = batch,
                        .size = static_cast<uint64_t>(step.p.height) * static_cast<uint64_t>(step.p.width) *
                                static_cast<uint64_t>(step.p.channels),
                        .probability = step.probability,
                        .layer = step.ordinal,
                        .seed = draws.seed,
                        .epoch = draws.epoch,
                        .first = draws.first,
                        .from = from,
                        .to = to};
    device.check(device.table().dropout(device.handle(), &a), what_of(step.kind));
    return;
  }
  FcddShapeStep a{step.p, backward, from, to, x};
  a.p.batch = batch;
  device.check(enqueue(device, step.kind, a), what_of(step.kind));
}

}  // namespace

void run_shape_step(const Device& device, const ShapeStep& step, int batch, FcddBuffer from, FcddBuffer to,
                    const DropoutDraws& draws) {
  run(device, step, batch, false, from, to, {}, draws);
}

void run_shape_step_back(const Device& device, const ShapeStep& step, int batch, FcddBuffer from,
                         FcddBuffer to, FcddBuffer x, const DropoutDraws& draws) {
  run(device, step, batch, true, from, to, x, draws);
}

const char* objective_name(int32_t objective) {
  static constexpr const char* kNames[] = {"fcdd", "hsc", "ae", "dsvdd", "classify"};
  if (objective >= 0 && objective <= FCDD_OBJECTIVE_CLASSIFY) return kNames[objective];
  throw Error("FCDD_INVALID_ARGUMENT", "there is no objective number " + std::to_string(objective));
}

void require_steps(const Device& device, const Program& program, int32_t objective) {
  const std::string name = objective_name(objective);
  const bool shapes = std::any_of(program.steps.begin(), program.steps.end(),
                                  [](const Step& step) { return std::holds_alternative<ShapeStep>(step); });
  if (objective == FCDD_OBJECTIVE_FCDD && !shapes) return;
  // A device that has these steps finds this one's arguments wrong.
  const FcddObjectiveLoss probe{};
  if (device.table().objective_loss(device.handle(), &probe) != FCDD_UNSUPPORTED) return;
  throw Error("FCDD_INVALID_ARGUMENT",
              (objective == FCDD_OBJECTIVE_FCDD ? "this network" : "objective " + name) +
                  " runs on cpu and reference, not on '" + device.info().name +
                  "'\nhint: choose the device cpu");
}

}  // namespace fcdd
