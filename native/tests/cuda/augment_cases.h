// Cases of the input pipeline, run through a device's table.
#pragma once

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "augment_harness.h"
#include "cuda_harness.h"

namespace fcdd::test {

// A case in a device's memory, with every output full of NaN or 255.
FcddAugment prepared(Bench& bench, const AugmentCase& c);

struct Result {
  std::vector<double> x, labels, masks, bytes;
  bool operator==(const Result& other) const {
    return x.size() == other.x.size() &&
           std::memcmp(x.data(), other.x.data(), x.size() * sizeof(double)) == 0 && labels == other.labels &&
           masks == other.masks && bytes == other.bytes;
  }
};

Result results(const Bench& bench, const FcddAugment& a);
Result run(const FcddDeviceTable* table, const AugmentCase& c);

void check_that(bool ok, const std::string& label, const std::string& what);

// Bytes, labels and masks equal to reference's, x within augmentFloat32, and the same bits in `orders` of the
// harness's orders of threads, others for every case.
void check_augment_case(const std::string& label, const AugmentCase& c, size_t orders = 2);

AugmentCase case_of(const FcddPipeline& pipeline, StoreData images, int mode, int source, uint64_t seed);
AugmentCase random_case(std::mt19937& random);
int ramp(int y, int x, int c);

}  // namespace fcdd::test
