#include "augment_harness.h"

#include <algorithm>
#include <memory>

#include "engine/transfer.h"

namespace fcdd::test {
namespace {

std::vector<uint8_t> bytes_of(const Device& device, const FcddBuffer& buffer) {
  std::vector<uint8_t> values(buffer.bytes);
  device.check(device.table().download(device.handle(), values.data(), buffer), "download");
  return values;
}

// Reproducible grain: any cheap mixing function will do.
int grain(int a, int b, int c, int range) {
  uint32_t h = static_cast<uint32_t>(a) * 2654435761u ^ static_cast<uint32_t>(b) * 2246822519u ^
               static_cast<uint32_t>(c) * 3266489917u;
  h = (h ^ (h >> 15)) * 2654435761u;
  return static_cast<int>((h >> 8) % static_cast<uint32_t>(range));
}

int picture_value(int image, int y, int x, int c, int height, int width) {
  if (image % 5 == 3) return y * 3 < height ? 0 : 255;  // flat, saturated at both ends
  if (image % 5 == 4 && (y + x) % 2 == 0) return 128;   // half of it grey
  const int shade = (y * 140 / height + x * 90 / width) * (c + 2) / 4;
  return std::min(255, shade + grain(image * 3 + c, y, x, 24) + (image % 3) * 20);
}

}  // namespace

void StoreData::add(int height, int width, int label, const std::function<int(int, int, int)>& value,
                    const std::function<bool(int, int)>& mask) {
  FcddImage image{};
  image.height = height;
  image.width = width;
  image.label = label;
  image.pixels = bytes.size();
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      for (int c = 0; c < channels; c++) bytes.push_back(static_cast<uint8_t>(value(y, x, c)));
    }
  }
  image.mask = mask ? bytes.size() : FCDD_NO_MASK;
  for (int y = 0; mask && y < height; y++) {
    for (int x = 0; x < width; x++) bytes.push_back(mask(y, x));
  }
  image.foreground = FCDD_NO_MASK;
  images.push_back(image);
}

void StoreData::add_foreground(size_t index, const std::function<bool(int, int)>& inside) {
  FcddImage& image = images[index];
  image.foreground = bytes.size();
  for (int y = 0; y < image.height; y++) {
    for (int x = 0; x < image.width; x++) bytes.push_back(inside(y, x));
  }
}

StoreData pictures(int channels, int count, int height, int width, int label, bool masks) {
  StoreData store;
  store.channels = channels;
  for (int i = 0; i < count; i++) {
    std::function<bool(int, int)> mask;
    if (masks) mask = [i](int y, int x) { return (y / 3 + x / 5 + i) % 3 == 0; };
    store.add(
        height, width, label, [&](int y, int x, int c) { return picture_value(i, y, x, c, height, width); },
        mask);
  }
  return store;
}

AugmentRun::AugmentRun(const AugmentCase& c, const DeviceChoice& choice) : a_(c.settings) {
  FcddDeviceOptions options{};
  options.threads = choice.threads;
  options.isa = choice.isa.empty() ? nullptr : choice.isa.c_str();
  device_ = Device::open(choice.name, options);
  a_.images = store(c.images);
  if (!c.exposure.images.empty()) a_.exposure = store(c.exposure);
  a_.order = put(c.order.data(), c.order.size() * sizeof(int32_t));
  const uint64_t area = static_cast<uint64_t>(a_.pipeline.height) * static_cast<uint64_t>(a_.pipeline.width);
  const uint64_t n = static_cast<uint64_t>(a_.batch);
  const uint64_t values = n * area * static_cast<uint64_t>(a_.pipeline.channels);
  a_.x = room(values * static_cast<uint64_t>(device_->info().real_bytes));
  a_.labels = room(n);
  a_.masks = room(n * area);
  a_.bytes = room(values);
  a_.workspace = room(device_->table().augment_workspace_bytes(device_->handle(), &a_));
}

void AugmentRun::step(uint32_t epoch) {
  a_.epoch = epoch;
  device_->check(device_->table().augment(device_->handle(), &a_), "augment");
}

Augmented AugmentRun::results() const {
  return {download_real<double>(*device_, a_.x, a_.bytes.bytes), bytes_of(*device_, a_.labels),
          bytes_of(*device_, a_.masks), bytes_of(*device_, a_.bytes)};
}

FcddBuffer AugmentRun::put(const void* data, uint64_t bytes) {
  if (bytes == 0) return {};
  const FcddBuffer buffer = room(bytes);
  device_->check(device_->table().upload(device_->handle(), buffer, data), "upload");
  return buffer;
}

