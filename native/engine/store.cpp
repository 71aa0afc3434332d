// A store of images: checked once, then resident on the device as bytes beside the table that names them.
#include "engine/transfer.h"
#include "fcdd/augment_check.h"

namespace fcdd {
namespace {

void check_image(const FcddImage& image, size_t index, int channels, uint64_t size) {
  const auto refuse = [&](const std::string& why) {
    throw Error("FCDD_INVALID_ARGUMENT", "image " + std::to_string(index) + " of the store " + why);
  };
  if (!extents_allowed(image)) {
    refuse("needs a height and width from 1 to " + std::to_string(longest_side - 1) + ", got " +
           std::to_string(image.height) + "x" + std::to_string(image.width));
  }
  if (image.label < 0 || image.label > 255)
    refuse("needs a label from 0 to 255, got " + std::to_string(image.label));
  const uint64_t pixels = static_cast<uint64_t>(image.height) * static_cast<uint64_t>(image.width);
  const uint64_t bytes = pixels * static_cast<uint64_t>(channels);
  if (bytes > size || image.pixels > size - bytes) refuse("has pixels beyond the store's bytes");
  for (const uint64_t plane : {image.mask, image.foreground}) {
    if (plane == FCDD_NO_MASK) continue;
    if (pixels > size || plane > size - pixels)
      refuse(std::string("has a ") + (plane == image.mask ? "mask" : "foreground") +
             " beyond the store's bytes");
  }
}

// That the mask or foreground at offset `plane` holds 0 and 1 only.
void check_plane(const FcddImage& image, uint64_t plane, const char* name, size_t index,
                 const uint8_t* bytes) {
  if (plane == FCDD_NO_MASK) return;
  const uint64_t pixels = static_cast<uint64_t>(image.height) * static_cast<uint64_t>(image.width);
  for (uint64_t i = 0; i < pixels; i++) {
    if (bytes[plane + i] <= 1) continue;
    throw Error("FCDD_INVALID_ARGUMENT", "the " + std::string(name) + " of image " + std::to_string(index) +
                                             " of the store must hold only 0 and 1, got " +
                                             std::to_string(bytes[plane + i]));
  }
}

}  // namespace

ImageStore::ImageStore(std::shared_ptr<Device> device, int channels, const std::vector<FcddImage>& images,
                       const uint8_t* bytes, uint64_t size)
    : device_(std::move(device)), images_(images) {
  if (channels != 1 && channels != 3) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a store's images have 1 or 3 channels, got " + std::to_string(channels));
  }
  if (images.empty() || images.size() > INT32_MAX) {
    throw Error("FCDD_INVALID_ARGUMENT",
                "a store needs at least one image, got " + std::to_string(images.size()));
  }
  for (size_t i = 0; i < images.size(); i++) {
    check_image(images[i], i, channels, size);
    check_plane(images[i], images[i].mask, "mask", i, bytes);
    check_plane(images[i], images[i].foreground, "foreground", i, bytes);
  }
  const uint64_t table = images.size() * sizeof(FcddImage);
  arena_ = std::make_unique<Arena>(device_, aligned(size) + table, ArenaUse::Store);
  store_ = {arena_->slice(0, size), arena_->slice(aligned(size), table), static_cast<int32_t>(images.size()),
            channels};
  upload_bytes(*device_, store_.bytes, bytes, size);
  upload_bytes(*device_, store_.images, images.data(), table);
}

void ImageStore::check_crops(const FcddPipeline& pipeline, int first, int count) const {
  check_pipeline(pipeline);
  for (int i = first; i < first + count; i++) check_crop(pipeline, images_[static_cast<size_t>(i)], i);
}

}  // namespace fcdd
