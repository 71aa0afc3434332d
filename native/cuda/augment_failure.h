// What a wait says when a sample could not be made (CudaDevice::failure): the plan is made on the device, so
// the host learns of it afterwards.
#pragma once

#include <string>

namespace fcdd::cuda {

inline std::string augment_failure(int32_t position) {
  return "augment: sample " + std::to_string(position) +
         " of a batch cannot be made: its order has no index of 0 or more, or its image leaves the store, or "
         "the crop "
         "is larger than the resized and padded image (resize the images or make the network's input "
         "smaller), or the "
         "workspace was made for smaller images";
}

}  // namespace fcdd::cuda
