"""FCDD in plain PyTorch, independent of the engine: networks, losses, heatmap upsampling, normalisation.

The peer of every comparison in this folder and the source of the golden files (scripts/goldens). It follows the
paper (Liznerski et al., ICLR 2021) and the names of its reference code (liznerski/fcdd). Nothing here is shared with
the engine, so an error in one shows as a difference.

Tensors are N x C x H x W, PyTorch's convention.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.01
# (kernel, filters, padding) of a convolution, or one of these words. 'pool' is 2/2/0, 'pool3' 3/2/1.
NETWORKS = {
    "cnn28": [(5, 8, 2), "bn", "act", "pool", (5, 16, 2), "pool"],
    "cnn28-w": [(5, 128, 2), "bn", "act", "pool", (5, 128, 2), "pool"],
    "cnn32": [(5, 32, 2), "bn", "act", "pool", (5, 64, 2), "bn", "act", "pool", (5, 128, 2)],
    "cnn32-s": [(3, 32, 1), "bn", "act", "pool", (3, 64, 1), "bn", "act", "pool", (3, 128, 1)],
    "cnn32-lw3k": [
        *[(3, 128, 1), "bn", "act", "pool"],
        *[(3, 256, 1), "bn", "act"],
        *[(3, 256, 1), "bn", "act", "pool"],
        (3, 128, 1),
    ],
    "cnn224": [
        *[(5, 8, 2), "bn", "act", "pool3"],
        *[(5, 32, 2), "bn", "act", "pool3"],
        *[(3, 64, 1), "bn", "act"],
        *[(3, 128, 1), "bn", "act", "pool3"],
        (3, 128, 1),
    ],
    "cnn224-w": [
        *[(5, 32, 2), "bn", "act", "pool3"],
        *[(5, 128, 2), "bn", "act", "pool3"],
        *[(3, 256, 1), "bn", "act"],
        *[(3, 256, 1), "bn", "act", "pool3"],
        (3, 128, 1),
    ],
}
# VGG11-bn up to the two convolutions after its third pool; torchvision's module numbers are the tensors' names.
VGG11_FILTERS = [64, "pool", 128, "pool", 256, 256, "pool", 512, 512]
VGG_FROZEN_MODULES = 15


def small_network(name, channels):
    """One of NETWORKS as nn.Sequential: conv1, bn2d1, ..., conv_final; BN eps 1e-4, leaky ReLU."""
    modules, count, width, convs, norms = nn.Sequential(), 0, channels, 0, 0
    for layer in NETWORKS[name]:
        count += 1
        if isinstance(layer, tuple):
            kernel, filters, padding = layer
            convs += 1
            modules.add_module(f"conv{convs}", nn.Conv2d(width, filters, kernel, padding=padding))
            width = filters
        elif layer == "bn":
            norms += 1
            modules.add_module(f"bn2d{norms}", nn.BatchNorm2d(width, eps=1e-4))
        elif layer == "act":
            modules.add_module(f"act{count}", nn.LeakyReLU(LEAKY_SLOPE))
        else:
            pool = nn.MaxPool2d(2, 2) if layer == "pool" else nn.MaxPool2d(3, 2, 1)
            modules.add_module(f"pool{count}", pool)
    modules.add_module("conv_final", nn.Conv2d(width, 1, 1))
    return modules


class Vgg11(nn.Module):
    """VGG11-bn cut after its sixth convolution, with an FCDD head. `frozen`: no gradient up to the third pool."""

    def __init__(self, frozen):
        super().__init__()
        layers, width = [], 3
        for item in VGG11_FILTERS:
            if item == "pool":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(width, item, 3, padding=1), nn.BatchNorm2d(item), nn.ReLU()]
            width = item
        self.features = nn.Sequential(*layers)
        self.conv_final = nn.Conv2d(width, 1, 1)
        if frozen:
            for module in self.features[:VGG_FROZEN_MODULES]:
                module.requires_grad_(False)

    def forward(self, x):
        return self.conv_final(self.features(x))


def network(name, channels):
    """The network `name` with PyTorch's default initialisation; output N x 1 x u x v."""
    if name.startswith("vgg11"):
        return Vgg11(frozen=name == "vgg11-f")
    return small_network(name, channels)


