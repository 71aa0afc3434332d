"""Five training steps of the paper's baselines in float64 PyTorch: baseline-<case>.json.

Weights and inputs come from formula.py by the engine's tensor names and layout; every gradient of the first step and
every change over five steps (SGD) is summarised as in training.py, PyTorch's own float32 distance included. Dropout drops what the engine's counter-based
generator says, computed here from the published function.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))
import baselines_torch as peer  # noqa: E402
from formula import tensor, values  # noqa: E402

STEPS, ENTRIES, PROJECTIONS = 5, 64, 3
INPUT_SCALE, AFFINE_SCALE, CENTRE_SCALE = 1.75, 0.25, 0.5
OPTIMISER = {"kind": "sgd", "lr": 1e-3, "momentum": 0.9, "weightDecay": 1e-3}
CLASSES = 5
# (method, architecture, channels, size, batch, filters divided by)
CASES = [
    ("hsc", "cnn28", 1, 28, 4, 1),
    ("ae", "cnn28", 1, 28, 4, 1),
    ("dsvdd", "cnn28", 1, 28, 4, 1),
    ("classify", "cnn28", 1, 28, 6, 1),
    ("hsc", "cnn32", 3, 32, 4, 4),
    ("ae", "cnn32", 3, 32, 4, 4),
    ("ae", "cnn32-lw3k", 3, 32, 4, 16),
    ("ae", "cnn224", 1, 224, 3, 8),
    ("hsc", "vgg11-nopt", 3, 64, 4, 16),
]


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011): counter as four arrays of uint64, key as two integers."""
    mask, c = np.uint64(0xFFFFFFFF), list(counter)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        shift = np.uint64(32)
        c = [(p1 >> shift) ^ c[1] ^ np.uint64(key[0]), p1 & mask, (p0 >> shift) ^ c[3] ^ np.uint64(key[1]), p0 & mask]
        key = ((key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF)
    return c


def kept(seed, epoch, position, layer, count, probability):
    """Which values of one image a dropout layer keeps: purpose 12, word layer * 2^28 + i."""
    words = np.arange(count, dtype=np.uint64) + np.uint64(layer << 28)
    ones = np.ones_like(words)
    counter = [words >> np.uint64(2), 12 * ones, position * ones, epoch * ones]
    drawn = np.stack(philox([c.astype(np.uint64) for c in counter], (seed, 0)), 1)
    bits = drawn[np.arange(count), (words & np.uint64(3)).astype(int)]
    return bits.astype(np.float64) / 2.0**32 >= probability


class KeyedDropout(nn.Module):
    """Dropout of one half; `epoch` is the number of updates so far (a batch from outside has no other place)."""

    epoch = 0

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        masks = [kept(0, KeyedDropout.epoch, n, self.layer, x.shape[1], 0.5) for n in range(len(x))]
        return x * torch.from_numpy(np.stack(masks)).to(x.dtype) * 2


def network(case):
    method, name, channels, _, _, thin = case
    if name.startswith("vgg"):
        return peer.vgg11(channels, thin, KeyedDropout)
    if method == "classify":
        return peer.classifier(name, channels, CLASSES)
    if method == "ae":
        return peer.autoencoder(name, channels, thin=thin)
    return peer.encoder(name, channels, bias=method != "dsvdd", thin=thin)


def initialise(net):
    """As in training.py: +-1/sqrt(fan_in), gamma 1 +- 1/4, beta +- 1/4."""
    for name, module in peer.named_layers(net):
        norm = isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))
        scale = AFFINE_SCALE if norm else 1 / np.sqrt(peer.fan_in(module))
        for part in ("weight", "bias"):
            if getattr(module, part, None) is None:
                continue
            count = getattr(module, part).numel()
            centre = 1.0 if norm and part == "weight" else 0.0
            flat = centre + scale * values(f"{name}.{part}", count)
            getattr(module, part).data = peer.theirs(module, part, flat)


