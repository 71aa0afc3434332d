#include "augment_harness.h"

#include <algorithm>
#include <memory>

#include "engine/transfer.h"

namespace fcdd::test {
namespace {

template <class T>
FcddBuffer put(std::vector<std::unique_ptr<Arena>>& arenas, const std::shared_ptr<Device>& device,
               const std::vector<T>& values) {
  if (values.empty()) return {};
  const uint64_t bytes = values.size() * sizeof(T);
  arenas.push_back(std::make_unique<Arena>(device, bytes));
  const FcddBuffer buffer = arenas.back()->slice(0, bytes);
  device->check(device->table().upload(device->handle(), buffer, values.data()), "upload");
  return buffer;
}

FcddBuffer room(std::vector<std::unique_ptr<Arena>>& arenas, const std::shared_ptr<Device>& device,
                uint64_t bytes) {
  arenas.push_back(std::make_unique<Arena>(device, bytes));
  const FcddBuffer buffer = arenas.back()->slice(0, bytes);
  device->check(device->table().fill(device->handle(), buffer, 0xab), "fill");
  return buffer;
}

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
  images.push_back(image);
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

Augmented run_augment(const AugmentCase& c, const DeviceChoice& choice) {
  FcddDeviceOptions options{};
  options.threads = choice.threads;
  options.isa = choice.isa.empty() ? nullptr : choice.isa.c_str();
  const auto device = Device::open(choice.name, options);
  std::vector<std::unique_ptr<Arena>> arenas;
  FcddAugment a = c.settings;
  const auto store = [&](const StoreData& data) {
    return FcddStore{put(arenas, device, data.bytes), put(arenas, device, data.images),
                     static_cast<int32_t>(data.images.size()), data.channels};
  };
  a.images = store(c.images);
  if (!c.exposure.images.empty()) a.exposure = store(c.exposure);
  a.order = put(arenas, device, c.order);
  const uint64_t area = static_cast<uint64_t>(a.pipeline.height) * static_cast<uint64_t>(a.pipeline.width);
  const uint64_t n = static_cast<uint64_t>(a.batch),
                 values = n * area * static_cast<uint64_t>(a.pipeline.channels);
  a.x = room(arenas, device, values * static_cast<uint64_t>(device->info().real_bytes));
  a.labels = room(arenas, device, n);
  a.masks = room(arenas, device, n * area);
  a.bytes = room(arenas, device, values);
  const uint64_t workspace = device->table().augment_workspace_bytes(device->handle(), &a);
  if (workspace > 0) a.workspace = room(arenas, device, workspace);
  device->check(device->table().augment(device->handle(), &a), "augment");
  return {download_real<double>(*device, a.x, values), bytes_of(*device, a.labels),
          bytes_of(*device, a.masks), bytes_of(*device, a.bytes)};
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
