#!/usr/bin/env python3
"""The PyTorch side of vgg-import.mjs: torchvision's vgg11_bn at full size, exported in the ways people do, and what PyTorch
computes with it. Usage: vgg_import.py FOLDER. Prints one JSON line.

Weights are torchvision's random initialisation, batch normalisation has gamma, beta and statistics far from their
defaults. Files: kept.onnx (batch normalisation as nodes), folded.onnx (PyTorch's default), timm.safetensors (the names of
timm/vgg11_bn.tv_in1k), state.pth, activations.safetensors (after every block, H x W x C, float64) and, per optimiser,
training-<kind>.safetensors: inputs, losses and all tensors after five steps of vgg11-f, with PyTorch float32's distances.
draw-<k>.safetensors: other inputs and the tensors after five steps with Adam. A ReLU within rounding of 0 falls to either
side in float32, and where that happens is the inputs' luck, for PyTorch as for others: one draw says little about either.
"""

import copy
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.onnx import TrainingMode

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "goldens"))
import fcdd_torch as fcdd  # noqa: E402
import training  # noqa: E402
from formula import tensor  # noqa: E402

RUN = ("vgg11-f", 3, 64, 4, False)
DRAWS = 12
# torchvision module number of the last module of each block that is kept.
BLOCK_ENDS = [3, 7, 10, 14, 17, 20]
DTYPES = {np.dtype("float32"): "F32", np.dtype("float64"): "F64", np.dtype("int64"): "I64"}


def write_safetensors(path, tensors):
    header, offset, arrays = {}, 0, []
    for name, value in tensors.items():
        array = np.ascontiguousarray(value)
        header[name] = {
            "dtype": DTYPES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
        arrays.append(array)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(array.tobytes())


def classifier():
    """vgg11_bn with batch normalisation that is far from its initialisation."""
    torch.manual_seed(0)
    model = torchvision.models.vgg11_bn(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            n = module.num_features
            module.weight.data = 1 + 0.25 * torch.randn(n)
            module.bias.data = 0.25 * torch.randn(n)
            module.running_mean = 0.5 * torch.randn(n)
            module.running_var = 0.5 + torch.rand(n)
    return model.eval()


def draw_inputs(draw):
    """Inputs of the five steps; draw 0 is the formula's, as in the goldens."""
    prefix = "" if draw == 0 else f"draw/{draw}/"
    _, channels, size, count, _ = RUN
    shape = (count, size, size, channels)
    return {f"x/{s}": tensor(f"{prefix}x/{s}", shape, training.INPUT_SCALE) for s in range(training.STEPS)}


def write_files(model, folder):
    x = torch.zeros(1, 3, 224, 224)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = {"training": TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(model, x, str(folder / "kept.onnx"), **kept)
        torch.onnx.export(model.eval(), x, str(folder / "folded.onnx"))
    state = model.eval().state_dict()
    torch.save(state, folder / "state.pth")
    write_safetensors(folder / "timm.safetensors", {timm_name(k): v.numpy() for k, v in state.items()})


def timm_name(name):
    """timm turns the first two fully connected layers into convolutions called pre_logits, the last is head.fc."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    layer, part = name.rsplit(".", 1)
    return f"{names.get(layer, layer)}.{part}"


def activations(model):
    x = training.batch(RUN, 0, torch.float64)[:1]
    found = {"input": x[0].permute(1, 2, 0).numpy()}
    with torch.no_grad():
        for number, module in enumerate(copy.deepcopy(model).double().features):
            x = module(x)
            if number in BLOCK_ENDS:
                found[str(number)] = x[0].permute(1, 2, 0).numpy()
    return found


def start(model, dtype, layout):
    """vgg11-f with the classifier's features and a head by the formula."""
    net = fcdd.network("vgg11-f", 3)
    net.features.load_state_dict(model.features[: len(net.features)].state_dict())
    bound = 1 / np.sqrt(net.conv_final.weight.shape[1])
    training.fill(net.conv_final.weight, "conv_final.weight", bound, 0)
    training.fill(net.conv_final.bias, "conv_final.bias", bound, 0)
    return net.to(dtype).to(memory_format=layout)


def five_steps(model, inputs, options, dtype, layout=torch.contiguous_format):
    """(losses, state after): training.train with other initial values and inputs."""
    net = start(model, dtype, layout)
    held, losses = training.biases_before_norm(net), []
    optimiser = training.make_optimiser(net, options)
    net.train()
    for step in range(training.STEPS):
        x = torch.from_numpy(inputs[f"x/{step}"]).permute(0, 3, 1, 2).to(dtype).contiguous(memory_format=layout)
        labels = torch.tensor(training.labels_of(RUN[3], step))
        loss = fcdd.samplewise_losses(net(x), labels).mean()
        optimiser.zero_grad()
        loss.backward()
        for bias in held:
            if bias.grad is not None:
                bias.grad.zero_()
        optimiser.step()
        losses.append(loss.item())
    return losses, training.state_of(net)


def float32_distances(model, inputs, options, after):
    """Per tensor: the largest relative distance of PyTorch's own float32, both layouts, with and without oneDNN."""
    worst = {name: 0.0 for name in after}
    for layout in (torch.contiguous_format, torch.channels_last):
        for enabled in (True, False):
            with torch.backends.mkldnn.flags(enabled=enabled):
                _, single = five_steps(model, inputs, options, torch.float32, layout)
            for name, truth in after.items():
                distance = np.linalg.norm(single[name] - truth) / max(np.linalg.norm(truth), 1e-300)
                worst[name] = max(worst[name], float(distance))
    return worst


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    model = classifier()
    write_files(model, folder)
    write_safetensors(folder / "activations.safetensors", activations(model))
    report = {"torch": torch.__version__, "torchvision": torchvision.__version__, "float32": {}, "draws": []}
    head = start(model, torch.float64, torch.contiguous_format).conv_final
    ends = {"head.weight": head.weight.detach().numpy(), "head.bias": head.bias.detach().numpy()}
    for kind, options in training.OPTIMISERS.items():
        inputs = draw_inputs(0)
        losses, after = five_steps(model, inputs, options, torch.float64)
        content = {**inputs, "losses": np.array(losses), **{f"after/{k}": v for k, v in after.items()}}
        write_safetensors(folder / f"training-{kind}.safetensors", {**content, **ends})
        report["float32"][kind] = float32_distances(model, inputs, options, after)
    for draw in range(DRAWS):
        inputs = draw_inputs(draw)
        _, after = five_steps(model, inputs, training.OPTIMISERS["adam"], torch.float64)
        content = {**inputs, **{f"after/{k}": v for k, v in after.items()}}
        write_safetensors(folder / f"draw-{draw}.safetensors", {**content, **ends})
        report["draws"].append(float32_distances(model, inputs, training.OPTIMISERS["adam"], after))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
