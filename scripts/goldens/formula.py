"""Values that Python and TypeScript compute alike, so that golden files need not store inputs and weights.

value(name, i) = 2 (h + 1/2) / 2^32 - 1 in (-1, 1), h = mix((fnv1a(name) + i * 0x9E3779B9) mod 2^32).
test/golden/README.md states it exactly; test/golden/formula.ts is the other side.
"""

import numpy as np

GOLDEN_RATIO = 0x9E3779B9
MASK = 0xFFFFFFFF


def fnv1a(name):
    """32-bit FNV-1a of the UTF-8 bytes."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & MASK
    return h


def mix(h):
    """The 32-bit finaliser 'lowbias32', on a uint64 array holding 32-bit values."""
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(0x7FEB352D)) & np.uint64(MASK)
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(0x846CA68B)) & np.uint64(MASK)
    return h ^ (h >> np.uint64(16))


def values(name, count):
    """value(name, 0..count-1) as float64."""
    index = np.arange(count, dtype=np.uint64)
    h = mix((np.uint64(fnv1a(name)) + index * np.uint64(GOLDEN_RATIO)) & np.uint64(MASK))
    return 2 * (h.astype(np.float64) + 0.5) / 2.0**32 - 1


def tensor(name, shape, scale=1.0):
    """scale * values(name) in row-major order of `shape`."""
    return scale * values(name, int(np.prod(shape))).reshape(shape)
