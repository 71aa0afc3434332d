// The engine's public face: devices, image stores, networks, trainers. Knows nothing of Node.
//
// Threads: a Device is an in-order queue; calls on objects of one device must not overlap (the bindings run
// them on one dispatcher thread per device). Different devices are independent.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fcdd/device.h"
#include "fcdd/errors.h"
#include "fcdd/layers.h"

namespace fcdd {

// RAII over a device table's handle; turns statuses into Error.
class Device {
 public:
  // name: "cpu", "reference", or one of a library that is loaded at the first call: "cuda", and for tests
  // "cuda-emulated". Throws FCDD_NO_DEVICE saying which part is missing.
  static std::shared_ptr<Device> open(const std::string& name, const FcddDeviceOptions& options);
  ~Device();
  const FcddDeviceTable& table() const { return *table_; }
  FcddDevice* handle() const { return handle_; }
  const FcddDeviceInfo& info() const { return info_; }
  void check(FcddStatus status, const char* what) const;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

 private:
  Device() = default;
  const FcddDeviceTable* table_ = nullptr;
  FcddDevice* handle_ = nullptr;
  FcddDeviceInfo info_{};
};

// One reservation of device memory, released with the object. `Store`: written once by the host and read by
// steps, so that a device may keep it in host memory.
enum class ArenaUse { Work, Store };
class Arena {
 public:
  Arena(std::shared_ptr<Device> device, uint64_t bytes, ArenaUse use = ArenaUse::Work);
  ~Arena();
  FcddBuffer slice(uint64_t offset, uint64_t bytes) const;
  uint64_t bytes() const { return bytes_; }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

 private:
  std::shared_ptr<Device> device_;
  uint64_t id_ = 0, bytes_ = 0;
};

// Images as bytes, resident on the device. `bytes` holds pixels and masks at the offsets that `images` names.
class ImageStore {
 public:
  ImageStore(std::shared_ptr<Device> device, int channels, const std::vector<FcddImage>& images,
             const uint8_t* bytes, uint64_t size);
  const FcddStore& store() const { return store_; }
  const std::shared_ptr<Device>& device() const { return device_; }
  // Throws FCDD_INVALID_ARGUMENT naming the first of images [first, first+count) that the pipeline cannot
  // crop. Devices whose steps run later than they are called could only say so in the middle of a run.
  void check_crops(const FcddPipeline& pipeline, int first, int count) const;

 private:
  std::shared_ptr<Device> device_;
  std::unique_ptr<Arena> arena_;
  FcddStore store_{};
  std::vector<FcddImage> images_;
};

// Constants of a user's own data, over all images of a store after the test transform.
struct ImageStatistics {
  std::vector<double> mean, std;         // per channel, pixels in [0,1]; std unbiased
  std::vector<double> lcn_min, lcn_max;  // per channel, after L1 local contrast normalisation
};
ImageStatistics image_statistics(const ImageStore& store, FcddPipeline test_pipeline);

struct TensorInfo {
  std::string name;            // "<layer>.weight|bias|running_mean|running_var"
  std::vector<int64_t> shape;  // conv weights: K,C,k,k
  bool trainable;
};

struct InferOptions {
  double sigma = 0;  // of the Gaussian upsampling; 0: default_sigma
  bool low = false, maps = false;
  // FcddObjective. Score and map are those of FCDD; HSC, DSVDD: the loss of a normal sample, and the sum over
  // channels of its gradient's absolute value; AE: mean squared error, and its mean over channels. CLASSIFY
  // has scores 0 and no maps.
  int32_t objective = FCDD_OBJECTIVE_FCDD;
  std::vector<double> centre{};  // DSVDD: one value per output
  // Extent of the Gaussian of width sigma that blurs the maps of objectives other than FCDD; 0: none.
  int blur = 0;
  bool outputs = false;  // what the network says
};
struct InferResult {
  std::vector<double> scores;    // N
  std::vector<float> low, maps;  // N x u x v, N x H x W (empty unless asked for)
  std::vector<float> blurred;    // N x H x W, with maps and blur
  std::vector<float> outputs;    // N x values of the network's output, channels-last
};

class Trainer;

class Network {
 public:
  Network(std::shared_ptr<Device> device, std::vector<Layer> layers, InputShape input);
  ~Network();

  const std::vector<Layer>& layers() const;
  InputShape input() const;
  const std::vector<TensorInfo>& tensors() const;
  const std::shared_ptr<Device>& device() const;

  // Values in double whatever the device's type. Throws FCDD_INVALID_ARGUMENT for an unknown name or a wrong
  // count.
  std::vector<double> get(const std::string& name) const;
  void set(const std::string& name, const std::vector<double>& values);

