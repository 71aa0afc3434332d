// The input pipeline on the `cpu` device: samples in parallel, each by one worker in its own part of the
// workspace. Bytes, labels and masks equal those of the reference device; a sample depends on nothing but its
// position.
#include <algorithm>
#include <cstring>

#include "cpu/augment_stages.h"
#include "cpu/steps.h"
#include "cpu/threads.h"
#include "fcdd/augment_check.h"

namespace fcdd::cpu {
namespace {

const AugmentKernels& kernels_of([[maybe_unused]] const CpuDevice& device) {
#if defined(__x86_64__)
  if (std::strcmp(device.isa->name, "avx512") == 0) return augment_avx512;
  if (std::strcmp(device.isa->name, "avx2") == 0) return augment_avx2;
#endif
  return augment_baseline;
}

struct Images {
  int32_t channels;
  const FcddImage* images;
  const uint8_t* bytes;
};

Images images_of(const CpuDevice& device, const FcddStore& store, const char* name) {
  return {store.channels, at<FcddImage>(device, store.images, static_cast<uint64_t>(store.count), name),
          at<uint8_t>(device, store.bytes, store.bytes.bytes, name)};
}

// Offsets of a worker's scratch memory, and how much it is in all.
class ScratchLayout {
 public:
  // `exposure` is null where no exposure image replaces a sample.
  ScratchLayout(const FcddAugment& a, const FcddImage* images, const FcddImage* exposure) {
    uint64_t height = 0, width = 0, area = 0;
    const auto cover = [&](const FcddImage* of, int32_t count) {
      for (int32_t i = 0; i < count; i++) {
        height = std::max<uint64_t>(height, static_cast<uint64_t>(of[i].height));
        width = std::max<uint64_t>(width, static_cast<uint64_t>(of[i].width));
      }
      area = std::max(area, largest_image(of, count));
    };
    cover(images, a.images.count);
    if (exposure != nullptr) cover(exposure, a.exposure.count);
    const uint64_t channels = static_cast<uint64_t>(a.pipeline.channels), values = area * channels;
    const uint64_t inputs =
        static_cast<uint64_t>(a.pipeline.height) * static_cast<uint64_t>(a.pipeline.width);
    pixels_ = take(values);
    mask_ = take(area);
    noise_ = take(2 * values);
    squares_ = take(2 * values);
    rows_ = take(2 * values);
    padded_ = take(2 * (width + 24) * channels);
    left_ = take(4 * height);
    right_ = take(4 * height);
    columns_ = take(4 * static_cast<uint64_t>(a.pipeline.width));
    placed_ = take(inputs * channels);
    words_ = take(4 * words_of_tile);
    normals_ = take(4 * words_of_tile);
  }

  uint64_t bytes() const { return total_; }

  AugmentScratch of_worker(uint8_t* workspace, int worker) const {
    uint8_t* base = workspace + static_cast<uint64_t>(worker) * total_;
    return {base + pixels_,
            base + mask_,
            reinterpret_cast<int16_t*>(base + noise_),
            reinterpret_cast<uint16_t*>(base + squares_),
            reinterpret_cast<uint16_t*>(base + rows_),
            reinterpret_cast<uint16_t*>(base + padded_),
            reinterpret_cast<int32_t*>(base + left_),
            reinterpret_cast<int32_t*>(base + right_),
            reinterpret_cast<int32_t*>(base + columns_),
            base + placed_,
            reinterpret_cast<uint32_t*>(base + words_),
            reinterpret_cast<float*>(base + normals_)};
  }

 private:
  uint64_t take(uint64_t bytes) {
    const uint64_t offset = total_;
    total_ += round_up(bytes, 64);
    return offset;
  }

