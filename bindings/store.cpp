// Image stores: bytes in JavaScript -> resident bytes on the device.
#include "convert.h"
#include "fcdd/draws.h"
#include "results.h"
#include "wrappers.h"

namespace fcdd::bindings {

namespace {

// Throws unless [offset, offset + length) lies within `size`.
void require_range(uint64_t offset, uint64_t length, uint64_t size, const std::string& argument) {
  if (offset > size || length > size - offset) {
    reject("an offset whose " + std::to_string(length) + " bytes lie within the " + std::to_string(size) +
               " of bytes",
           argument, std::to_string(offset));
  }
}

FcddImage read_image(Fields& f, int channels, uint64_t size) {
  FcddImage image{};
  image.height = f.integer("height", 1, longest_side - 1);
  image.width = f.integer("width", 1, longest_side - 1);
  image.label = f.integer("label", 0, 255);
  const uint64_t area = static_cast<uint64_t>(image.height) * image.width;
  image.pixels = static_cast<uint64_t>(read_integer(f.raw("pixels"), f.path("pixels"), 0, INT64_MAX));
  require_range(image.pixels, area * channels, size, f.path("pixels"));
  image.mask = FCDD_NO_MASK;
  if (!f.raw("mask").IsNull()) {
    image.mask = static_cast<uint64_t>(read_integer(f.raw("mask"), f.path("mask"), 0, INT64_MAX));
    require_range(image.mask, area, size, f.path("mask"));
  }
  image.foreground = FCDD_NO_MASK;
  if (f.has("foreground") && !f.raw("foreground").IsNull()) {
    image.foreground =
        static_cast<uint64_t>(read_integer(f.raw("foreground"), f.path("foreground"), 0, INT64_MAX));
    require_range(image.foreground, area, size, f.path("foreground"));
  }
  f.done();
  return image;
}

}  // namespace

Napi::Function StoreWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeImageStore",
      {InstanceMethod("statistics", &StoreWrap::statistics), InstanceMethod("dispose", &StoreWrap::dispose)});
}

StoreWrap::StoreWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), owned_(taken<std::shared_ptr<Object>>(info)) {}

Napi::Object StoreWrap::create(Napi::Env env, const std::shared_ptr<Dispatcher>& dispatcher,
                               const std::shared_ptr<Device>& device, const Napi::Value& value) {
  Fields f(value, "images");
  const int channels = f.integer("channels", 1, 3);
  if (channels == 2) reject("1 or 3", f.path("channels"), "2");
  const Napi::Value bytes = f.raw("bytes");
  if (!bytes.IsTypedArray() || bytes.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    reject("a Uint8Array", f.path("bytes"), describe(bytes));
  }
  const auto array = bytes.As<Napi::Uint8Array>();
  const uint64_t size = array.ElementLength();
  std::vector<FcddImage> images;
  for (auto& image : f.list("images")) images.push_back(read_image(image, channels, size));
  if (images.empty()) reject("at least one image", f.path("images"), "an empty array");
  f.done();

  // An idle dispatcher reads the bytes while we wait, so that a large data set is not copied twice.
  const uint8_t* data = array.Data();
  std::shared_ptr<std::vector<uint8_t>> copy;
  if (!dispatcher->idle()) {
    copy = std::make_shared<std::vector<uint8_t>>(data, data + size);
    data = copy->data();
  }
  auto owned = std::make_shared<Object>(dispatcher, "image store");
  const auto object = wrap(env, addon_data(env).store, owned);
  owned->create(
      env,
      [device, channels, images = std::move(images), data, size, copy] {
        return std::make_shared<ImageStore>(device, channels, images, data, size);
      },
      [size](ImageStore&) { return size; });
  return object;
}

Napi::Value StoreWrap::statistics(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    owned_->require_alive();
    const FcddPipeline pipeline = read_pipeline(info[0], "pipeline");
    return owned_->dispatcher()->promise<ImageStatistics>(
        info.Env(), nullptr, [store = owned_, pipeline] { return image_statistics(*store->get(), pipeline); },
        [](Napi::Env env, ImageStatistics& statistics) { return to_js(env, statistics); });
  });
}

}  // namespace fcdd::bindings
