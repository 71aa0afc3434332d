// The table of steps of the cpu device: catches everything, so that nothing throws across the seam.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "cpu/device.h"
#include "cpu/isa.h"
#include "cpu/steps.h"
#include "cpu/threads.h"
#include "fcdd/device.h"

namespace fcdd::cpu {
namespace {

thread_local std::string last_failure;

CpuDevice& of(FcddDevice* device) {
  return *reinterpret_cast<CpuDevice*>(device);
}

FcddStatus status_of(const std::string& code) {
  if (code == "FCDD_INVALID_ARGUMENT") return FCDD_INVALID;
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
    last_failure = "out of memory";
    return FCDD_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    last_failure = error.what();
  } catch (...) {
    last_failure = "unknown failure";
  }
  return FCDD_FAILED;
}

FcddStatus open(const FcddDeviceOptions* options, FcddDevice** device) {
  return guarded([&] {
    require(device != nullptr, "expected a place for the device");
    *device = nullptr;
    const int threads = options != nullptr ? options->threads : 0;
    require(threads >= 0 && threads <= 1024, "expected 0 to 1024 threads");
    if (options != nullptr && options->index != 0) invalid("there is one cpu device: expected index 0");
    const int precision = options != nullptr ? options->precision : FCDD_PRECISION_DEFAULT;
    require(precision == FCDD_PRECISION_DEFAULT || precision == FCDD_PRECISION_FLOAT32 ||
                precision == FCDD_PRECISION_BF16,
            "the cpu device has no such precision: expected float32, bf16 or none");
    const char* forced = std::getenv("FCDD_CPU_ISA");
    if (forced == nullptr || *forced == '\0') forced = options != nullptr ? options->isa : nullptr;
    auto made = std::make_unique<CpuDevice>();
    made->isa = choose_isa(forced);
    const char* convolution = std::getenv("FCDD_CPU_CONV");
    made->direct_only = convolution != nullptr && std::strcmp(convolution, "direct") == 0;
    if (precision == FCDD_PRECISION_BF16) made->bf16 = bf16_of(*made->isa);
    made->threads = threads > 0 ? threads : default_threads();
    ensure_workers(made->threads);
    *device = reinterpret_cast<FcddDevice*>(made.release());
  });
}

void close(FcddDevice* device) {
  delete reinterpret_cast<CpuDevice*>(device);
}

FcddStatus info(FcddDevice* device, FcddDeviceInfo* out) {
  return guarded([&] {
    require(device != nullptr && out != nullptr, "expected a device and a place for its description");
    std::memset(out, 0, sizeof *out);
    std::snprintf(out->name, sizeof out->name, "cpu");
    std::snprintf(out->isa, sizeof out->isa, "%s%s%s", of(device).isa->name,
                  of(device).bf16 != nullptr ? "-bf16" : "", of(device).direct_only ? "-direct" : "");
    std::snprintf(out->detail, sizeof out->detail, "%s, %d thread%s", out->isa, of(device).threads,
                  of(device).threads == 1 ? "" : "s");
    out->real_bytes = sizeof(float);
    out->threads = of(device).threads;
  });
}

const char* last_error(FcddDevice*) {
  return last_failure.c_str();
}

FcddStatus reserve(FcddDevice* device, uint64_t bytes, uint64_t* arena) {
  return guarded([&] { *arena = of(device).memory.reserve(bytes); });
}

void release(FcddDevice* device, uint64_t arena) {
  of(device).memory.release(arena);
}

FcddStatus upload(FcddDevice* device, FcddBuffer to, const void* from) {
  return guarded([&] {
    char* data = at<char>(of(device), to, to.bytes, "the target");
    if (to.bytes > 0) std::memcpy(data, from, to.bytes);
  });
}

FcddStatus download(FcddDevice* device, void* to, FcddBuffer from) {
  return guarded([&] {
    const char* data = at<char>(of(device), from, from.bytes, "the source");
    if (from.bytes > 0) std::memcpy(to, data, from.bytes);
  });
}

FcddStatus fill(FcddDevice* device, FcddBuffer to, uint8_t byte) {
  return guarded([&] { std::memset(at<char>(of(device), to, to.bytes, "the target"), byte, to.bytes); });
}

FcddStatus copy(FcddDevice* device, FcddBuffer to, FcddBuffer from) {
  return guarded([&] {
    require(to.bytes == from.bytes, "copy: expected buffers of equal size");
    std::memmove(at<char>(of(device), to, to.bytes, "the target"),
                 at<char>(of(device), from, from.bytes, "the source"), to.bytes);
  });
}

FcddStatus synchronise(FcddDevice*) {
  return FCDD_OK;
}  // steps run at the call

// A step or a query of type void/uint64_t f(CpuDevice&, const Arguments&[, pass]) as a function of the table.
template <auto step, class Arguments>
FcddStatus run(FcddDevice* device, const Arguments* arguments) {
  return guarded([&] { step(of(device), *arguments); });
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
}  // namespace fcdd::cpu

const FcddDeviceTable* fcdd_cpu_table(void) {
  namespace cpu = fcdd::cpu;
  static const FcddDeviceTable table = {
      .abi = FCDD_DEVICE_ABI,
      .bytes = sizeof(FcddDeviceTable),
      .open = cpu::open,
      .close = cpu::close,
      .info = cpu::info,
      .last_error = cpu::last_error,
      .reserve = cpu::reserve,
      .reserve_store = cpu::reserve,
      .release = cpu::release,
      .upload = cpu::upload,
      .download = cpu::download,
      .fill = cpu::fill,
      .copy = cpu::copy,
      .synchronise = cpu::synchronise,
      .conv_packed_bytes = cpu::pass_bytes<cpu::conv_packed_bytes>,
      .conv_workspace_bytes = cpu::pass_bytes<cpu::conv_workspace_bytes>,
      .post_workspace_bytes = cpu::bytes<cpu::post_workspace_bytes, FcddPostProblem>,
      .upsample_workspace_bytes = cpu::bytes<cpu::upsample_workspace_bytes, FcddUpsampleProblem>,
      .augment_workspace_bytes = cpu::bytes<cpu::augment_workspace_bytes, FcddAugment>,
      .augment = cpu::run<cpu::augment, FcddAugment>,
      .conv_pack = cpu::run<cpu::conv_pack, FcddConvPack>,
      .conv_forward = cpu::run<cpu::conv_forward, FcddConvForward>,
      .conv_input_grad = cpu::run<cpu::conv_input_grad, FcddConvInputGrad>,
      .conv_weight_grad = cpu::run<cpu::conv_weight_grad, FcddConvWeightGrad>,
      .conv_fold = cpu::run<cpu::conv_fold, FcddConvFold>,
      .norm_stats = cpu::run<cpu::norm_stats, FcddNormStats>,
      .post_forward = cpu::run<cpu::post_forward, FcddPostForward>,
      .post_backward = cpu::run<cpu::post_backward, FcddPostBackward>,
      .loss = cpu::run<cpu::loss, FcddLoss>,
      .score = cpu::run<cpu::score, FcddScore>,
      .upsample = cpu::run<cpu::upsample, FcddUpsample>,
      .update = cpu::run<cpu::update, FcddUpdate>,
      .reshape = cpu::run<cpu::reshape, FcddShapeStep>,
      .nearest = cpu::run<cpu::nearest, FcddShapeStep>,
      .average_pool = cpu::run<cpu::average_pool, FcddShapeStep>,
      .sigmoid = cpu::run<cpu::sigmoid, FcddShapeStep>,
      .dropout = cpu::run<cpu::dropout, FcddDropout>,
      .objective_loss = cpu::run<cpu::objective_loss, FcddObjectiveLoss>,
      .channel_map = cpu::run<cpu::channel_map, FcddChannelMap>,
  };
  return &table;
}
