// What a Trainer holds, for the engine's own files.
#pragma once

#include <memory>

#include "engine/training_run.h"
#include "fcdd/network.h"

namespace fcdd {

struct Trainer::Impl {
  Impl(Network& network, const TrainerOptions& options);

  // Positions of an epoch; 0 without data.
  int64_t positions() const;
  // The batch of positions [first, first + batch) of `epoch`, without buffers for its results.
  FcddAugment batch_of(uint32_t epoch, int64_t first, int batch);
  void require_positions(int64_t first, int count) const;
  // The same, made on the device into the plan's input, labels and masks.
  void load(uint32_t epoch, int64_t first, int batch);
  // Copies an explicit batch to the same place.
  void load(const Batch& batch);
  // Forward, loss and gradients of the loaded batch.
  void differentiate(int batch);

  Network::Impl& network;
  const Device& device;
  TrainerOptions options;
  TrainingRun run;
  int64_t updates = 0;
  int last_batch = 0;  // samples of the last step

  std::unique_ptr<Arena> order, workspace;  // of the input pipeline; only with data
  bool has_order = false;
  uint32_t order_epoch = 0;
};

}  // namespace fcdd
