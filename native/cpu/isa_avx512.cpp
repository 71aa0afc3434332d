#include "cpu/kernels/table.h"

FCDD_DEFINE_ISA_TABLE(isa_avx512, "avx512")
