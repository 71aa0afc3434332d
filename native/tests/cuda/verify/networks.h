// The networks that are timed and trained on a GPU, with the input pipelines of their published runs.
#pragma once

#include <string>
#include <vector>

#include "augment_harness.h"
#include "fcdd/network.h"

namespace fcdd::test {

struct PublishedNetwork {
  std::string name;  // as src/models and scripts/compare/fcdd_torch.py call it
  std::vector<Layer> layers;
  InputShape input;
  int batch;
  FcddPipeline augmented;           // crops, jitter, noise and normalisation of the published run
  int stored_height, stored_width;  // of the images it takes
};

// cnn28-w, cnn32-lw3k, cnn224 and vgg11-f. `reduced`: few channels and small photographs, for the emulation.
std::vector<PublishedNetwork> published_networks(bool reduced);

// vgg11-f: VGG11 frozen up to its third pool.
std::vector<Layer> vgg11_frozen(int thin);

// Bytes to (x - 1/2) * 4, nothing else: for images of the network's own size.
FcddPipeline normalise_only(InputShape input);

}  // namespace fcdd::test
