// The loops of the input pipeline, built for avx512.
#include "cpu/kernels/augment.h"

FCDD_DEFINE_AUGMENT_TABLE(augment_avx512)
