// Small networks, batches and devices that the engine's tests share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fcdd/network.h"

namespace fcdd::test {

Layer conv(const std::string& name, int filters, int kernel, int padding, int stride = 1, bool bias = true);
Layer norm(const std::string& name, double eps = 1e-4);
Layer lrelu(double slope = 0.01);
Layer pool(int kernel = 2, int stride = 2, int padding = 0);
// The first `count` layers frozen.
std::vector<Layer> freeze(std::vector<Layer> layers, size_t count);

// The architectures of the paper's reference code by name ("cnn28", "cnn32", "cnn32-s", "cnn32-lw3k",
// "cnn224", "vgg11"), with channels divided by `thin`.
std::vector<Layer> architecture(const std::string& name, int thin = 1);

// conv BN lrelu pool(3,2,1), conv conv, pool2 conv-without-bias BN relu, head: every combination of steps.
std::vector<Layer> mixed_network();

std::shared_ptr<Device> open_device(const std::string& name = "reference", int threads = 1);

// Standard normal pixels, alternating labels, masks of alternating pixels where anomalous.
Batch random_batch(InputShape input, int count, uint32_t seed);

// All tensors of a network side by side.
std::vector<double> all_tensors(const Network& network);

}  // namespace fcdd::test
