// A view of device memory, opaque to the engine.
#ifndef FCDD_BUFFER_H
#define FCDD_BUFFER_H

#include <stdint.h>

// A piece of device memory. arena 0 means "none". offset and bytes are in bytes; the engine aligns offsets
// to 64.
typedef struct FcddBuffer {
  uint64_t arena;
  uint64_t offset;
  uint64_t bytes;
} FcddBuffer;

#endif
