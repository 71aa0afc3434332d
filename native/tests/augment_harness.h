// Runs the input pipeline on a device and brings everything back; stores and pipelines for its tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fcdd/augment.h"
#include "fcdd/network.h"

namespace fcdd::test {

// Images before they are uploaded.
struct StoreData {
  int channels = 3;
  std::vector<FcddImage> images;
  std::vector<uint8_t> bytes;

  // value(y, x, c) gives the pixels; mask(y, x), when given, the mask.
  void add(int height, int width, int label, const std::function<int(int, int, int)>& value,
           const std::function<bool(int, int)>& mask = nullptr);
  void add_foreground(size_t index, const std::function<bool(int, int)>& inside);
};

// `count` pictures of smooth shading, edges, flat dark and bright areas and grain, all different.
StoreData pictures(int channels, int count, int height, int width, int label = 0, bool masks = false);

struct Augmented {
  std::vector<double> x;
  std::vector<uint8_t> labels, masks, bytes;
};

// What a test asks for. `settings` holds pipeline, supervision, seed, epoch, first, batch, normals; buffers
// and stores are filled in here.
struct AugmentCase {
  FcddAugment settings{};
  StoreData images, exposure;
  std::vector<int32_t> order;
};

struct DeviceChoice {
  std::string name;  // "reference" or "cpu"
  std::string isa;   // cpu only
  int threads = 1;
};

// A case that stays on its device and can be run for several epochs.
class AugmentRun {
 public:
  AugmentRun(const AugmentCase& c, const DeviceChoice& device);
  void step(uint32_t epoch);  // throws fcdd::Error
  Augmented results() const;
  const Device& device() const { return *device_; }

 private:
  FcddBuffer put(const void* data, uint64_t bytes);
  FcddBuffer room(uint64_t bytes);
  FcddStore store(const StoreData& data);

  std::shared_ptr<Device> device_;
  std::vector<std::unique_ptr<Arena>> arenas_;
  FcddAugment a_;
};

Augmented run_augment(const AugmentCase& c, const DeviceChoice& device);

// A pipeline that does nothing but bring bytes to [0,1].
FcddPipeline plain_pipeline(int channels, int height, int width);

// The pipelines of the published configurations, with the size of the images they take.
struct NamedPipeline {
  std::string name;
  FcddPipeline pipeline;
  int height, width;  // of the stored images
};
std::vector<NamedPipeline> published_pipelines();

}  // namespace fcdd::test
