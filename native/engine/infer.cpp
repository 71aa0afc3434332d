// Network::infer: any number of images through one inference plan, chunk by chunk, from pixels or from a
// store.
#include <algorithm>

#include "engine/network_impl.h"
#include "engine/training_run.h"

namespace fcdd {
namespace {

constexpr int kLargestChunk = 64;  // images
// A chunk may need this much more memory than one image; more than this gains nothing either.
constexpr uint64_t kChunkBytes = uint64_t{128} << 20;

int chunk_for(const Network::Impl& network, int count, const InferenceUse& use) {
  int chunk = std::clamp(count, 1, kLargestChunk);
  const uint64_t limit = plan_inference(network, 1, use).bytes + kChunkBytes;
  while (chunk > 1 && plan_inference(network, chunk, use).bytes > limit) chunk /= 2;
  return chunk;
}

// The network's plan, made anew only when a larger chunk than ever before or another use is wanted. Trainers
// of the network give back what they need only while they step.
Inference& inference_of(Network::Impl& network, int count, const InferOptions& options) {
  const InferenceUse use = use_of(options);
  if (network.inference != nullptr && !(network.inference->use() == use)) network.inference.reset();
  for (TrainingRun* run : network.runs) run->release();
  if (network.inference == nullptr || network.inference->capacity() < std::min(count, kLargestChunk)) {
    const int chunk = chunk_for(network, count, use);
    if (network.inference == nullptr || network.inference->capacity() < chunk) {
      network.inference.reset();  // release first: both need not fit at once
      network.inference = std::make_unique<Inference>(network, chunk, use);
    }
  }
  return *network.inference;
}

void check_pipeline(const Network::Impl& network, const ImageStore& store, const FcddPipeline& p) {
  const InputShape in = network.input;
  if (p.height != in.height || p.width != in.width || p.channels != in.channels) {
    throw Error("FCDD_INVALID_ARGUMENT", "the pipeline makes images of " + std::to_string(p.channels) + "x" +
                                             std::to_string(p.height) + "x" + std::to_string(p.width) +
                                             " but the network takes " + std::to_string(in.channels) + "x" +
                                             std::to_string(in.height) + "x" + std::to_string(in.width) +
                                             " (channels x height x width)");
  }
  if (store.device() != network.device) {
    throw Error("FCDD_INVALID_ARGUMENT", "the image store lives on another device than the network");
  }
}

template <class T>
InferResult infer_pixels(Network::Impl& network, const std::vector<T>& pixels, int count,
                         const InferOptions& options) {
  const InputShape in = network.input;
  const size_t size =
      static_cast<size_t>(in.height) * static_cast<size_t>(in.width) * static_cast<size_t>(in.channels);
  if (count < 0 || pixels.size() != size * static_cast<size_t>(count)) {
    throw Error("FCDD_INVALID_ARGUMENT", std::to_string(count) + " images of this network's input have " +
                                             std::to_string(size) + " values each, got " +
                                             std::to_string(pixels.size()) + " in all");
  }
  InferResult result;
  if (count == 0) return result;
  Inference& inference = inference_of(network, count, options);
  for (int first = 0; first < count; first += inference.capacity()) {
    const int n = std::min(inference.capacity(), count - first);
    upload_real(*network.device, inference.input(), pixels.data() + static_cast<size_t>(first) * size,
                size * static_cast<size_t>(n));
    inference.run(network, n, options, result);
  }
  return result;
}

}  // namespace

InferResult Network::infer(const std::vector<float>& pixels, int count, const InferOptions& options) {
  return infer_pixels(*impl_, pixels, count, options);
}

InferResult Network::infer(const std::vector<double>& pixels, int count, const InferOptions& options) {
  return infer_pixels(*impl_, pixels, count, options);
}

InferResult Network::infer(const ImageStore& store, const FcddPipeline& pipeline, int first, int count,
                           const InferOptions& options, const std::atomic<bool>* stop) {
  check_pipeline(*impl_, store, pipeline);
  if (first < 0 || count < 0 || first > store.store().count - count) {
    throw Error("FCDD_INVALID_ARGUMENT", "images " + std::to_string(first) + " to " +
                                             std::to_string(static_cast<int64_t>(first) + count - 1) +
                                             " are not all in a store of " +
                                             std::to_string(store.store().count));
  }
  InferResult result;
  if (count == 0) return result;
  store.check_crops(pipeline, first, count);
  Inference& inference = inference_of(*impl_, count, options);
  const Device& device = *impl_->device;
  FcddAugment a{};
  a.pipeline = pipeline;
  a.images = store.store();
  a.batch = inference.capacity();
  a.x = inference.input();
  const Arena workspace(impl_->device, device.table().augment_workspace_bytes(device.handle(), &a));
  a.workspace = workspace.slice(0, workspace.bytes());
  for (int done = 0; done < count; done += a.batch) {
    if (stop != nullptr && *stop) throw Error("FCDD_ABORTED", "inference was stopped");
    a.first = static_cast<uint32_t>(first + done);
    a.batch = std::min(inference.capacity(), count - done);
    device.check(device.table().augment(device.handle(), &a), "preparing images");
    inference.run(*impl_, a.batch, options, result);
  }
  return result;
}

uint64_t Network::inference_bytes(int batch) const {
  if (batch < 1)
    throw Error("FCDD_INVALID_ARGUMENT", "a batch needs at least one image, got " + std::to_string(batch));
  return plan_inference(*impl_, batch).bytes;
}

}  // namespace fcdd
