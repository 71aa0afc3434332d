#include "networks.h"

#include <algorithm>

#include "engine_networks.h"

namespace fcdd::test {
namespace {

constexpr size_t kFrozenLayers = 15;  // of vgg11-f, as torchvision counts its modules

const NamedPipeline& pipeline_of(const std::vector<NamedPipeline>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.name == name; });
  if (found == all.end()) throw Error("FCDD_INVALID_ARGUMENT", "no pipeline '" + name + "' in these tests");
  return *found;
}

// cnn28 with 128 filters in both convolutions.
std::vector<Layer> cnn28_wide(int thin) {
  std::vector<Layer> layers = architecture("cnn28");
  for (Layer& layer : layers) {
    if (layer.kind == LayerKind::Conv && layer.filters > 1) layer.filters = std::max(1, 128 / thin);
  }
  return layers;
}

}  // namespace

std::vector<Layer> vgg11_frozen(int thin) {
  return freeze(architecture("vgg11", thin), kFrozenLayers);
}

FcddPipeline normalise_only(InputShape input) {
  FcddPipeline pipeline = plain_pipeline(input.channels, input.height, input.width);
  for (double& offset : pipeline.offset) offset = 0.5;
  for (double& scale : pipeline.scale) scale = 0.25;
  return pipeline;
}

std::vector<PublishedNetwork> published_networks(bool reduced) {
  const int thin = reduced ? 16 : 1, photograph = reduced ? 56 : 224;
  const std::vector<NamedPipeline> pipelines = published_pipelines();
  const auto make = [&](const char* name, std::vector<Layer> layers, InputShape input, int batch,
                        const char* pipeline) {
    const NamedPipeline& named = pipeline_of(pipelines, pipeline);
    FcddPipeline augmented = named.pipeline;
    augmented.height = input.height, augmented.width = input.width;
    return PublishedNetwork{name, std::move(layers), input, batch, augmented, named.height, named.width};
  };
  return {
      make("cnn28-w", cnn28_wide(thin), {1, 28, 28}, 128, "fashion-mnist lcnaug1"),
      make("cnn32-lw3k", architecture("cnn32-lw3k", thin), {3, 32, 32}, 200, "cifar10 aug1"),
      make("cnn224", architecture("cnn224", std::min(thin, 8)), {3, photograph, photograph}, 128,
           "mvtec lcnaug1"),
      make("vgg11-f", vgg11_frozen(thin), {3, photograph, photograph}, 128, "mvtec lcnaug1"),
  };
}

}  // namespace fcdd::test
