"""Golden forward and backward values of every op in float64 PyTorch: ops-*.json.

Activations are written N x H x W x C, convolution weights O x I x H x W. Inputs are multiples of 1/64, so that they
are short and exact in float32 too.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))
import fcdd_torch as fcdd  # noqa: E402
from formula import tensor  # noqa: E402


def draw(name, shape, scale=2.0):
    """Float64 tensor of multiples of 1/64 in +-scale."""
    return torch.from_numpy(np.round(tensor(name, shape, scale) * 64) / 64)


def packed(value, channels_last=False):
    """{shape, data} of a tensor; channels_last turns N x C x H x W into N x H x W x C."""
    value = value.detach()
    if channels_last:
        value = value.permute(0, 2, 3, 1)
    return {"shape": list(value.shape), "data": value.contiguous().flatten().tolist()}


def conv_case(name, batch, channels, filters, height, width, kernel, stride, padding, bias):
    x = draw(f"{name}/x", (batch, channels, height, width)).requires_grad_()
    w = draw(f"{name}/w", (filters, channels, kernel, kernel), 1.0).requires_grad_()
    b = draw(f"{name}/b", (filters,)).requires_grad_() if bias else None
    y = F.conv2d(x, w, b, stride, padding)
    dy = draw(f"{name}/dy", y.shape)
    y.backward(dy)
    case = {
        "name": name,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "x": packed(x, True),
        "weight": packed(w),
        "bias": packed(b) if bias else None,
        "y": packed(y, True),
        "dy": packed(dy, True),
        "dx": packed(x.grad, True),
        "dweight": packed(w.grad),
        "dbias": packed(b.grad) if bias else None,
    }
    return case


def conv_cases():
    """kernel 1, 3, 5; stride 1, 2; with and without padding and bias; odd sizes; batch 1."""
    return [
        conv_case("k1", 2, 3, 4, 5, 4, 1, 1, 0, True),
        conv_case("k3", 2, 3, 5, 7, 5, 3, 1, 1, True),
        conv_case("k3-valid", 1, 2, 3, 6, 5, 3, 1, 0, False),
        conv_case("k3-stride2", 2, 3, 4, 7, 6, 3, 2, 1, True),
        conv_case("k5", 2, 2, 3, 6, 7, 5, 1, 2, True),
        conv_case("k5-stride2", 1, 3, 2, 9, 7, 5, 2, 2, False),
        conv_case("k5-larger-than-input", 2, 2, 2, 3, 3, 5, 1, 2, True),
        conv_case("k3-17-channels", 1, 17, 9, 4, 3, 3, 1, 1, True),
    ]


def norm_case(name, batch, channels, height, width, eps, momentum=0.1):
    """Batch normalisation: training (batch statistics, running statistics updated), its backward, and evaluation."""
    x = draw(f"{name}/x", (batch, channels, height, width)).requires_grad_()
    gamma = (draw(f"{name}/gamma", (channels,), 0.5) + 1).requires_grad_()
    beta = draw(f"{name}/beta", (channels,), 0.5).requires_grad_()
    mean, var = draw(f"{name}/mean", (channels,), 0.5), draw(f"{name}/var", (channels,), 0.5) + 1
    new_mean, new_var = mean.clone(), var.clone()
    evaluated = F.batch_norm(x, mean, var, gamma, beta, False, momentum, eps)
    y = F.batch_norm(x, new_mean, new_var, gamma, beta, True, momentum, eps)
    dy = draw(f"{name}/dy", y.shape)
    y.backward(dy)
    return {
        "name": name,
        "eps": eps,
        "momentum": momentum,
        "x": packed(x, True),
        "gamma": packed(gamma),
        "beta": packed(beta),
        "runningMean": packed(mean),
        "runningVar": packed(var),
        "evaluated": packed(evaluated, True),
        "y": packed(y, True),
        "newRunningMean": packed(new_mean),
        "newRunningVar": packed(new_var),
        "dy": packed(dy, True),
        "dx": packed(x.grad, True),
        "dgamma": packed(gamma.grad),
        "dbeta": packed(beta.grad),
    }


def norm_cases():
    return [
        norm_case("several", 3, 4, 5, 3, 1e-5),
        norm_case("batch-of-one", 1, 5, 3, 4, 1e-4),
        norm_case("one-channel", 2, 1, 7, 5, 1e-4),
    ]


def activation_case(name, slope):
    x = draw(f"{name}/x", (1, 3, 5, 4))
    x.view(-1)[::7] = 0
    x.requires_grad_()
    y = F.leaky_relu(x, slope) if slope else F.relu(x)
    dy = draw(f"{name}/dy", y.shape)
    y.backward(dy)
    tensors = {"x": packed(x, True), "y": packed(y, True), "dy": packed(dy, True), "dx": packed(x.grad, True)}
    return {"name": name, "slope": slope, **tensors}


def pool_case(name, batch, channels, height, width, kernel, stride, padding):
    """Values from {-1, 0, 1}: many ties, which go to the first in row-major order."""
    x = torch.round(draw(f"{name}/x", (batch, channels, height, width), 1.4)).requires_grad_()
    y = F.max_pool2d(x, kernel, stride, padding)
    dy = draw(f"{name}/dy", y.shape)
    y.backward(dy)
    tensors = {"x": packed(x, True), "y": packed(y, True), "dy": packed(dy, True), "dx": packed(x.grad, True)}
    return {"name": name, "kernel": kernel, "stride": stride, "padding": padding, **tensors}


def pool_cases():
    return [
        pool_case("2-2-0", 2, 3, 6, 8, 2, 2, 0),
        pool_case("2-2-0-odd", 1, 2, 7, 5, 2, 2, 0),
        pool_case("3-2-1", 2, 3, 8, 6, 3, 2, 1),
        pool_case("3-2-1-odd", 1, 2, 7, 9, 3, 2, 1),
    ]


def huber_case():
    z = [0.0, 1e-12, -1e-8, 1e-4, -0.01, 0.25, -1.0, 3.0, -50.0, 1e4]
    z = torch.tensor(z, dtype=torch.float64).requires_grad_()
    a = fcdd.pseudo_huber(z)
    a.sum().backward()
    return {"name": "pseudo-huber", "z": packed(z), "a": packed(a), "da": packed(z.grad)}


def samplewise_case(name, labels, scale):
    """dz is the gradient of the mean over samples."""
    z = draw(f"{name}/z", (len(labels), 1, 3, 4), scale).requires_grad_()
    losses = fcdd.samplewise_losses(z, torch.tensor(labels))
    losses.mean().backward()
    scores = fcdd.pseudo_huber(z).flatten(1).mean(1)
    return {
        "name": name,
        "labels": labels,
        "z": packed(z[:, 0]),
        "scores": packed(scores),
        "losses": packed(losses),
        "loss": losses.mean().item(),
        "dz": packed(z.grad[:, 0]),
    }


def pixelwise_case(name, net, size, kinds, sigma):
    """kinds per sample: 0 normal, 1 mask of ones, 2 a rectangle. dz is the gradient of the mean over samples."""
    jump, extent, start = field = fcdd.receptive_field(net)
    cells = [-(-s // jump) for s in size]
    z = draw(f"{name}/z", (len(kinds), 1, *cells), 1.0).requires_grad_()
    masks = torch.zeros(len(kinds), 1, *size, dtype=torch.float64)
    for mask, kind in zip(masks, kinds):
        mask[:, size[0] // 4 : size[0] // 2, size[1] // 3 :] = float(kind == 2)
        mask += float(kind == 1)
    upsampled = fcdd.gaussian_upsample(fcdd.pseudo_huber(z), size, field, sigma)
    losses = fcdd.pixelwise_losses(upsampled, masks)
    losses.mean().backward()
    return {
        "name": name,
        "jump": jump,
        "extent": extent,
        "start": start,
        "sigma": sigma,
        "z": packed(z[:, 0]),
        "masks": {"shape": [len(kinds), *size], "data": masks.to(torch.uint8).flatten().tolist()},
        "losses": packed(losses),
        "loss": losses.mean().item(),
        "dz": packed(z.grad[:, 0]),
    }


def upsample_case(name, field, cells, size, sigma):
    jump, extent, start = field
    a = draw(f"{name}/a", (2, 1, *cells)).requires_grad_()
    y = fcdd.gaussian_upsample(a, size, field, sigma)
    dy = draw(f"{name}/dy", y.shape)
    y.backward(dy)
    return {
        "name": name,
        "jump": jump,
        "extent": extent,
        "start": start,
        "sigma": sigma,
        "taps": fcdd.gaussian_taps(extent, sigma).tolist(),
        "a": packed(a[:, 0]),
        "y": packed(y[:, 0]),
        "dy": packed(dy[:, 0]),
        "da": packed(a.grad[:, 0]),
    }


def upsample_cases():
    """Even extents (cnn28 16, vgg11 62) and odd ones; sizes that are no multiple of the jump; not square."""
    return [
        upsample_case("cnn28", fcdd.receptive_field("cnn28"), (7, 7), (28, 28), 1.2),
        upsample_case("cnn224", fcdd.receptive_field("cnn224"), (3, 4), (24, 32), 12.0),
        upsample_case("vgg11", fcdd.receptive_field("vgg11-nopt"), (4, 3), (32, 24), 8.0),
        upsample_case("odd-extent", (4, 21, 1.5), (5, 3), (19, 13), 2.0),
        upsample_case("jump-of-one", (1, 5, 0.0), (6, 4), (6, 4), 0.8),
    ]


def lcn_case():
    """Sample 1 is constant: its mean absolute value is 0 and counts as 1."""
    x = (draw("lcn/x", (3, 3, 4, 5), 1.0) + 1) / 2
    x[1] = 0.25
    return {"name": "lcn", "x": packed(x, True), "y": packed(fcdd.local_contrast_normalise(x), True)}


def update_case(name, make, options):
    """Five updates of one tensor; `after` holds the values after each."""
    start = draw(f"{name}/start", (12,))
    parameter = torch.nn.Parameter(start.clone())
    optimiser = make([parameter])
    gradients, after = [], []
    for step in range(5):
        gradients.append(draw(f"{name}/gradient{step}", (12,)))
        parameter.grad = gradients[-1].clone()
        optimiser.step()
        after.append(parameter.detach().clone())
    return {
        "name": name,
        **options,
        "start": start.tolist(),
        "gradients": [g.tolist() for g in gradients],
        "after": [a.tolist() for a in after],
    }


def update_cases():
    sgd = {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weightDecay": 0.01}
    adam = {"kind": "adam", "lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weightDecay": 0.01}
    plain = {**sgd, "weightDecay": 0.0}

    def make_sgd(options):
        return lambda p: torch.optim.SGD(p, options["lr"], 0.9, weight_decay=options["weightDecay"], nesterov=True)

    return [
        update_case("sgd", make_sgd(sgd), sgd),
        update_case("sgd-without-decay", make_sgd(plain), plain),
        update_case("adam", lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.01), adam),
    ]


def files():
    """File name -> content."""
    return {
        "ops-conv.json": {"conv": conv_cases()},
        "ops-norm.json": {
            "batchnorm": norm_cases(),
            "activation": [activation_case("relu", 0.0), activation_case("lrelu", 0.01)],
            "maxpool": pool_cases(),
            "lcn": [lcn_case()],
        },
        "ops-loss.json": {
            "pseudoHuber": [huber_case()],
            "samplewise": [
                samplewise_case("mixed", [0, 1, 1, 0, 1], 2.0),
                samplewise_case("mixed-small", [1, 0, 1], 0.05),
                samplewise_case("mixed-large", [1, 0], 400.0),
                samplewise_case("all-normal", [0, 0, 0], 2.0),
                samplewise_case("all-anomalous", [1, 1], 2.0),
                samplewise_case("one-normal", [0], 1.0),
                samplewise_case("one-anomalous", [1], 1.0),
            ],
            "pixelwise": [
                pixelwise_case("mixed", "cnn28", (16, 20), [0, 1, 2], 1.2),
                pixelwise_case("cnn224", "cnn224", (32, 24), [2, 0, 1, 2], 12.0),
                pixelwise_case("all-normal", "cnn28", (12, 12), [0, 0], 1.2),
                pixelwise_case("one-anomalous", "cnn28", (12, 8), [1], 1.2),
            ],
            "upsample": upsample_cases(),
        },
        "ops-update.json": {"update": update_cases()},
    }
