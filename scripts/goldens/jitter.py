#!/usr/bin/env python3
"""Writes native/tests/golden_jitter.h: what Pillow makes of small images, for the exact 8-bit arithmetic of
native/include/fcdd/pil.h. Needs Pillow and numpy. Run: python3 scripts/goldens/jitter.py

The operations are those that torchvision's ColorJitter applies to PIL images (functional_pil): ImageEnhance for
brightness, contrast and saturation, and a rotation of the H channel for hue. Images come from a formula.
"""

from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageEnhance

TARGET = Path(__file__).resolve().parents[2] / "native" / "tests" / "golden_jitter.h"
HEIGHT, WIDTH = 9, 11
OPERATIONS = ("brightness", "contrast", "saturation", "hue")


def picture(channels):
    """Value of pixel i, channel c: a formula with dark, bright, grey and saturated pixels."""
    i = np.arange(HEIGHT * WIDTH)[:, None]
    c = np.arange(channels)[None, :]
    values = (i * 37 + c * (i % 7) * 53 + i * i * c) % 256
    return values.astype(np.uint8).reshape(HEIGHT, WIDTH, channels)


def to_image(pixels):
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])


def adjust_hue(image, factor):
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    shifted = np.array(h, dtype=np.uint8) + np.array(int(factor * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(shifted.astype(np.uint8)), s, v)).convert("RGB")


def adjust(image, operation, factor):
    if operation == "hue":
        return adjust_hue(image, factor)
    enhancer = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}
    return enhancer[operation](image).enhance(factor)


def cases():
    """(channels, [(operation, factor), ...]): each operation alone, then all four in several orders."""
    alone = {"brightness": (0.5, 0.9601, 1.0, 1.04, 1.9), "contrast": (0.3, 0.96, 1.0399, 2.5)}
    alone["saturation"] = (0.0, 0.9967, 1.04, 1.8)
    alone["hue"] = (-0.5, -0.04, -0.0005, 0.0, 0.0101, 0.04, 0.37, 0.5)
    for channels in (3, 1):
        for operation, factors in alone.items():
            for factor in factors:
                yield channels, [(operation, factor)]
    factor = {"brightness": 1.031, "contrast": 0.972, "saturation": 1.0171, "hue": -0.0357}
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)):
        yield 3, [(OPERATIONS[k], factor[OPERATIONS[k]]) for k in order]


def every_colour(shift):
    """A checksum of RGB -> HSV -> hue + shift -> RGB over all 2^24 colours."""
    i = np.arange(1 << 24, dtype=np.uint64)
    rgb = np.stack([i >> np.uint64(16), (i >> np.uint64(8)) & np.uint64(255), i & np.uint64(255)], -1)
    h, s, v = Image.fromarray(rgb.astype(np.uint8).reshape(4096, 4096, 3)).convert("HSV").split()
    turned = Image.fromarray(np.array(h, dtype=np.uint8) + np.uint8(shift))
    out = np.array(Image.merge("HSV", (turned, s, v)).convert("RGB")).reshape(-1, 3).astype(np.uint64)
    packed = (out[:, 0] << np.uint64(16)) | (out[:, 1] << np.uint64(8)) | out[:, 2]
    return int((packed * (i * np.uint64(2 * 2654435761) + np.uint64(1))).sum())


def nearest_sources(size, target):
    """Source indices of nearest-neighbour resizing, read off a ramp of 32-bit integers."""
    ramp = Image.fromarray(np.arange(size, dtype=np.int32)[None, :])
    return [int(v) for v in np.array(ramp.resize((target, 1), Image.Resampling.NEAREST))[0]]


def braces(values):
    return "{" + ", ".join(str(v) for v in values) + "}"


def lines():
    yield f"// Made by scripts/goldens/jitter.py with Pillow {PIL.__version__}; do not edit."
    yield "#pragma once\n\n#include <cstdint>\n#include <vector>\n\nnamespace fcdd::test {\n"
    yield f"constexpr int golden_height = {HEIGHT}, golden_width = {WIDTH};\n"
    yield "struct GoldenOperation {\n  int operation;  // 0 brightness, 1 contrast, 2 saturation, 3 hue\n  double factor;\n};"
    yield "struct GoldenJitter {\n  int channels;\n  std::vector<GoldenOperation> operations;\n  std::vector<uint8_t> pixels;\n};"
    yield "struct GoldenColours {\n  int shift;\n  uint64_t checksum;\n};"
    yield "struct GoldenResize {\n  int size, target;\n  std::vector<int> sources;\n};\n"
    yield "// clang-format off"
    yield "inline const std::vector<GoldenJitter> golden_jitters = {"
    for channels, operations in cases():
        image = to_image(picture(channels))
        for operation, factor in operations:
            image = adjust(image, operation, factor)
        steps = braces(braces((OPERATIONS.index(name), factor)) for name, factor in operations)
        yield f"  {{{channels}, {steps},\n   {braces(np.array(image).reshape(-1))}}},"
    yield "};\n"
    yield "inline const std::vector<GoldenColours> golden_colours = {"
    yield from (f"  {{{shift}, {every_colour(shift)}ull}}," for shift in (0, 10, 250))
    yield "};\n"
    yield "inline const std::vector<GoldenResize> golden_resizes = {"
    for size, target in ((240, 224), (248, 224), (256, 224), (28, 32), (32, 28), (100, 37), (37, 100), (341, 224), (5, 5), (7, 1)):
        yield f"  {{{size}, {target}, {braces(nearest_sources(size, target))}}},"
    yield "};\n// clang-format on\n\n}  // namespace fcdd::test"


if __name__ == "__main__":
    TARGET.write_text("\n".join(lines()) + "\n")
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
