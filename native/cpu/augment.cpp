#include "cpu/steps.h"

namespace fcdd::cpu {

uint64_t augment_workspace_bytes(const CpuDevice&, const FcddAugment&) {
  return 0;
}
void augment(CpuDevice&, const FcddAugment&) {
  invalid("augment: not built");
}

}  // namespace fcdd::cpu
