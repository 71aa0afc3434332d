"""Five training steps of each architecture family in float64 PyTorch: training-<name>-<optimiser>.json.

Weights and inputs come from formula.py; per tensor the change over the five steps is summarised by its norm, three
projections on formula vectors and up to 64 entries. Biases directly before a training-mode batch normalisation get
gradient exactly 0 (PyTorch's is rounding noise, which Adam would amplify); weight decay still acts on them.

The distance of PyTorch's float32 from its float64 is the largest of its two memory formats, with and without oneDNN:
where a ReLU or a pool decides otherwise, equally good roundings end an order of magnitude apart.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))
import fcdd_torch as fcdd  # noqa: E402
from formula import tensor, values  # noqa: E402

STEPS, ENTRIES, PROJECTIONS = 5, 64, 3
INPUT_SCALE, AFFINE_SCALE = 1.75, 0.25
SIGMA = {28: 1.2, 32: 1.2, 64: 12.0}
# (architecture, channels, height and width, batch, pixel-wise)
RUNS = [
    ("cnn28", 1, 28, 4, False),
    ("cnn28", 1, 28, 4, True),
    ("cnn28-w", 1, 28, 4, False),
    ("cnn32", 3, 32, 4, False),
    ("cnn32-s", 3, 32, 4, False),
    ("cnn32-lw3k", 3, 32, 3, False),
    ("cnn224", 3, 64, 4, True),
    ("vgg11-nopt", 3, 64, 4, False),
    ("vgg11-f", 3, 64, 4, False),
]
OPTIMISERS = {
    "sgd": {"kind": "sgd", "lr": 1e-3, "momentum": 0.9, "weightDecay": 1e-3},
    "adam": {"kind": "adam", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weightDecay": 1e-3},
}


def initialise(model, dtype):
    """Weights by the formula: +-1/sqrt(fan_in) for convolutions, gamma 1 +- 1/4, beta +- 1/4, mean 0, variance 1."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / np.sqrt(np.prod(module.weight.shape[1:]))
            fill(module.weight, f"{name}.weight", bound, 0)
            fill(module.bias, f"{name}.bias", bound, 0)
        if isinstance(module, nn.BatchNorm2d):
            fill(module.weight, f"{name}.weight", AFFINE_SCALE, 1)
            fill(module.bias, f"{name}.bias", AFFINE_SCALE, 0)
    return model.to(dtype)


def fill(parameter, name, scale, centre):
    parameter.data = torch.from_numpy(centre + tensor(name, tuple(parameter.shape), scale))


def biases_before_norm(model):
    """Bias parameters of convolutions whose output goes straight into a batch normalisation."""
    modules = [m for m in model.modules() if not list(m.children())]
    return [a.bias for a, b in zip(modules, modules[1:]) if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d)]


def batch(run, step, dtype):
    """Inputs (N x C x H x W, drawn in N x H x W x C order) of one step."""
    name, channels, size, count, _ = run
    x = tensor(f"x/{step}", (count, size, size, channels), INPUT_SCALE)
    return torch.from_numpy(x).permute(0, 3, 1, 2).to(dtype)


def labels_of(count, step):
    return [(i + step) % 2 for i in range(count)]


def masks_of(labels, size, dtype):
    """All 0 for a normal sample; the lower right quarter for an anomalous one."""
    masks = torch.zeros(len(labels), 1, size, size, dtype=dtype)
    for mask, label in zip(masks, labels):
        mask[:, size // 2 :, size // 2 :] = label
    return masks


def step_loss(model, run, step, dtype, layout):
    """Mean loss of the batch of one step."""
    name, _, size, count, pixelwise = run
    x, labels = batch(run, step, dtype).contiguous(memory_format=layout), labels_of(count, step)
    z = model(x)
    if not pixelwise:
        return fcdd.samplewise_losses(z, torch.tensor(labels)).mean()
    field = fcdd.receptive_field(name)
    upsampled = fcdd.gaussian_upsample(fcdd.pseudo_huber(z), (size, size), field, SIGMA[size])
    return fcdd.pixelwise_losses(upsampled, masks_of(labels, size, dtype)).mean()


def make_optimiser(model, options):
    parameters = [p for p in model.parameters() if p.requires_grad]
    if options["kind"] == "adam":
        return torch.optim.Adam(parameters, options["lr"], weight_decay=options["weightDecay"])
    return torch.optim.SGD(parameters, options["lr"], 0.9, weight_decay=options["weightDecay"], nesterov=True)


def train(run, options, dtype, layout=torch.contiguous_format):
    """(losses, state before, state after) of five steps; states map tensor names to float64 arrays."""
    model = initialise(fcdd.network(run[0], run[1]), dtype).to(memory_format=layout)
    before, held = state_of(model), biases_before_norm(model)
    optimiser, losses = make_optimiser(model, options), []
    model.train()
    for step in range(STEPS):
        loss = step_loss(model, run, step, dtype, layout)
        optimiser.zero_grad()
        loss.backward()
        for bias in held:
            if bias.grad is not None:
                bias.grad.zero_()
        optimiser.step()
        losses.append(loss.item())
    return losses, before, state_of(model)


def state_of(model):
    tensors = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    return {k: v.detach().double().flatten().numpy().copy() for k, v in tensors.items()}


def single_precision_runs(run, options):
    """States after five float32 steps: channels-last and not, with oneDNN and without."""
    states = []
    for layout in (torch.contiguous_format, torch.channels_last):
        for enabled in (True, False):
            with torch.backends.mkldnn.flags(enabled=enabled):
                states.append(train(run, options, torch.float32, layout)[2])
    return states


def summary(name, before, after, singles):
    """The change of one tensor, and how far PyTorch's float32 ends from its float64, relative to the values' norm."""
    change = after - before
    picked = [i * change.size // ENTRIES for i in range(ENTRIES)] if change.size > ENTRIES else range(change.size)
    return {
        "count": change.size,
        "norm": float(np.linalg.norm(after)),
        "changeNorm": float(np.linalg.norm(change)),
        "projections": [float(values(f"projection/{k}/{name}", change.size) @ change) for k in range(PROJECTIONS)],
        "entries": [float(change[i]) for i in picked],
        "float32Distance": float(max(np.linalg.norm(s - after) for s in singles) / max(np.linalg.norm(after), 1e-300)),
    }


def golden(run, options):
    """The content of one file."""
    name, channels, size, count, pixelwise = run
    losses, before, after = train(run, options, torch.float64)
    singles = single_precision_runs(run, options)
    return {
        "model": name,
        "input": {"channels": channels, "height": size, "width": size},
        "batch": count,
        "pixelwise": pixelwise,
        "sigma": SIGMA[size] if pixelwise else None,
        "optimiser": options,
        "losses": losses,
        "tensors": {k: summary(k, before[k], after[k], [single[k] for single in singles]) for k in after},
    }


def files():
    """File name -> content."""
    found = {}
    for run in RUNS:
        for kind, options in OPTIMISERS.items():
            suffix = "-pixelwise" if run[4] else ""
            found[f"training-{run[0]}{suffix}-{kind}.json"] = golden(run, options)
    return found
