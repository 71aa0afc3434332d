// The input pipeline as data: bytes in a store -> a normalised training (or test) batch, on the device.
//
// Order of the stages, per sample (docs/input-pipeline.md; everything up to `bytes` is uint8 and bit-equal
// on every device, because every decision and every draw is an integer from Philox4x32-10, see draws.h):
//   1. supervision   the stored image is kept, replaced by an anomaly, or has noise added, at its stored size
//   and with
//                    the network's channels: grey is ITU-R 601, three channels from one are equal. An
//                    exposure image that replaces the sample keeps its own size if the crop fits into it;
//                    otherwise it is resized to the sample's, nearest. Label and mask of an exposure image
//                    that replaces a sample are those of the exposure store; of all other anomalies the label
//                    is 1. With `on_object` nothing outside of an image's foreground changes
//   2. jitter        here if `jitter_first`
//   3. space         resize (nearest), pad with zeros, crop, flip: image and mask alike
//   4. jitter        here otherwise
//   5. noise         in [0,1], optionally relative to the image's own standard deviation, optionally clamped
//   6. LCN           subtract the sample's mean, divide by its mean absolute value (1 if 0)
//   7. affine        (x - offset[c]) / scale[c]: min-max after LCN, or mean/std
// Last of all labels and masks are swapped if `nominal_label` is 1: what is trained on is then pushed up
// (FCDD on Pascal VOC), and stores, sources and modes keep their meaning.
#ifndef FCDD_AUGMENT_H
#define FCDD_AUGMENT_H

#include <stdint.h>

#include "fcdd/buffer.h"

// One image of a store. Pixels are height x width x channels bytes, interleaved; the mask height x width
// bytes, 0 or 1.
typedef struct FcddImage {
  uint64_t pixels;  // offset in the store's bytes
  uint64_t mask;    // offset, or FCDD_NO_MASK: the label everywhere, padding included
  int32_t height, width;
  int32_t label;  // 0 normal, 1 anomalous; for FCDD_OBJECTIVE_CLASSIFY the class, up to 255
  int32_t pad_;
  uint64_t foreground;  // offset of height x width bytes, 1 where the object is, or FCDD_NO_MASK: everywhere.
                        // Read only by supervision with `on_object`
} FcddImage;
#define FCDD_NO_MASK UINT64_MAX

typedef struct FcddStore {
  FcddBuffer bytes;   // uint8
  FcddBuffer images;  // FcddImage[count]
  int32_t count;
  int32_t channels;  // 1 or 3, the same for all images of a store
} FcddStore;

typedef struct FcddJitter {
  double brightness, contrast, saturation,
      hue;  // as torchvision's ColorJitter, random order, 8-bit after each
} FcddJitter;

typedef struct FcddPipeline {
  int32_t height, width;  // of the network's input
  int32_t channels;
  int32_t resize_height, resize_width;  // nearest (PIL: floor((i+0.5) in/out)) before the crop; 0: keep
  int32_t pad;                          // zeros on each side before the crop
  int32_t random_crop;                  // 0: centre crop, as torchvision (half the margin, rounded to even)
  int32_t or_resize;     // with probability 1/2 no crop: nearest resize of the stored image to height x width
  int32_t flip;          // horizontally with probability 1/2
  int32_t jitter_count;  // one of `jitter`, equally likely; 0: none
  int32_t jitter_first;  // before the spatial stage
  int32_t
      noise_relative;   // noise_sigma is in units of the image's standard deviation (all channels and pixels)
  int32_t noise_clamp;  // clamp to [0,1] afterwards
  int32_t lcn;          // L1 local contrast normalisation
  FcddJitter jitter[2];
  double noise_probability;    // of adding N(0, noise_sigma^2) per value
  double noise_sigma;          // 0: none
  double offset[3], scale[3];  // the affine stage
} FcddPipeline;

enum FcddSupervisionMode {
  FCDD_UNSUPERVISED = 0,
  FCDD_NOISE = 1,         // replaced by an image of the source ("noise" and "other")
  FCDD_MALFORMED = 2,     // sample + noise, clamped to 0..255, mask all 1
  FCDD_MALFORMED_GT = 3,  // the same, mask = pixels that changed in any channel
};

enum FcddNoiseSource {
  FCDD_CONFETTI = 0,
  FCDD_GAUSSIAN = 1,
  FCDD_UNIFORM = 2,
  FCDD_SOLID = 3,
  FCDD_BLOB = 4,
  FCDD_MIXED_BLOB = 5,
  FCDD_EXPOSURE = 6,  // an image drawn uniformly, with replacement, from the exposure store
  // These change an image and are none of their own, so they go with the two MALFORMED modes
  // (fcdd/patches.h).
  FCDD_CUT_PASTE = 7,  // a rectangle of this or another image of the store, pasted elsewhere
  FCDD_TEXTURE = 8,    // an image of the exposure store, or of the store where there is none, blended in
                       // through a smooth random mask
};

typedef struct FcddSupervision {
  int32_t mode;        // FcddSupervisionMode
  int32_t source;      // FcddNoiseSource
  int32_t offline;     // anomalies drawn once: positions >= the number of normal ones are anomalies,
                       // epoch-independent
  int32_t grey;        // one value for all channels: colour would give an anomaly away among grey images
  double probability;  // of replacement when online; 0.5 in the paper
  int32_t on_object;   // malformed modes: only pixels of an image's foreground change
} FcddSupervision;

// One batch. Sample i of the batch stands at position first+i of the epoch; order[first+i] is its index in
// the epoch's list: index modulo images.count is the image (MVTec repeats its list ten times). Offline, an
// index
// >= normals is the anomaly made of image (index - normals) modulo images.count.
typedef struct FcddAugment {
  FcddPipeline pipeline;
  FcddSupervision supervision;
  FcddStore images;
  FcddStore exposure;  // count 0: none
  FcddBuffer order;    // (opt) int32; none: the identity
  uint64_t seed;
  uint32_t epoch;  // key of the draws
  uint32_t first;
  int32_t batch;
  int32_t nominal_label;  // of what the stores call normal: 0, or 1 to swap every label and mask
  int64_t normals;        // offline only
  FcddBuffer x;           // (opt) real, N x H x W x C
  FcddBuffer labels;      // (opt) uint8, N
  FcddBuffer masks;       // (opt) uint8, N x H x W
  FcddBuffer bytes;       // (opt) uint8, N x H x W x C: the image after stage 4
  FcddBuffer workspace;
} FcddAugment;

#endif
