"""The paper's baselines in plain PyTorch, independent of the engine: networks, losses, heatmaps.

Networks are built from PyTorch's own layers (Linear, ConvTranspose2d, BatchNorm1d, AdaptiveAvgPool2d ...), while the
engine writes them all as convolutions; `load` and `state_of` convert between the two layouts.
"""

import torch
from torch import nn
from torch.nn import functional as F

EPS, SLOPE, GAIN = 1e-4, 0.01, nn.init.calculate_gain("leaky_relu")
FLOOR = 1e-31
# (kernel, filters, pooling) of the encoders; a pool of 3 is 3/2/1, of 2 is 2/2/0, 0 is none.
LENET32 = [(5, 32, 2), (5, 64, 2), (5, 128, 2)]
CONVOLUTIONS = {
    "cnn28": [(5, 8, 2), (5, 4, 2)],
    "cnn28-w": [(5, 128, 2), (5, 64, 2)],
    "cnn32": LENET32,
    "cnn32-s": LENET32,
    "cnn32-lw3k": [(3, 128, 2), (3, 256, 0), (3, 256, 2), (3, 128, 2)],
    "cnn224": [(5, 8, 3), (5, 32, 3), (3, 64, 0), (3, 128, 3), (3, 128, 3), (3, 64, 3)],
}
# Extent of the encoder's last map, hidden units, embedding, channels and extent of the decoder's first map.
HEADS = {28: (7, None, 48, 3, 4), 32: (4, 512, 64, 4, 4), 224: (7, 1536, 784, 16, 7)}
# The convolutions of the FCDD nets up to their heads, for classification: (kernel, filters, BN and activation, pool).
BACKBONES = {"cnn28": [(5, 8, True, 2), (5, 16, False, 2)], "cnn28-w": [(5, 128, True, 2), (5, 128, False, 2)]}
VGG11 = {0: 64, 4: 128, 8: 256, 11: 256, 15: 512, 18: 512, 22: 512, 25: 512}
VGG11_POOLED = (0, 4, 11, 18, 25)


