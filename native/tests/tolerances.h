// All tolerances live in test/tolerances.json; CMake turns that file into constants so that C++ and
// TypeScript agree.
#pragma once
#include "tolerances_generated.h"
