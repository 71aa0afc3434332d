// The `reference` device behind the table of device.h: statuses instead of exceptions, steps run at the call.
#include <cstring>
#include <new>

#include "reference/steps.h"

struct FcddDevice {
  fcdd::reference::ReferenceDevice device;
};

namespace fcdd::reference {
namespace {

thread_local std::string last_error;

FcddStatus status_of(const Error& error) {
  if (error.code == "FCDD_INVALID_ARGUMENT") return FCDD_INVALID;
  if (error.code == "FCDD_OUT_OF_MEMORY") return FCDD_OUT_OF_MEMORY;
  if (error.code == "FCDD_UNSUPPORTED") return FCDD_UNSUPPORTED;
  return FCDD_FAILED;
}

// Runs `body`; whatever it throws becomes a status and the text of last_error.
template <class Body>
FcddStatus guarded(Body body) {
  try {
    body();
    return FCDD_OK;
  } catch (const Error& error) {
    last_error = error.what();
    return status_of(error);
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";
    return FCDD_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    last_error = error.what();
    return FCDD_FAILED;
  }
}

// A step of steps.h as an entry of the table.
template <class Arguments, void (*Step)(ReferenceDevice&, const Arguments&)>
FcddStatus run(FcddDevice* device, const Arguments* arguments) {
  return guarded([&] { Step(device->device, *arguments); });
}

FcddStatus open(const FcddDeviceOptions* options, FcddDevice** device) {
  return guarded([&] {
    if (options != nullptr && options->precision != FCDD_PRECISION_DEFAULT) {
      throw Error("FCDD_INVALID_ARGUMENT", "this device computes in float64: expected no precision");
    }
    *device = new FcddDevice;
  });
}

void close(FcddDevice* device) {
  delete device;
}

FcddStatus info(FcddDevice*, FcddDeviceInfo* info) {
  *info = {};
  std::strcpy(info->name, "reference");
  std::strcpy(info->detail, "float64, 1 thread");
  std::strcpy(info->isa, "float64");
  info->real_bytes = sizeof(double);
  info->threads = 1;
  return FCDD_OK;
}

const char* error_text(FcddDevice*) {
  return last_error.c_str();
}

FcddStatus reserve(FcddDevice* device, uint64_t bytes, uint64_t* arena) {
  return guarded([&] { *arena = device->device.memory.reserve(bytes); });
}

void release(FcddDevice* device, uint64_t arena) {
  device->device.memory.release(arena);
}

FcddStatus upload(FcddDevice* device, FcddBuffer to, const void* from) {
  return guarded([&] {
    uint8_t* data = device->device.need<uint8_t>(to, to.bytes, "to");
    if (to.bytes > 0) std::memcpy(data, from, to.bytes);
  });
}

FcddStatus download(FcddDevice* device, void* to, FcddBuffer from) {
  return guarded([&] {
    const uint8_t* data = device->device.need<uint8_t>(from, from.bytes, "from");
    if (from.bytes > 0) std::memcpy(to, data, from.bytes);
  });
}

FcddStatus fill(FcddDevice* device, FcddBuffer to, uint8_t byte) {
  return guarded([&] { std::memset(device->device.need<uint8_t>(to, to.bytes, "to"), byte, to.bytes); });
}

FcddStatus copy(FcddDevice* device, FcddBuffer to, FcddBuffer from) {
  return guarded([&] {
    uint8_t* target = device->device.need<uint8_t>(to, from.bytes, "to");
    std::memmove(target, device->device.need<uint8_t>(from, from.bytes, "from"), from.bytes);
  });
}

FcddStatus synchronise(FcddDevice*) {
  return FCDD_OK;
}

constexpr FcddDeviceTable kTable = {
    .abi = FCDD_DEVICE_ABI,
    .bytes = sizeof(FcddDeviceTable),
    .open = open,
    .close = close,
    .info = info,
    .last_error = error_text,
    .reserve = reserve,
    .reserve_store = reserve,
    .release = release,
    .upload = upload,
    .download = download,
    .fill = fill,
    .copy = copy,
    .synchronise = synchronise,
    .conv_packed_bytes = [](FcddDevice*, const FcddConvProblem* p, int32_t) { return conv_packed_bytes(*p); },
    .conv_workspace_bytes = [](FcddDevice*, const FcddConvProblem* p,
                               int32_t pass) { return conv_workspace_bytes(*p, pass); },
    .post_workspace_bytes = [](FcddDevice*, const FcddPostProblem* p) { return post_workspace_bytes(*p); },
    .upsample_workspace_bytes = [](FcddDevice*,
                                   const FcddUpsampleProblem* p) { return upsample_workspace_bytes(*p); },
    .augment_workspace_bytes =
        [](FcddDevice* device, const FcddAugment* a) {
          uint64_t bytes = 0;  // stays 0 when the arguments are wrong; `augment` then says what is
          guarded([&] { bytes = augment_workspace_bytes(device->device, *a); });
          return bytes;
        },
    .augment = run<FcddAugment, augment>,
    .conv_pack = run<FcddConvPack, conv_pack>,
    .conv_forward = run<FcddConvForward, conv_forward>,
    .conv_input_grad = run<FcddConvInputGrad, conv_input_grad>,
    .conv_weight_grad = run<FcddConvWeightGrad, conv_weight_grad>,
    .conv_fold = run<FcddConvFold, conv_fold>,
    .norm_stats = run<FcddNormStats, norm_stats>,
    .post_forward = run<FcddPostForward, post_forward>,
    .post_backward = run<FcddPostBackward, post_backward>,
    .loss = run<FcddLoss, loss>,
    .score = run<FcddScore, score>,
    .upsample = run<FcddUpsample, upsample>,
    .update = run<FcddUpdate, update>,
    .reshape = run<FcddShapeStep, reshape>,
    .nearest = run<FcddShapeStep, nearest>,
    .average_pool = run<FcddShapeStep, average_pool>,
    .sigmoid = run<FcddShapeStep, sigmoid>,
    .dropout = run<FcddDropout, dropout>,
    .objective_loss = run<FcddObjectiveLoss, objective_loss>,
    .channel_map = run<FcddChannelMap, channel_map>,
};

}  // namespace
}  // namespace fcdd::reference

const FcddDeviceTable* fcdd_reference_table(void) {
  return &fcdd::reference::kTable;
}
