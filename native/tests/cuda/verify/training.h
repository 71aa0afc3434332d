// Whole-network checks of a device against `cpu` and `reference`: what gpu-verify runs after the single
// steps.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment_harness.h"
#include "fcdd/network.h"

namespace fcdd::test {

// One network trained on generated images, half of them covered with confetti.
struct TrainingCase {
  std::string name;
  std::vector<Layer> layers;
  InputShape input;
  int batch, steps;
  bool pixelwise;
  FcddOptimiserKind optimiser;
  double lr;
  FcddPipeline pipeline;
  int stored_height, stored_width;
};

std::vector<TrainingCase> training_cases(bool reduced);

struct Trained {
  std::vector<double> losses;   // per step
  std::vector<double> tensors;  // all of them after the last step
  std::vector<double> scores;   // of the stored images
  bool scores_alone = false;    // an image scored by itself has the same bits
};

// Same seed, same draws on every device.
Trained train(const std::shared_ptr<Device>& device, const TrainingCase& c);

// `before` steps on `from`, then weights and optimiser state move and `after` steps follow on `to`.
std::vector<double> train_across(const std::shared_ptr<Device>& from, const std::shared_ptr<Device>& to,
                                 const TrainingCase& c, int before, int after);

// Gradients of one batch by tensor, side by side.
std::vector<double> gradients(const std::shared_ptr<Device>& device, const TrainingCase& c);

// Largest |a/b - 1| over the steps.
double largest_difference(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace fcdd::test
