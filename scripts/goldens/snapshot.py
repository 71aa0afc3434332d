"""Snapshots with the reference code's key names (liznerski/fcdd) and what PyTorch makes of pictures with them.

snapshot-cnn28.safetensors and snapshot-vgg.safetensors (VGG11-bn's key names with a 32nd of its filters, so that the
file stays small) are state dicts as torch.save has them, num_batches_tracked and a wrapper's prefix included.
snapshot.json: score, low-resolution map and heatmap of one picture each, in float64.
"""

import json
import math
import struct
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from formula import tensor, values

ROOT = Path(__file__).resolve().parents[2]
VGG = [(0, 2, True), (4, 4, True), (8, 8, False), (11, 8, True), (15, 16, False), (18, 16, False)]


class Cnn28(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, padding=2)
        self.bn2d1 = nn.BatchNorm2d(8, eps=1e-4)
        self.conv2 = nn.Conv2d(8, 16, 5, padding=2)
        self.conv_final = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.bn2d1(self.conv1(x))), 2)
        return self.conv_final(F.max_pool2d(self.conv2(x), 2))


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for _, filters, pool in VGG:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pool else []
            channels = filters
        self.features = nn.Sequential(*layers)
        self.conv_final = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        return self.conv_final(self.features(x))


def filled(name, module):
    """Weights from the formula, rounded to float32 as a snapshot has them; running statistics away from 0 and 1."""
    state = module.state_dict()
    for key, value in state.items():
        if not value.is_floating_point():
            state[key] = torch.tensor(17)
            continue
        spread, centre = (0.3, 1) if key.endswith("running_var") or (value.dim() == 1 and "bn" in key) else (0.3, 0)
        state[key] = torch.from_numpy(centre + tensor(f"{name}/{key}", tuple(value.shape), spread)).float()
    module.load_state_dict(state)
    return module.double().eval(), state


def write_safetensors(path, state):
    header, offset, data = {}, 0, b""
    for key, value in state.items():
        raw = value.contiguous().numpy().tobytes()
        kind = "F32" if value.is_floating_point() else "I64"
        header[key] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [offset, offset + len(raw)]}
        offset, data = offset + len(raw), data + raw
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def upsampled(a, extent, jump, start, size, sigma):
    """Transposed convolution with the Gaussian of the receptive field, shifted by its centre (fcdd)."""
    half = (extent - 1) // 2
    taps = [math.exp(-(x**2) / (2 * sigma**2)) for x in range(-half, half + 1)]
    if extent % 2 == 0:
        taps = [t / 2 for t in taps[: half + 1] + taps[half:]]
    k = torch.tensor(taps, dtype=torch.float64)
    full = F.conv_transpose2d(a, (k[:, None] * k[None, :])[None, None], stride=jump)
    first = half - start
    return full[:, :, first : first + size, first : first + size]


def outputs(net, x, extent, jump, start, sigma):
    z = net(x)
    a = torch.sqrt(z**2 + 1) - 1
    heatmap = upsampled(a, extent, jump, start, x.shape[-1], sigma)
    flat = lambda t: t.detach().flatten().tolist()  # noqa: E731
    return {"score": float(a.mean()), "map": flat(a), "heatmap": flat(heatmap)}


def picture(name, size, channels):
    """Bytes 0..255, H x W x C, smooth enough that pooling matters."""
    return ((values(name, size * size * channels).reshape(size, size, channels) + 1) * 127.9).astype("uint8")


def files():
    """File name -> content; the snapshots are written beside, being no text."""
    torch.set_default_dtype(torch.float64)
    target = ROOT / "test" / "golden"
    constants = json.loads((ROOT / "src/data/normalisation.json").read_text())["fashion-mnist"]["classes"]
    low, high = (torch.tensor(constants["T-shirt/top"][key]) for key in ("lcnL1Min", "lcnL1Max"))

    net, state = filled("cnn28", Cnn28())
    write_safetensors(target / "snapshot-cnn28.safetensors", {f"net.{k}": v for k, v in state.items()})
    x = torch.from_numpy(picture("snapshot/grey", 28, 1)).double().permute(2, 0, 1)[None] / 255
    x = x - x.mean()
    x = (x / x.abs().mean() - low) / (high - low)
    cnn28 = outputs(net, x, extent=16, jump=4, start=1, sigma=1.2)

    net, state = filled("vgg", Vgg())
    write_safetensors(target / "snapshot-vgg.safetensors", {f"module.{k}": v for k, v in state.items()})
    pixels = torch.from_numpy(tensor("snapshot/pixels", (32, 32, 3))).permute(2, 0, 1)[None]
    vgg = outputs(net, pixels, extent=62, jump=8, start=3, sigma=12)
    return {"snapshot.json": {"cnn28": cnn28, "vgg": vgg, "keys": list(state)}}