// Filled with a pattern, so that what a step leaves unwritten shows.
FcddBuffer AugmentRun::room(uint64_t bytes) {
  if (bytes == 0) return {};
  arenas_.push_back(std::make_unique<Arena>(device_, bytes));
  const FcddBuffer buffer = arenas_.back()->slice(0, bytes);
  device_->check(device_->table().fill(device_->handle(), buffer, 0xab), "fill");
  return buffer;
}

FcddStore AugmentRun::store(const StoreData& data) {
  return {put(data.bytes.data(), data.bytes.size()),
          put(data.images.data(), data.images.size() * sizeof(FcddImage)),
          static_cast<int32_t>(data.images.size()), data.channels};
}

Augmented run_augment(const AugmentCase& c, const DeviceChoice& choice) {
  AugmentRun run(c, choice);
  run.step(c.settings.epoch);
  return run.results();
}

FcddPipeline plain_pipeline(int channels, int height, int width) {
  FcddPipeline p{};
  p.channels = channels;
  p.height = height;
  p.width = width;
  for (double& scale : p.scale) scale = 1;
  return p;
}

namespace {

FcddPipeline with_constants(FcddPipeline p, bool lcn) {
  p.lcn = lcn;
  const double offset[3] = {lcn ? -1.33 : 0.485, lcn ? -1.31 : 0.456, lcn ? -1.24 : 0.406};
  const double scale[3] = {lcn ? 2.7 : 0.229, lcn ? 2.69 : 0.224, lcn ? 2.62 : 0.225};
  for (int c = 0; c < 3; c++) {
    p.offset[c] = offset[c];
    p.scale[c] = scale[c];
  }
  return p;
}

void jitter_before(FcddPipeline& p, double strength) {
  p.jitter_first = 1;
  p.jitter_count = 1;
  p.jitter[0] = {strength, strength, strength, strength};
}

void add_noise(FcddPipeline& p, double sigma) {
  p.noise_sigma = sigma;
  p.noise_probability = 1;
}

FcddPipeline padded_crop(int channels, int size, int pad, double jitter, double noise, bool lcn) {
  FcddPipeline p = with_constants(plain_pipeline(channels, size, size), lcn);
  p.pad = pad;
  p.random_crop = 1;
  p.flip = 1;
  if (jitter > 0) jitter_before(p, jitter);
  if (noise > 0) add_noise(p, noise);
  return p;
}

FcddPipeline mvtec(bool lcn) {
  FcddPipeline p = with_constants(plain_pipeline(3, 224, 224), lcn);
  p.random_crop = 1;
  p.or_resize = 1;
  p.jitter_count = 2;
  p.jitter[0] = {0.04, 0.04, 0.04, 0.04};
  p.jitter[1] = {0.005, 0.0005, 0.0005, 0.0005};
  p.noise_sigma = 0.1;
  p.noise_probability = 0.5;
  p.noise_relative = 1;
  p.noise_clamp = 1;
  return p;
}

FcddPipeline folder_with_masks() {
  FcddPipeline p = with_constants(plain_pipeline(3, 224, 224), false);
  p.resize_height = p.resize_width = 248;
  p.random_crop = 1;
  p.or_resize = 1;
  p.flip = 1;
  p.jitter_count = 1;
  p.jitter[0] = {0.01, 0.01, 0.01, 0.01};
  add_noise(p, 0.001);
  return p;
}

FcddPipeline resized(bool lcn, int channels, int height, int width, int between) {
  FcddPipeline p = with_constants(plain_pipeline(channels, height, width), lcn);
  p.resize_height = p.resize_width = between;
  return p;
}

}  // namespace

std::vector<NamedPipeline> published_pipelines() {
  return {
      {"fashion-mnist lcnaug1", padded_crop(1, 28, 2, 0, 0, true), 28, 28},
      {"fashion-mnist lcnaug1 test", with_constants(plain_pipeline(1, 28, 28), true), 28, 28},
      {"fashion-mnist aug1", padded_crop(1, 28, 3, 0.1, 0.01, false), 28, 28},
      {"fashion-mnist aug1 test", with_constants(plain_pipeline(1, 28, 28), false), 28, 28},
      {"cifar10 aug1", padded_crop(3, 32, 4, 0.01, 0.001, false), 32, 32},
      {"mvtec lcnaug1", mvtec(true), 240, 240},
      {"mvtec lcnaug1 test", resized(true, 3, 224, 224, 224), 240, 240},
      {"mvtec aug1", mvtec(false), 240, 240},
      {"imagenet aug1", padded_crop(3, 224, 0, 0.01, 0.001, false), 256, 341},
      {"imagenet aug1 test", with_constants(plain_pipeline(3, 224, 224), false), 341, 256},
      {"folder aug1, masks", folder_with_masks(), 130, 200},
      {"folder aug1, masks, test", resized(false, 3, 224, 224, 224), 130, 200},
  };
}

}  // namespace fcdd::test
