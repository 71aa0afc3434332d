// The table of steps of the cuda device: catches everything, so that nothing throws across the seam.
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "cuda/device.h"
#include "cuda/steps.h"
#include "fcdd/device.h"

namespace fcdd::cuda {
namespace {

#if defined(__CUDACC__)
constexpr const char* kName = "cuda";
#else
constexpr const char* kName = "cuda-emulated";
#endif

thread_local std::string last_failure;

CudaDevice& of(FcddDevice* device) {
  return *reinterpret_cast<CudaDevice*>(device);
}

FcddStatus status_of(const std::string& code) {
  if (code == "FCDD_INVALID_ARGUMENT") return FCDD_INVALID;
  if (code == "FCDD_UNSUPPORTED") return FCDD_UNSUPPORTED;
  return code == "FCDD_OUT_OF_MEMORY" ? FCDD_OUT_OF_MEMORY : FCDD_FAILED;
}

template <class F>
FcddStatus guarded(F&& body) {
  try {
    body();
    return FCDD_OK;
  } catch (const Error& error) {
    last_failure = error.what();
    return status_of(error.code);
  } catch (const std::bad_alloc&) {
    last_failure = "out of host memory";
    return FCDD_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    last_failure = error.what();
  } catch (...) {
    last_failure = "unknown failure";
  }
  return FCDD_FAILED;
}

// Which GPU a call means is state of the calling thread: said anew at each call.
template <class F>
FcddStatus on(FcddDevice* device, F&& body) {
  return guarded([&] {
    require(device != nullptr, "expected a device");
    use_device(of(device).index);
    body(of(device));
  });
}

FcddStatus open(const FcddDeviceOptions* options, FcddDevice** device) {
  return guarded([&] {
    require(device != nullptr, "expected a place for the device");
    *device = nullptr;
    const int index = options != nullptr ? options->index : 0;
    const int32_t precision = options != nullptr ? options->precision : FCDD_PRECISION_DEFAULT;
    *device = reinterpret_cast<FcddDevice*>(open_device(index, precision).release());
  });
}

void close(FcddDevice* device) {
  if (device == nullptr) return;
  on(device, [](CudaDevice& d) {
    synchronise(d.stream, "close");
  });  // a failure of earlier steps does not matter now
  close_device(of(device));
  delete &of(device);
}

FcddStatus info(FcddDevice* device, FcddDeviceInfo* out) {
  return guarded([&] {
    require(device != nullptr && out != nullptr, "expected a device and a place for its description");
    const CudaDevice& d = of(device);
    std::memset(out, 0, sizeof *out);
    std::snprintf(out->name, sizeof out->name, "%s", kName);
    std::snprintf(out->detail, sizeof out->detail, "%s, sm_%d, %s", d.facts.name.c_str(),
                  d.facts.architecture, name_of(d.precision));
    std::snprintf(out->isa, sizeof out->isa, "%s-sm%d-%s", kName, d.facts.architecture, name_of(d.precision));
    out->real_bytes = sizeof(float);
    out->threads = 1;
  });
}

const char* last_error(FcddDevice*) {
  return last_failure.c_str();
}

FcddStatus reserve(FcddDevice* device, uint64_t bytes, uint64_t* arena) {
  return on(device, [&](CudaDevice& d) { *arena = d.memory.reserve(bytes); });
}

FcddStatus reserve_store(FcddDevice* device, uint64_t bytes, uint64_t* arena) {
  return on(device, [&](CudaDevice& d) { *arena = d.memory.reserve_store(bytes); });
}

void release(FcddDevice* device, uint64_t arena) {
  // Steps under way may still read it; what they did wrong is told by the next wait that reports.
  on(device, [&](CudaDevice& d) { synchronise(d.stream, "release"); });
  on(device, [&](CudaDevice& d) { d.memory.release(arena); });
}

FcddStatus upload(FcddDevice* device, FcddBuffer to, const void* from) {
  return on(device, [&](CudaDevice& d) {
    char* data = at<char>(d, to, to.bytes, "the target");
    if (to.bytes > 0) copy_to_device(d.stream, data, from, to.bytes);
  });
}

FcddStatus download(FcddDevice* device, void* to, FcddBuffer from) {
  return on(device, [&](CudaDevice& d) {
    const char* data = at<char>(d, from, from.bytes, "the source");
    wait(d, "download");
    if (from.bytes > 0) copy_to_host(d.stream, to, data, from.bytes);
  });
}

FcddStatus fill(FcddDevice* device, FcddBuffer to, uint8_t byte) {
  return on(device, [&](CudaDevice& d) {
    char* data = at<char>(d, to, to.bytes, "the target");
    if (to.bytes > 0) fill_bytes(d.stream, data, byte, to.bytes);
  });
}

FcddStatus copy(FcddDevice* device, FcddBuffer to, FcddBuffer from) {
  return on(device, [&](CudaDevice& d) {
    require(to.bytes == from.bytes, "copy: expected buffers of equal size");
    char* target = at<char>(d, to, to.bytes, "the target");
    const char* source = at<char>(d, from, from.bytes, "the source");
    if (to.bytes > 0) copy_on_device(d.stream, target, source, to.bytes);
  });
}

FcddStatus synchronise_all(FcddDevice* device) {
  return on(device, [](CudaDevice& d) { wait(d, "synchronise"); });
}

// A step or a query of type void/uint64_t f(CudaDevice&, const Arguments&[, pass]) as a function of the
// table.
template <auto step, class Arguments>
FcddStatus run(FcddDevice* device, const Arguments* arguments) {
  return on(device, [&](CudaDevice& d) { step(d, *arguments); });
}

// The steps of the paper's baselines: this device has none of them, and the engine says so before it plans
// one.
template <class Arguments>
FcddStatus declined(FcddDevice*, const Arguments*) {
  last_failure = "this step runs on cpu and reference only";
  return FCDD_UNSUPPORTED;
}

// Queries cannot fail: an impossible problem needs no memory, and the step itself refuses it.
template <auto query, class Problem>
uint64_t bytes(FcddDevice* device, const Problem* problem) {
  uint64_t answer = 0;
  guarded([&] { answer = query(of(device), *problem); });
  return answer;
}

template <auto query>
uint64_t pass_bytes(FcddDevice* device, const FcddConvProblem* problem, int32_t pass) {
  uint64_t answer = 0;
  guarded([&] { answer = query(of(device), *problem, pass); });
  return answer;
}

}  // namespace
}  // namespace fcdd::cuda

