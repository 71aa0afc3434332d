// Devices that come in shared libraries of their own, loaded at run time: "cuda", and "cuda-emulated", which
// is the same kernels compiled for the host, for tests only.
//
// Guarantees: a library is loaded once and stays for the life of the process (its threads and driver do not
// survive an unloading); one that was built for another version of this package is refused; nothing is loaded
// before a device of that name is asked for. Safe to call from any thread.
#pragma once

#include <string>
#include <vector>

#include "fcdd/device.h"

namespace fcdd {

bool is_library_device(const std::string& name);
std::vector<std::string> library_devices();

// The file that is loaded for a device: the one FCDD_CUDA_LIBRARY names, else the one beside this addon or
// program.
std::string library_path(const std::string& name);

// The device's table. Throws FCDD_NO_DEVICE with what is missing, and after "\nhint: " what to do about it.
const FcddDeviceTable* library_table(const std::string& name);

// What the library says of itself, its driver and its GPUs (JSON, see native/cuda/facts.h); empty when it
// says nothing. Throws like library_table.
std::string library_facts(const std::string& name);

}  // namespace fcdd