class View(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


def pool(kind):
    return nn.MaxPool2d(2, 2) if kind == 2 else nn.MaxPool2d(3, 2, 1)


class Builder:
    """Collects named modules in order."""

    def __init__(self, bias):
        self.net, self.bias = nn.Sequential(), bias

    def add(self, name, module):
        self.net.add_module(name.replace(".", "_"), module)

    def plain(self, module):
        self.add(f"step{len(self.net)}", module)

    def block(self, name, module, norm, activation=True):
        self.add(name, module)
        channels = getattr(module, "out_channels", None) or module.out_features
        kind = nn.BatchNorm1d if isinstance(module, nn.Linear) else nn.BatchNorm2d
        self.add(norm, kind(channels, eps=EPS, affine=self.bias))
        if activation:
            self.plain(nn.LeakyReLU(SLOPE))


def divided(filters, thin):
    return max(1, filters // thin)


def family(name):
    return int(name[3:].split("-")[0])


def add_encoder(b, name, channels, thin):
    extent, hidden, embedding, _, _ = HEADS[family(name)]
    width = channels
    for i, (kernel, filters, pooling) in enumerate(CONVOLUTIONS[name]):
        filters = divided(filters, thin)
        b.block(f"conv{i + 1}", nn.Conv2d(width, filters, kernel, padding=kernel // 2, bias=b.bias), f"bn2d{i + 1}")
        if pooling:
            b.plain(pool(pooling))
        width = filters
    b.plain(nn.Flatten())
    width *= extent * extent
    if hidden is not None:
        b.block("fc1", nn.Linear(width, divided(hidden, thin), bias=b.bias), "bn1d1")
        width = divided(hidden, thin)
    b.add("fc_final", nn.Linear(width, embedding, bias=b.bias))


def add_decoder(b, name, channels, thin):
    _, hidden, embedding, width, extent = HEADS[family(name)]
    if hidden is not None:
        b.add("bn1d", nn.BatchNorm1d(embedding, eps=EPS, affine=b.bias))
    b.plain(View(width, extent, extent))
    b.plain(nn.LeakyReLU(SLOPE))
    back = CONVOLUTIONS[name][::-1]
    kernels = [back[0][0]] + [kernel for kernel, _, _ in back]
    if hidden is None:
        b.plain(nn.UpsamplingNearest2d(scale_factor=2))
    for i, (_, filters, pooling) in enumerate(back):
        padding = 3 if hidden is None and i == 1 else kernels[i] // 2
        layer = nn.ConvTranspose2d(width, divided(filters, thin), kernels[i], padding=padding, bias=b.bias)
        nn.init.xavier_uniform_(layer.weight, gain=GAIN)
        b.block(f"deconv{i + 1}", layer, f"bn2d{len(back) + i + 1}")
        if pooling:
            b.plain(nn.UpsamplingNearest2d(scale_factor=2))
        width = divided(filters, thin)
    layer = nn.ConvTranspose2d(width, channels, kernels[-1], padding=kernels[-1] // 2, bias=b.bias)
    nn.init.xavier_uniform_(layer.weight, gain=GAIN)
    b.add(f"deconv{len(back) + 1}", layer)
    if family(name) != 32:
        b.plain(nn.Sigmoid())


def encoder(name, channels, bias=True, thin=1):
    b = Builder(bias)
    add_encoder(b, name, channels, thin)
    return b.net


def autoencoder(name, channels, bias=True, thin=1):
    b = Builder(bias)
    add_encoder(b, name, channels, thin)
    add_decoder(b, name, channels, thin)
    return b.net


def classifier(name, channels, classes):
    b, width = Builder(True), channels
    for i, (kernel, filters, norm, pooling) in enumerate(BACKBONES[name]):
        layer = nn.Conv2d(width, filters, kernel, padding=kernel // 2)
        if norm:
            b.block(f"conv{i + 1}", layer, f"bn2d{i + 1}")
        else:
            b.add(f"conv{i + 1}", layer)
        if pooling:
            b.plain(pool(pooling))
        width = filters
    b.plain(nn.LeakyReLU(SLOPE))
    b.plain(nn.AdaptiveAvgPool2d(1))
    b.plain(nn.Flatten())
    b.add("classifier", nn.Linear(width, classes))
    return b.net


def vgg11(channels, thin, dropout):
    """torchvision's VGG11-bn; `dropout(layer)` makes the module that stands for the layer-th dropout."""
    b, width = Builder(True), channels
    for index, filters in VGG11.items():
        filters = divided(filters, thin)
        b.add(f"features.{index}", nn.Conv2d(width, filters, 3, padding=1))
        b.add(f"features.{index + 1}", nn.BatchNorm2d(filters))
        b.plain(nn.ReLU())
        if index in VGG11_POOLED:
            b.plain(pool(2))
        width = filters
    b.plain(nn.AdaptiveAvgPool2d(7))
    b.plain(nn.Flatten())
    hidden = divided(4096, thin)
    b.add("classifier.0", nn.Linear(width * 49, hidden))
    b.plain(nn.ReLU())
    b.plain(dropout(0))
    b.add("classifier.3", nn.Linear(hidden, hidden))
    b.plain(nn.ReLU())
    b.plain(dropout(1))
    b.add("classifier.6", nn.Linear(hidden, divided(1000, thin)))
    return b.net


def hypersphere_losses(z, labels):
    """Per sample: sqrt(|z|^2+1)-1, of anomalies the log term. labels: 1 anomalous."""
    square = (z**2).sum(1)
    distance = square / (torch.sqrt(square + 1) + 1)
    anomalous = -torch.log(-torch.expm1(-distance) + FLOOR)
    return torch.where(labels.bool(), anomalous, distance)


def losses(method, z, x, labels, centre=None):
    if method == "hsc":
        return hypersphere_losses(z, labels)
    if method == "ae":
        return ((z - x) ** 2).flatten(1).mean(1)
    if method == "dsvdd":
        return ((z - centre) ** 2).sum(1)
    return F.cross_entropy(z, labels, reduction="none")


def centre_of(outputs):
    """Deep SVDD's centre: the mean of a first pass, kept away from zero."""
    mean = outputs.mean(0)
    far = torch.where(mean < 0, torch.full_like(mean, -0.1), torch.full_like(mean, 0.1))
    return torch.where(mean.abs() < 0.1, far, mean)


def ours(module, name, value):
    """A parameter in the engine's layout (OIHW, one kernel for all of a layer's input) as a flat array."""
    value = value.detach()
    if isinstance(module, nn.ConvTranspose2d) and name == "weight":
        value = value.transpose(0, 1).flip(2, 3)
    return value.double().flatten().numpy().copy()


def theirs(module, name, flat):
    """The inverse of `ours`: a float64 array -> the tensor of the module."""
    value = torch.from_numpy(flat)
    shape = getattr(module, name).shape
    if isinstance(module, nn.ConvTranspose2d) and name == "weight":
        inputs, outputs, height, width = shape
        return value.reshape(outputs, inputs, height, width).flip(2, 3).transpose(0, 1).contiguous()
    return value.reshape(shape)


def named_layers(net):
    """(name as the engine has it, module) of the layers with tensors, in order."""
    for name, module in net.named_children():
        if list(module.parameters()) or hasattr(module, "running_mean"):
            vgg = name.startswith(("features_", "classifier_"))
            yield (name.replace("_", ".") if vgg else name), module


def held_biases(net):
    """Biases whose gradient a batch normalisation cancels: exactly 0 in the engine, rounding noise in PyTorch."""
    modules = list(net.children())
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    pairs = zip(modules, modules[1:])
    return [a.bias for a, b in pairs if getattr(a, "bias", None) is not None and isinstance(b, norms)]


def fan_in(module):
    """Inputs of one output."""
    weight = module.weight
    return weight.numel() // (weight.shape[1] if isinstance(module, nn.ConvTranspose2d) else weight.shape[0])
