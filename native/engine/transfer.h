// Values between the host (double) and a device's working type. Every call waits for the device.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "engine/lower.h"
#include "engine/memory.h"
#include "fcdd/network.h"

namespace fcdd {

// The slot as a buffer of its arena; none when the slot is empty.
inline FcddBuffer at(const Arena& arena, const Slot& slot) {
  return arena.slice(slot.offset, slot.bytes);
}

// The first `bytes` of a buffer.
inline FcddBuffer head(FcddBuffer buffer, uint64_t bytes) {
  return {buffer.arena, buffer.offset, bytes};
}

inline void upload_bytes(const Device& device, FcddBuffer to, const void* from, uint64_t bytes) {
  if (bytes > 0) device.check(device.table().upload(device.handle(), head(to, bytes), from), "upload");
}

// From is float or double.
template <class From>
void upload_real(const Device& device, FcddBuffer to, const From* from, size_t count) {
  if (device.info().real_bytes == sizeof(From)) return upload_bytes(device, to, from, count * sizeof(From));
  using Real = std::conditional_t<std::is_same_v<From, double>, float, double>;
  std::vector<Real> converted(count);
  std::transform(from, from + count, converted.begin(), [](From v) { return static_cast<Real>(v); });
  upload_bytes(device, to, converted.data(), count * sizeof(Real));
}

template <class T>
std::vector<T> download(const Device& device, FcddBuffer from, size_t count) {
  std::vector<T> values(count);
  if (count > 0) {
    device.check(device.table().download(device.handle(), values.data(), head(from, count * sizeof(T))),
                 "download");
  }
  return values;
}

// `count` values of the device's working type as T (float or double).
template <class T>
std::vector<T> download_real(const Device& device, FcddBuffer from, size_t count) {
  if (device.info().real_bytes == sizeof(T)) return download<T>(device, from, count);
  if (device.info().real_bytes == sizeof(float)) {
    const std::vector<float> values = download<float>(device, from, count);
    return std::vector<T>(values.begin(), values.end());
  }
  const std::vector<double> values = download<double>(device, from, count);
  std::vector<T> narrow(count);
  std::transform(values.begin(), values.end(), narrow.begin(), [](double v) { return static_cast<T>(v); });
  return narrow;
}

// The centre of Deep SVDD: as many values as the network's output has. Throws FCDD_INVALID_ARGUMENT
// otherwise.
inline void upload_centre(const Device& device, Shape out, const std::vector<double>& centre, FcddBuffer to) {
  const size_t size = bytes_of(1, out, 1);
  if (centre.size() != size) {
    throw Error("FCDD_INVALID_ARGUMENT", "the centre needs one value for each of " + std::to_string(size) +
                                             " outputs, got " + std::to_string(centre.size()));
  }
  upload_real(device, to, centre.data(), centre.size());
}

inline void fill_zero(const Device& device, FcddBuffer buffer) {
  if (buffer.bytes > 0) device.check(device.table().fill(device.handle(), buffer, 0), "fill");
}

}  // namespace fcdd