  // PyTorch's default initialisation: weights and biases uniform in +-1/sqrt(fan_in),
  // gamma 1, beta 0, running mean 0, variance 1. Draws from Philox keyed by (seed, tensor, element).
  void initialise(uint64_t seed);

  // Normalised pixels N x H x W x C -> scores and maps, in chunks of at most `chunk` images that reuse one
  // plan.
  InferResult infer(const std::vector<float>& pixels, int count, const InferOptions& options);
  InferResult infer(const std::vector<double>& pixels, int count, const InferOptions& options);
  // The same from a store: images [first, first+count) through the test pipeline, augmented on the device.
  InferResult infer(const ImageStore& store, const FcddPipeline& pipeline, int first, int count,
                    const InferOptions& options, const std::atomic<bool>* stop = nullptr);

  // Bytes a trainer or an inference plan of this batch size would reserve. A trainer with data adds the order
  // of its epoch (4 bytes per position) and the input pipeline's workspace.
  uint64_t training_bytes(int batch, bool adam, bool pixelwise) const;
  uint64_t inference_bytes(int batch) const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct OptimiserOptions {
  FcddOptimiserKind kind = FCDD_SGD;
  double momentum = 0.9, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

struct TrainerOptions {
  int batch = 1;
  int32_t objective = FCDD_OBJECTIVE_FCDD;
  std::vector<double> centre{};  // DSVDD: one value per output
  bool pixelwise = false;        // FCDD only
  double sigma = 0;              // pixelwise; 0: default_sigma
  OptimiserOptions optimiser{};
  bool keep_activations = false;  // all of them survive a step, for last_activations(); costs memory
  // Bytes that the network's tensors, the training step and the input pipeline's workspace may take together
  // (image stores are not counted); 0: no limit. The step then takes more time and less memory, or creation
  // fails with FCDD_OUT_OF_MEMORY and how much is needed. Changes no bits.
  uint64_t memory_budget = 0;
  // Data; absent for step() on explicit batches.
  const ImageStore* images = nullptr;
  const ImageStore* exposure = nullptr;
  FcddPipeline pipeline{};
  FcddSupervision supervision{};
  int repeat = 1;         // the list of images is this many times as long (MVTec: 10)
  int nominal_label = 0;  // 1: labels and masks are swapped (augment.h)
  uint64_t seed = 0;
};

struct StepReport {
  int64_t steps = 0;
  double loss = 0, normal = 0,
         anomalous = 0;  // means over samples since the report began; 0 when there were none
  int64_t normals = 0, anomalies = 0;
};

// One batch given from outside (tests, comparisons).
struct Batch {
  int count;
  std::vector<double> pixels;   // N x H x W x C, normalised
  std::vector<uint8_t> labels;  // N; 0 and 1, with CLASSIFY the class
  std::vector<uint8_t> masks;   // N x H x W, pixelwise only
};

// What the augmentation made of some positions (previews, --dump-step, tests).
struct AugmentedBatch {
  std::vector<float> pixels;  // N x H x W x C, normalised
  std::vector<uint8_t> bytes, labels, masks;
};

// Must not outlive its network, nor its stores. An inference through the network releases the memory of
// activations until the next step: training and inference of one network never hold memory at once.
class Trainer {
 public:
  Trainer(Network& network, const TrainerOptions& options);
  ~Trainer();

  int64_t positions() const;        // samples per epoch
  int64_t steps_per_epoch() const;  // ceil(positions / batch); the last batch may be smaller

  // Runs `steps` steps of `epoch` from step `first`, learning rate lr. Stops between steps when *stop becomes
  // true; the report says how many were done. Samples are shuffled by Philox keyed by (seed, epoch).
  StepReport run(uint32_t epoch, int64_t first, int64_t steps, double lr,
                 const std::atomic<bool>* stop = nullptr);
  StepReport step(const Batch& batch, double lr);
  // Loss and gradients without an update.
  StepReport gradients(const Batch& batch);

  AugmentedBatch augment(uint32_t epoch, int64_t first, int count);
  // Milliseconds in which the device makes a step's batch of these positions, of which it keeps the pixels.
  double time_augment(uint32_t epoch, int64_t first, int count);
  // Of the last step: "<tensor>" -> gradient; "<layer>" -> output activation where the plan still holds it
  // (none after an inference).
  std::map<std::string, std::vector<double>> last_gradients() const;
  std::map<std::string, std::vector<double>> last_activations() const;

  // Optimiser state by tensor: "momentum/<tensor>" or "exp_avg/…", "exp_avg_sq/…"; and the number of updates.
  std::map<std::string, std::vector<double>> state() const;
  void set_state(const std::map<std::string, std::vector<double>>& state, int64_t updates);
  int64_t updates() const;
  uint64_t reserved_bytes() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fcdd