  uint64_t pixels_, mask_, noise_, squares_, rows_, padded_, left_, right_, columns_, placed_, words_,
      normals_;
  uint64_t total_ = 0;
};

// What a sample shows at its stored size. Without a mask, `label` is the mask everywhere.
struct View {
  const uint8_t* pixels;
  const uint8_t* mask;
  int32_t label;
};

// Pixels of an image at extent e, converted where the store's channels differ.
void load_pixels(const Images& from, const FcddImage& image, Extent e, uint8_t* out) {
  for (int32_t y = 0; y < e.height; y++) {
    const int64_t row = nearest_source(y, image.height, e.height);
    const uint8_t* source = from.bytes + image.pixels + row * image.width * from.channels;
    for (int32_t x = 0; x < e.width; x++, out += e.channels) {
      const uint8_t* pixel = source + int64_t{nearest_source(x, image.width, e.width)} * from.channels;
      if (from.channels == e.channels) {
        for (int32_t c = 0; c < e.channels; c++) out[c] = pixel[c];
      } else if (e.channels == 1) {
        out[0] = grey_level(pixel[0], pixel[1], pixel[2]);
      } else {
        out[0] = out[1] = out[2] = pixel[0];
      }
    }
  }
}

void load_mask(const Images& from, const FcddImage& image, Extent e, uint8_t* out) {
  for (int32_t y = 0; y < e.height; y++) {
    const uint8_t* row =
        from.bytes + image.mask + int64_t{nearest_source(y, image.height, e.height)} * image.width;
    for (int32_t x = 0; x < e.width; x++) *out++ = row[nearest_source(x, image.width, e.width)];
  }
}

// An image of a store at extent e; where nothing has to be converted, the stored bytes themselves.
View view_of(const Images& from, const FcddImage& image, Extent e, AugmentScratch& scratch) {
  const bool same_size = image.height == e.height && image.width == e.width;
  View view = {from.bytes + image.pixels, nullptr, image.label};
  if (!same_size || from.channels != e.channels) {
    load_pixels(from, image, e, scratch.pixels);
    view.pixels = scratch.pixels;
  }
  if (image.mask == FCDD_NO_MASK) return view;
  view.mask = from.bytes + image.mask;
  if (!same_size) {
    load_mask(from, image, e, scratch.mask);
    view.mask = scratch.mask;
  }
  return view;
}

// Moves a view's pixels to where they may be changed.
uint8_t* writable(View& view, Extent e, AugmentScratch& scratch) {
  if (view.pixels != scratch.pixels)
    std::memcpy(scratch.pixels, view.pixels, static_cast<size_t>(e.values()));
  view.pixels = scratch.pixels;
  return scratch.pixels;
}

// No change outside of the foreground.
void keep_to(const uint8_t* foreground, Extent e, int16_t* noise) {
  for (int64_t i = 0; i < e.area(); i++) {
    for (int32_t c = 0; c < e.channels; c++) noise[i * e.channels + c] *= foreground[i] != 0;
  }
}

// Stage 1.
View supervise(const AugmentKernels& k, const FcddAugment& a, const Images& images, const Images& exposure,
               const SamplePlan& plan, Extent e, AugmentScratch& scratch) {
  const FcddImage& image = images.images[plan.image];
  if (plan.mode == FCDD_UNSUPERVISED) return view_of(images, image, e, scratch);
  const uint8_t* foreground = foreground_of(a.supervision, image, images.bytes);
  const Patch patch = checked_patch(a, plan, images.images, images.bytes, exposure.images);
  if (plan.exposure >= 0) {
    View other = view_of(exposure, exposure.images[plan.exposure], e, scratch);
    if (plan.mode == FCDD_NOISE) return other;
    for (int64_t i = 0; i < e.values(); i++) scratch.noise[i] = other.pixels[i];
  } else if (patch.donor < 0) {
    synthetic_noise(k, a.supervision, plan.anomaly, e, foreground, scratch);
  }
  View view = view_of(images, image, e, scratch);
  writable(view, e, scratch);
  if (patch.donor >= 0) {
    const Images& from = patch.apart ? exposure : images;
    patch_noise(patch, plan.anomaly, from.bytes + from.images[patch.donor].pixels, from.channels, e, scratch);
  }
  if (foreground != nullptr) keep_to(foreground, e, scratch.noise);
  apply_noise(k, a.supervision, e, scratch);
  return {scratch.pixels, plan.mode == FCDD_MALFORMED_GT ? scratch.mask : nullptr, 1};
}

// Stage 3 for one plane of `size` bytes per pixel: rows are copied whole where their columns are neighbours.
void place_plane(const FcddPipeline& p, const Placement& where, Extent e, int32_t size,
                 const int32_t* columns, bool contiguous, const uint8_t* from, uint8_t* to) {
  const size_t row_bytes = static_cast<size_t>(p.width) * static_cast<size_t>(size);
  for (int32_t y = 0; y < p.height; y++, to += row_bytes) {
    const int32_t row = source_row(where, e.height, y);
    if (row < 0) {
      std::memset(to, 0, row_bytes);
      continue;
    }
    const uint8_t* source = from + int64_t{row} * e.width * size;
    if (contiguous) {
      std::memcpy(to, source + int64_t{columns[0]} * size, row_bytes);
      continue;
    }
    for (int32_t x = 0; x < p.width; x++) {
      for (int32_t c = 0; c < size; c++) {
        to[x * size + c] = columns[x] < 0 ? 0 : source[int64_t{columns[x]} * size + c];
      }
    }
  }
}

// `swapped`: the mask's zeros and ones change places.
void place(const FcddPipeline& p, const Placement& where, const View& view, Extent e, int32_t* columns,
           bool swapped, uint8_t* bytes, uint8_t* mask) {
  bool contiguous = true;
  for (int32_t x = 0; x < p.width; x++) {
    columns[x] = source_column(where, p.width, e.width, x);
    contiguous = contiguous && columns[x] >= 0 && columns[x] == columns[0] + x;
  }
  place_plane(p, where, e, p.channels, columns, contiguous, view.pixels, bytes);
  if (mask == nullptr) return;
  const int64_t area = int64_t{p.height} * p.width;
  if (view.mask == nullptr) {
    std::memset(mask, (view.label != 0) != swapped, static_cast<size_t>(area));
    return;
  }
  place_plane(p, where, e, 1, columns, contiguous, view.mask, mask);
  for (int64_t i = 0; i < area; i++) mask[i] = (mask[i] != 0) != swapped;
}

ScratchLayout layout_of(const CpuDevice& device, const FcddAugment& a) {
  const bool replaces = replaces_by_exposure(a.supervision) && a.exposure.count > 0;
  return {a, images_of(device, a.images, "images").images,
          replaces ? images_of(device, a.exposure, "exposure").images : nullptr};
}

}  // namespace

uint64_t augment_workspace_bytes(const CpuDevice& device, const FcddAugment& a) {
  return layout_of(device, a).bytes() * static_cast<uint64_t>(device.threads);
}

void augment(CpuDevice& device, const FcddAugment& a) {
  check_augment(a);
  const FcddPipeline& p = a.pipeline;
  const AugmentKernels& k = kernels_of(device);
  const Images images = images_of(device, a.images, "images");
  const Images exposure = a.exposure.count > 0 ? images_of(device, a.exposure, "exposure") : images;
  const int32_t* order = at_or_null<int32_t>(device, a.order, a.order.bytes / sizeof(int32_t), "order");
  const ScratchLayout layout = layout_of(device, a);
  uint8_t* workspace =
      at<uint8_t>(device, a.workspace, layout.bytes() * static_cast<uint64_t>(device.threads), "workspace");
  const uint64_t n = static_cast<uint64_t>(a.batch);
  const uint64_t area = static_cast<uint64_t>(p.height) * static_cast<uint64_t>(p.width);
  const uint64_t values = area * static_cast<uint64_t>(p.channels);
  float* x = at_or_null<float>(device, a.x, n * values, "x");
  uint8_t* labels = at_or_null<uint8_t>(device, a.labels, n, "labels");
  uint8_t* masks = at_or_null<uint8_t>(device, a.masks, n * area, "masks");
  uint8_t* bytes = at_or_null<uint8_t>(device, a.bytes, n * values, "bytes");

  parallel(device.threads, a.batch, [&](int64_t index, int worker) {
    const uint64_t i = static_cast<uint64_t>(index);
    AugmentScratch scratch = layout.of_worker(workspace, worker);
    const SamplePlan plan =
        checked_plan(a, images.images, exposure.images, order, static_cast<int32_t>(index));
    const FcddImage& image = plan.own_size ? exposure.images[plan.exposure] : images.images[plan.image];
    const Extent e = {image.height, image.width, p.channels};
    View view = supervise(k, a, images, exposure, plan, e, scratch);
    if (p.jitter_first && plan.jitter.count > 0) {
      jitter(k, plan.jitter, writable(view, e, scratch), e.area(), p.channels);
    }
    uint8_t* placed = bytes != nullptr ? bytes + i * values : scratch.placed;
    const bool swapped = a.nominal_label != 0;
    uint8_t* mask = masks != nullptr ? masks + i * area : nullptr;
    place(p, plan.place, view, e, scratch.columns, swapped, placed, mask);
    if (!p.jitter_first) jitter(k, plan.jitter, placed, static_cast<int64_t>(area), p.channels);
    if (labels != nullptr) labels[i] = static_cast<uint8_t>(swapped ? view.label == 0 : view.label);
    if (x != nullptr) normalise(k, p, plan, placed, scratch, x + i * values);
  });
}

}  // namespace fcdd::cpu
