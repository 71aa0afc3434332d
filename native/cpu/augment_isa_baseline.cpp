// The loops of the input pipeline, built for baseline.
#include "cpu/kernels/augment.h"

FCDD_DEFINE_AUGMENT_TABLE(augment_baseline)