extern "C" __attribute__((visibility("default"))) const FcddDeviceTable* fcdd_cuda_table(void) {
  namespace cuda = fcdd::cuda;
  static const FcddDeviceTable table = {
      .abi = FCDD_DEVICE_ABI,
      .bytes = sizeof(FcddDeviceTable),
      .open = cuda::open,
      .close = cuda::close,
      .info = cuda::info,
      .last_error = cuda::last_error,
      .reserve = cuda::reserve,
      .reserve_store = cuda::reserve_store,
      .release = cuda::release,
      .upload = cuda::upload,
      .download = cuda::download,
      .fill = cuda::fill,
      .copy = cuda::copy,
      .synchronise = cuda::synchronise_all,
      .conv_packed_bytes = cuda::pass_bytes<cuda::conv_packed_bytes>,
      .conv_workspace_bytes = cuda::pass_bytes<cuda::conv_workspace_bytes>,
      .post_workspace_bytes = cuda::bytes<cuda::post_workspace_bytes, FcddPostProblem>,
      .upsample_workspace_bytes = cuda::bytes<cuda::upsample_workspace_bytes, FcddUpsampleProblem>,
      .augment_workspace_bytes = cuda::bytes<cuda::augment_workspace_bytes, FcddAugment>,
      .augment = cuda::run<cuda::augment, FcddAugment>,
      .conv_pack = cuda::run<cuda::conv_pack, FcddConvPack>,
      .conv_forward = cuda::run<cuda::conv_forward, FcddConvForward>,
      .conv_input_grad = cuda::run<cuda::conv_input_grad, FcddConvInputGrad>,
      .conv_weight_grad = cuda::run<cuda::conv_weight_grad, FcddConvWeightGrad>,
      .conv_fold = cuda::run<cuda::conv_fold, FcddConvFold>,
      .norm_stats = cuda::run<cuda::norm_stats, FcddNormStats>,
      .post_forward = cuda::run<cuda::post_forward, FcddPostForward>,
      .post_backward = cuda::run<cuda::post_backward, FcddPostBackward>,
      .loss = cuda::run<cuda::loss, FcddLoss>,
      .score = cuda::run<cuda::score, FcddScore>,
      .upsample = cuda::run<cuda::upsample, FcddUpsample>,
      .update = cuda::run<cuda::update, FcddUpdate>,
      .reshape = cuda::declined<FcddShapeStep>,
      .nearest = cuda::declined<FcddShapeStep>,
      .average_pool = cuda::declined<FcddShapeStep>,
      .sigmoid = cuda::declined<FcddShapeStep>,
      .dropout = cuda::declined<FcddDropout>,
      .objective_loss = cuda::declined<FcddObjectiveLoss>,
      .channel_map = cuda::declined<FcddChannelMap>,
  };
  return &table;
}
