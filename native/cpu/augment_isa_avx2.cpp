// The loops of the input pipeline, built for avx2.
#include "cpu/kernels/augment.h"

FCDD_DEFINE_AUGMENT_TABLE(augment_avx2)
