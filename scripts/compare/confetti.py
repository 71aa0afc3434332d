"""Confetti noise (FCDD, Liznerski et al., ICLR 2021) for grey images, in numpy: one value per square.

Returned noise is an integer image to add to pixel values 0..255, already inverted where the rule asks for it.
"""

import numpy as np
from scipy.ndimage import correlate1d

# (probability of a centre per pixel, smallest and largest value of a square)
LAYERS = ((1.8e-5, -256, -1), (1.2e-5, -255, -255))
SIDES, ANGLE = (8, 54), 45.0
BLUR_TAPS, BLUR_SIGMA = 25, 5.0
LEAST_CHANGE = 0.025

_x = np.arange(BLUR_TAPS) - BLUR_TAPS // 2
BLUR = np.exp(-(_x**2) / (2 * BLUR_SIGMA**2))
BLUR /= BLUR.sum()


def centre_count(pixels, probability, generator):
    """A binomial number of centres, drawn again while zero."""
    count = 0
    while count == 0:
        count = generator.binomial(pixels, probability)
    return count


def paint_square(layer, row, column, side, angle, value):
    """Paints one square rotated about its centre, nearest neighbour, clipped at the border."""
    height, width = layer.shape
    low, high = (-side // 2 + 1, side // 2) if side % 2 == 0 else (-(side // 2), side // 2)
    reach = int(np.ceil(side * 0.7072)) + 1
    rows = np.arange(max(0, row - reach), min(height, row + reach + 1))
    columns = np.arange(max(0, column - reach), min(width, column + reach + 1))
    dy, dx = (rows - row)[:, None], (columns - column)[None, :]
    sine, cosine = np.sin(angle), np.cos(angle)
    u, v = np.rint(cosine * dx + sine * dy), np.rint(cosine * dy - sine * dx)
    inside = (u >= low) & (u <= high) & (v >= low) & (v <= high)
    layer[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][inside] = value


def confetti_layer(shape, probability, lowest, highest, generator):
    """One layer of squares, larger over smaller; 0 elsewhere."""
    height, width = shape
    layer = np.zeros(shape)
    count = centre_count(height * width, probability, generator)
    for side in np.sort(generator.integers(SIDES[0], SIDES[1] + 1, count)):
        row, column = generator.integers(0, height), generator.integers(0, width)
        angle = np.deg2rad(generator.uniform(-ANGLE, ANGLE))
        paint_square(layer, row, column, int(side), angle, generator.integers(lowest, highest + 1))
    return layer


def confetti(image, generator):
    """Noise for one grey uint8 image: the sum of both layers, blurred, truncated, inverted if it changes too little."""
    noise = sum(confetti_layer(image.shape, *layer, generator) for layer in LAYERS)
    for axis in (0, 1):
        noise = correlate1d(noise, BLUR, axis=axis, mode="mirror")
    noise = np.trunc(noise).astype(np.int64)
    change = [abs((np.clip(image + sign * noise, 0, 255) - image.astype(np.int64)).mean()) for sign in (1, -1)]
    return -noise if change[0] < LEAST_CHANGE and change[1] > change[0] else noise