def receptive_field(name):
    """(jump, extent, start) of the receptive field of one output value."""
    layers = [(3, 1, 1) if item != "pool" else (2, 2, 0) for item in VGG11_FILTERS]
    if not name.startswith("vgg11"):
        pools = {"pool": (2, 2, 0), "pool3": (3, 2, 1)}
        layers = [(l[0], 1, l[2]) if isinstance(l, tuple) else pools.get(l) for l in NETWORKS[name]]
    jump, extent, start = 1, 1, 0.0
    for kernel, stride, padding in filter(None, layers):
        start += ((kernel - 1) / 2 - padding) * jump
        extent += (kernel - 1) * jump
        jump *= stride
    return jump, extent, start


def pseudo_huber(z):
    """A = sqrt(z^2 + 1) - 1, written so that nothing cancels for small z."""
    return z * z / (torch.sqrt(z * z + 1) + 1)


def anomalous_cost(mean):
    """-log(1 - exp(-mean) + 1e-31)."""
    return -torch.log(-torch.expm1(-mean) + 1e-31)


def samplewise_losses(z, labels):
    """Per sample: the mean of A if normal (label 0), the log term of it if anomalous. labels: N of 0|1."""
    mean = pseudo_huber(z).flatten(1).mean(1)
    cost = torch.where(labels > 0, anomalous_cost(torch.where(labels > 0, mean, torch.ones_like(mean))), mean)
    return cost


def pixelwise_losses(upsampled, masks):
    """Per sample, from the upsampled map and its 0|1 mask (both N x 1 x H x W), both means over all pixels."""
    normal = (upsampled * (1 - masks)).flatten(1).mean(1)
    marked = (upsampled * masks).flatten(1).mean(1)
    any_marked = masks.flatten(1).any(1)
    safe = torch.where(any_marked, marked, torch.ones_like(marked))
    return normal + torch.where(any_marked, anomalous_cost(safe), torch.zeros_like(marked))


def gaussian_taps(extent, sigma):
    """1-D kernel of `extent` taps with peak 1; for an even extent that of extent-1, centre doubled, halved."""
    odd = extent if extent % 2 else extent - 1
    x = torch.arange(odd, dtype=torch.float64) - (odd - 1) / 2
    taps = torch.exp(-(x**2) / (2 * sigma**2))
    if extent % 2:
        return taps
    centre = odd // 2
    return torch.cat([taps[: centre + 1], taps[centre:]]) / 2


def gaussian_upsample(maps, size, field, sigma):
    """Upsamples A (N x 1 x u x v) to size=(H, W): a transposed convolution with a Gaussian of the receptive field.

    A'[y,x] = sum A[i,l] k[y + pad - floor(s) - i j] k[x + pad - floor(s) - l j], pad = floor((r-1)/2).
    """
    jump, extent, start = field
    taps = gaussian_taps(extent, sigma).to(maps.dtype)
    kernel = torch.outer(taps, taps)[None, None]
    full = F.conv_transpose2d(maps, kernel, stride=jump)
    offset = (extent - 1) // 2 - math.floor(start)
    height, width = size
    full = F.pad(full, (0, max(0, offset + width - full.shape[3]), 0, max(0, offset + height - full.shape[2])))
    return full[:, :, offset : offset + height, offset : offset + width]


def gaussian_upsample_separable(maps, size, field, sigma):
    """The same as two matrix products, for speed."""
    jump, extent, start = field
    taps = gaussian_taps(extent, sigma).to(maps.dtype)

    def matrix(cells, pixels):
        shift = (extent - 1) // 2 - math.floor(start)
        index = torch.arange(pixels)[:, None] + shift - torch.arange(cells)[None, :] * jump
        inside = (index >= 0) & (index < extent)
        return torch.where(inside, taps[index.clamp(0, extent - 1)], torch.zeros((), dtype=maps.dtype))

    rows, columns = matrix(maps.shape[2], size[0]), matrix(maps.shape[3], size[1])
    return rows @ maps @ columns.T


def local_contrast_normalise(x):
    """L1: subtract each sample's mean over channels and pixels, divide by its mean absolute value (1 if 0)."""
    x = x - x.mean((1, 2, 3), keepdim=True)
    scale = x.abs().mean((1, 2, 3), keepdim=True)
    return x / torch.where(scale == 0, torch.ones_like(scale), scale)


def scores(model, x, chunk=100):
    """Anomaly scores of normalised images: the mean of A over the low-resolution map. Sets evaluation mode."""
    model.eval()
    with torch.no_grad():
        parts = [pseudo_huber(model(part)).flatten(1).mean(1) for part in x.split(chunk)]
    return torch.cat(parts)