def state_of(net):
    state = {}
    for name, module in peer.named_layers(net):
        for part in ("weight", "bias", "running_mean", "running_var"):
            if getattr(module, part, None) is not None:
                state[f"{name}.{part}"] = peer.ours(module, part, getattr(module, part))
    return state


def gradients_of(net):
    grads = {}
    for name, module in peer.named_layers(net):
        for part in ("weight", "bias"):
            if getattr(module, part, None) is not None:
                grads[f"{name}.{part}"] = peer.ours(module, part, getattr(module, part).grad)
    return grads


def summary(name, change, size):
    """Norm, projections and entries of an array; `size` is what errors are relative to."""
    picked = [i * change.size // ENTRIES for i in range(ENTRIES)] if change.size > ENTRIES else range(change.size)
    return {
        "count": change.size,
        "norm": size,
        "changeNorm": float(np.linalg.norm(change)),
        "projections": [float(values(f"projection/{k}/{name}", change.size) @ change) for k in range(PROJECTIONS)],
        "entries": [float(change[i]) for i in picked],
    }


def train(case, dtype, layout=torch.contiguous_format):
    """(losses, gradients of the first step, state before, state after)."""
    method, name, channels, size, batch, thin = case
    net = network(case)
    initialise(net)
    net = net.to(dtype).to(memory_format=layout).train()
    held, before = peer.held_biases(net), state_of(net)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(parameters, OPTIMISER["lr"], 0.9, weight_decay=OPTIMISER["weightDecay"], nesterov=True)
    found, gradients = [], {}
    centre = torch.from_numpy(values("centre", 48) * CENTRE_SCALE).to(dtype) if method == "dsvdd" else None
    for step in range(STEPS):
        KeyedDropout.epoch = step
        x = torch.from_numpy(tensor(f"x/{step}", (batch, size, size, channels), INPUT_SCALE)).permute(0, 3, 1, 2)
        x = x.to(dtype).contiguous(memory_format=layout)
        labels = torch.tensor([(i + step) % (CLASSES if method == "classify" else 2) for i in range(batch)])
        loss = peer.losses(method, net(x), x, labels, centre).mean()
        optimiser.zero_grad()
        loss.backward()
        for bias in held:
            bias.grad.zero_()
        if step == 0:
            gradients = gradients_of(net)
        optimiser.step()
        found.append(loss.item())
    return found, gradients, before, state_of(net)


def single_precision_runs(case):
    """As in training.py: where a ReLU or a pool decides otherwise, equally good roundings end far apart."""
    runs = []
    for layout in (torch.contiguous_format, torch.channels_last):
        for enabled in (True, False):
            with torch.backends.mkldnn.flags(enabled=enabled):
                runs.append(train(case, torch.float32, layout))
    return runs


def largest_distance(truth, singles):
    norm = max(np.linalg.norm(truth), 1e-300)
    return float(max(np.linalg.norm(single - truth) for single in singles) / norm)


def golden(case):
    method, name, channels, size, batch, thin = case
    found, gradients, before, after = train(case, torch.float64)
    singles = single_precision_runs(case)

    def described(key, change, value, part):
        distance = largest_distance(value, [single[part][key] for single in singles])
        return {**summary(key, change, float(np.linalg.norm(value))), "float32Distance": distance}

    return {
        "method": method,
        "model": name,
        "input": {"channels": channels, "height": size, "width": size},
        "batch": batch,
        "thin": thin,
        "classes": CLASSES,
        "optimiser": OPTIMISER,
        "losses": found,
        "gradients": {k: described(k, v, v, 1) for k, v in gradients.items()},
        "tensors": {k: described(k, after[k] - before[k], after[k], 3) for k in after},
    }


def files():
    """File name -> content."""
    return {f"baseline-{case[0]}-{case[1]}.json": golden(case) for case in CASES}
