// Scores and heatmaps of objectives other than FCDD's, and the gradient by the image that some heatmaps are
// made of: the convolutions with their batch norms folded in, differentiated back to the input.
#include "engine/network_impl.h"

namespace fcdd {

void Inference::objective_score(const Network::Impl& network, int count, const InferOptions& options) {
  const Device& device = *network.device;
  const Shape out = plan_.program.values.back();
  if (plan_.use.objective == FCDD_OBJECTIVE_CLASSIFY) return fill_zero(device, at(arena_, plan_.scores));
  FcddBuffer target{};
  if (plan_.use.objective == FCDD_OBJECTIVE_AE) target = at(arena_, plan_.values.front());
  if (plan_.use.objective == FCDD_OBJECTIVE_DSVDD) {
    target = at(arena_, plan_.centre);
    upload_centre(device, out, options.centre, target);
  }
  const FcddObjectiveLoss a{.objective = plan_.use.objective,
                            .batch = count,
                            .size = bytes_of(1, out, 1),
                            .factor = 1,
                            .z = at(arena_, plan_.values.back()),
                            .target = target,
                            .labels = {},
                            .losses = at(arena_, plan_.scores),
                            .dz = plan_.use.gradients ? at(arena_, plan_.grads.back()) : FcddBuffer{},
                            .report = {}};
  device.check(device.table().objective_loss(device.handle(), &a), "scoring");
  if (!options.maps) return;
  objective_map(network, count);
  if (plan_.use.blur > 0) blur_maps(network, count, options.sigma);
}

void Inference::objective_map(const Network::Impl& network, int count) {
  const Device& device = *network.device;
  const InputShape in = network.input;
  const FcddBuffer x = at(arena_, plan_.values.front());
  FcddChannelMap a{count, in.height, in.width, in.channels, x, {}, at(arena_, plan_.maps)};
  if (plan_.use.gradients) {
    input_gradient(network, count);
    a.a = at(arena_, plan_.grads.front());
  } else {
    a.b = at(arena_, plan_.values.back());
  }
  device.check(device.table().channel_map(device.handle(), &a), "heatmap");
}

// The kernel of the Gaussian upsampling with a jump of 1, divided by its sum so that a flat map keeps its
// level away from the border.
void Inference::blur_maps(const Network::Impl& network, int count, double sigma) {
  const Device& device = *network.device;
  const double wanted = sigma == 0 ? default_sigma(plan_.use.blur) : sigma;
  if (sigma_ != wanted) {
    std::vector<double> taps = gaussian_taps(plan_.use.blur, wanted);
    double sum = 0;
    for (const double tap : taps) sum += tap;
    for (double& tap : taps) tap /= sum;
    upload_real(device, at(arena_, plan_.blur_taps), taps.data(), taps.size());
    sigma_ = wanted;
  }
  FcddUpsample a{plan_.blur,
                 0,
                 at(arena_, plan_.blur_taps),
                 at(arena_, plan_.maps),
                 at(arena_, plan_.blurred),
                 at(arena_, plan_.blur_workspace)};
  a.p.batch = count;
  device.check(device.table().upsample(device.handle(), &a), "blurring heatmaps");
}

void Inference::input_gradient(const Network::Impl& network, int count) {
  const Device& device = *network.device;
  for (size_t i = plan_.program.steps.size(); i-- > 0;) {
    const InferencePlan::StepSlots& slots = plan_.steps[i];
    const FcddBuffer x = at(arena_, plan_.values[i]), dy = at(arena_, plan_.grads[i + 1]),
                     dx = at(arena_, plan_.grads[i]);
    if (const ConvStep* conv = std::get_if<ConvStep>(&plan_.program.steps[i])) {
      FcddConvInputGrad a{conv->p, dy, at(arena_, slots.packed_back), dx, at(arena_, slots.workspace_back)};
      a.p.batch = count;
      device.check(device.table().conv_input_grad(device.handle(), &a), "input gradient");
    } else if (const ShapeStep* shape = std::get_if<ShapeStep>(&plan_.program.steps[i])) {
      run_shape_step_back(device, *shape, count, dy, dx, x, {});
    } else {
      FcddPostBackward a{};
      a.p = std::get<PostStep>(plan_.program.steps[i]).p;
      a.p.batch = count;
      a.dy = dy;
      a.x = x;
      a.argmax = at(arena_, slots.argmax);
      a.dx = dx;
      a.workspace = at(arena_, slots.workspace_back);
      device.check(device.table().post_backward(device.handle(), &a), "gradient of activation and pooling");
    }
  }
}

}  // namespace fcdd
