// What a Network holds, for the engine's own files.
//
// One arena holds all tensors: first the trainable ones side by side (each 64-byte aligned, the padding zero,
// so that one `update` covers them all), then the frozen ones, then the running statistics.
#pragma once

#include <memory>
#include <vector>

#include "engine/inference.h"
#include "engine/lower.h"
#include "engine/memory.h"
#include "engine/transfer.h"
#include "fcdd/network.h"

namespace fcdd {

class TrainingRun;

struct Network::Impl {
  Impl(std::shared_ptr<Device> device, std::vector<Layer> layers, InputShape input);

  // The tensor's place, or none for index -1.
  FcddBuffer tensor(int index) const { return index < 0 ? FcddBuffer{} : at(*arena, slots[index]); }
  int index_of(const std::string& name) const;  // throws for an unknown name
  uint64_t elements(int index) const;
  // Throws unless the output is what the objective needs (FCDD: one channel; AE: the input's shape; CLASSIFY:
  // a vector) and the device can do it.
  void require_output(int32_t objective) const;

  std::shared_ptr<Device> device;
  std::vector<Layer> layers;
  InputShape input;
  TensorTable tensors;
  Program training;

  std::vector<Slot> slots;  // of the tensors
  uint64_t trainable_bytes = 0;
  Slot statistics;  // all running means and variances
  std::unique_ptr<Arena> arena;

  // Who must pack or fold weights anew: `edition` grows with every change of any tensor, `set_edition` only
  // when values came from outside (then frozen weights may have changed too).
  uint64_t edition = 1, set_edition = 1;

  std::vector<TrainingRun*> runs;        // of the trainers that are alive
  std::unique_ptr<Inference> inference;  // the plan of the largest chunk so far
};

}  // namespace fcdd
