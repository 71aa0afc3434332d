// Devices by name, their errors as exceptions, and reservations of their memory.
#include "engine/device_library.h"
#include "fcdd/network.h"

namespace fcdd {
namespace {

const FcddDeviceTable* table_of(const std::string& name) {
  if (name == "reference") return fcdd_reference_table();
  if (name == "cpu") return fcdd_cpu_table();
  if (is_library_device(name)) return library_table(name);
  throw Error("FCDD_NO_DEVICE", "there is no device '" + name + "': choose 'cpu', 'cuda' or 'reference'");
}

// The stable code that JavaScript sees.
const char* code_of(FcddStatus status) {
  switch (status) {
    case FCDD_INVALID:
      return "FCDD_INVALID_ARGUMENT";
    case FCDD_OUT_OF_MEMORY:
      return "FCDD_OUT_OF_MEMORY";
    default:
      return "FCDD_DEVICE";
  }
}

}  // namespace

std::shared_ptr<Device> Device::open(const std::string& name, const FcddDeviceOptions& options) {
  std::shared_ptr<Device> device(new Device);
  device->table_ = table_of(name);
  if (device->table_->abi != FCDD_DEVICE_ABI || device->table_->bytes != sizeof(FcddDeviceTable)) {
    throw Error("FCDD_NO_DEVICE", "the device '" + name + "' was built for another version of this package");
  }
  const FcddStatus status = device->table_->open(&options, &device->handle_);
  if (status != FCDD_OK) {
    device->handle_ = nullptr;
    throw Error(status == FCDD_INVALID ? "FCDD_INVALID_ARGUMENT" : "FCDD_NO_DEVICE",
                "cannot open the device '" + name + "': " + device->table_->last_error(nullptr));
  }
  device->check(device->table_->info(device->handle_, &device->info_), "info");
  // FCDD_CUDA_LIBRARY may name any library: an emulated device must never pass for a GPU.
  if (name != device->info_.name) {
    throw Error("FCDD_NO_DEVICE",
                "the library of the device '" + name + "' is one of the device '" + device->info_.name + "'");
  }
  return device;
}

Device::~Device() {
  if (handle_ != nullptr) table_->close(handle_);
}

void Device::check(FcddStatus status, const char* what) const {
  if (status == FCDD_OK) return;
  const char* text = table_->last_error(handle_);
  throw Error(code_of(status),
              std::string(what) + " on device '" + info_.name + "': " + (text ? text : "failed"));
}

Arena::Arena(std::shared_ptr<Device> device, uint64_t bytes, ArenaUse use)
    : device_(std::move(device)), bytes_(bytes) {
  const FcddDeviceTable& table = device_->table();
  const auto reserve = use == ArenaUse::Store ? table.reserve_store : table.reserve;
  device_->check(reserve(device_->handle(), bytes, &id_), "reserving memory");
}

Arena::~Arena() {
  device_->table().release(device_->handle(), id_);
}

FcddBuffer Arena::slice(uint64_t offset, uint64_t bytes) const {
  if (bytes == 0) return {0, 0, 0};
  if (offset > bytes_ || bytes > bytes_ - offset) {
    throw Error("FCDD_INVALID_ARGUMENT", "a slice leaves its arena");
  }
  return {id_, offset, bytes};
}

}  // namespace fcdd
