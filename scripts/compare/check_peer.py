#!/usr/bin/env python3
"""Checks the peer itself against facts that do not come from it: receptive fields, ranges of the upsampled map, confetti.

Prints nothing and exits 0 when all hold. The numbers are receptive-field arithmetic and properties of the published
method (Liznerski et al., ICLR 2021, and its reference code).
"""

import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fcdd_torch as fcdd  # noqa: E402
from confetti import LAYERS, centre_count, confetti  # noqa: E402

# Architecture: (jump, extent, start) of the receptive field.
FIELDS = {
    "cnn28": (4, 16, 1.5),
    "cnn28-w": (4, 16, 1.5),
    "cnn32": (4, 32, 1.5),
    "cnn32-s": (4, 18, 1.5),
    "cnn32-lw3k": (4, 22, 1.5),
    "cnn224": (8, 59, 0.0),
    "vgg11-nopt": (8, 62, 3.5),
}
# (architecture, input, sigma): range of the upsampled map in the interior when A is 1 everywhere.
RANGES = {
    ("vgg11-nopt", 224, 12.0): (3.63, 3.72),
    ("vgg11-nopt", 224, 8.0): (1.72, 1.74),
    ("cnn28", 28, 1.2): (0.229, 0.274),
    ("cnn224", 224, 12.0): (13.6, 14.0),
}
# Mean number of squares of each confetti layer in a picture of 240 x 240, given at least one.
MEAN_SQUARES = (1.61, 1.39)


def check_fields():
    for name, expected in FIELDS.items():
        found = fcdd.receptive_field(name)
        assert found == expected, f"{name}: expected {expected}, found {found}"


def check_upsampling():
    for (name, size, sigma), (low, high) in RANGES.items():
        field = fcdd.receptive_field(name)
        ones = torch.ones(1, 1, size // field[0], size // field[0], dtype=torch.float64)
        full = fcdd.gaussian_upsample(ones, (size, size), field, sigma)
        fast = fcdd.gaussian_upsample_separable(ones, (size, size), field, sigma)
        assert torch.allclose(full, fast, rtol=1e-12, atol=1e-12), f"{name}: the two forms of upsampling differ"
        interior = full[..., size // 2 - 8 : size // 2 + 8, size // 2 - 8 : size // 2 + 8]
        found = interior.min().item(), interior.max().item()
        close = abs(found[0] - low) < 0.006 * high and abs(found[1] - high) < 0.006 * high
        assert close, f"{name} sigma {sigma}: expected {low} to {high}, found {found}"


def check_confetti():
    generator = np.random.default_rng(0)
    for (probability, _, _), expected in zip(LAYERS, MEAN_SQUARES):
        mean = np.mean([centre_count(240 * 240, probability, generator) for _ in range(20000)])
        assert abs(mean - expected) < 0.02, f"confetti: expected {expected} squares, found {mean}"
    grey = np.full((240, 240), 200, np.uint8)
    noise = np.stack([confetti(grey, generator) for _ in range(50)])
    assert noise.min() >= -512 and noise.max() <= 0, "confetti darkens a bright picture"
    black = confetti(np.zeros((240, 240), np.uint8), generator)
    assert black.min() >= 0 and black.max() > 0, "confetti on black is inverted"


if __name__ == "__main__":
    check_fields()
    check_upsampling()
    check_confetti()
