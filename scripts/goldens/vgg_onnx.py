#!/usr/bin/env python3
"""Real ONNX exports for the import tests: test/golden/onnx/. Needs torch, torchvision and onnx (Debian: python3-torchvision,
python3-onnx). Run: python3 scripts/goldens/vgg_onnx.py

A VGG11-bn of torchvision's own class with thin channels, so that the files are small, exported by torch.onnx as people
do it, and cnn28 with a linear head, as a backbone that somebody trained as a classifier. BN statistics are those of the
images x/0 ... x/15 of formula.py under batch statistics, some gammas are negative. vgg-thin.json holds the activations
after every block in float64, N x H x W x C.
"""

import copy
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.onnx import TrainingMode
from torchvision.models.vgg import VGG, make_layers

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))
import fcdd_torch as fcdd  # noqa: E402
from formula import tensor  # noqa: E402
from training import fill  # noqa: E402

TARGET = Path(__file__).resolve().parents[2] / "test" / "golden" / "onnx"
FILTERS = [4, "M", 6, "M", 8, 8, "M", 10, 10, "M", 10, 10, "M"]
IMAGES, SIZE, SCALE = 16, 32, 1.75
# torchvision module number of the last module of each block that is kept.
BLOCK_ENDS = [3, 7, 10, 14, 17, 20]
KEPT = {"training": TrainingMode.PRESERVE, "do_constant_folding": False}


def images(channels, size):
    x = np.stack([tensor(f"x/{i}", (size, size, channels), SCALE) for i in range(IMAGES)])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()


def prepare(model, x):
    """Formula weights, every third gamma negative, BN statistics of x under batch statistics; evaluation mode."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 2 / np.sqrt(np.prod(module.weight.shape[1:]))
            fill(module.weight, f"{name}.weight", bound, 0)
            fill(module.bias, f"{name}.bias", bound, 0)
        if isinstance(module, nn.BatchNorm2d):
            fill(module.weight, f"{name}.weight", 0.25, 1)
            fill(module.bias, f"{name}.bias", 0.25, 0)
            module.weight.data[::3] *= -1
            module.momentum = None
    counts = {}
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_pre_hook(lambda m, inputs: counts.update({m: inputs[0].numel() / m.num_features}))
    model.double().train()
    with torch.no_grad():
        model(x)
    for norm in norms:
        # The biased variance, so that inference on these images is what the batch statistics gave.
        norm.running_var *= (counts[norm] - 1) / counts[norm]
        norm.momentum = 0.1
        norm._forward_pre_hooks.clear()
    return model.float().eval()


def export(model, x, name, **options):
    """Exports a copy: tracing in training mode moves the running statistics."""
    path = TARGET / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(copy.deepcopy(model), x.float(), str(path), **options)
    return path


def rewritten(source, name, change, **options):
    """`source` with its initialisers changed, written as `name`."""
    model = onnx.load(str(source))
    change(model.graph)
    onnx.save(model, str(TARGET / name), **options)


def to_constants(graph):
    nodes = [onnx.helper.make_node("Constant", [], [t.name], value=t) for t in graph.initializer]
    rest = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.node.extend(nodes + rest)


def to_half(graph):
    for t in graph.initializer:
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16), t.name))


def to_float_data(graph):
    for t in graph.initializer:
        values = numpy_helper.to_array(t)
        t.CopyFrom(onnx.helper.make_tensor(t.name, onnx.TensorProto.FLOAT, values.shape, values.flatten()))


def vgg_files():
    x = images(3, SIZE)
    model = VGG(make_layers(FILTERS, batch_norm=True))
    # A head that is small but follows the features in a file as the real one does.
    model.classifier = nn.Sequential(nn.Linear(10 * 49, 2), nn.ReLU(True), nn.Dropout(), nn.Linear(2, 3))
    prepare(model, x)
    shown = torch.zeros(1, 3, 224, 224)
    kept = export(model, shown, "vgg-thin-kept.onnx", **KEPT)
    export(model, shown, "vgg-thin-folded.onnx")
    export(model, shown, "vgg-thin-training.onnx", training=TrainingMode.TRAINING, do_constant_folding=False)
    export(model, shown, "vgg-thin-opset9.onnx", opset_version=9, keep_initializers_as_inputs=True, **KEPT)
    rewritten(kept, "vgg-thin-constants.onnx", to_constants)
    rewritten(kept, "vgg-thin-half.onnx", to_half)
    rewritten(kept, "vgg-thin-float-data.onnx", to_float_data)
    rewritten(
        kept,
        "vgg-thin-external.onnx",
        lambda graph: None,
        save_as_external_data=True,
        location="vgg-thin-external.bin",
        size_threshold=0,
    )
    return {"blocks": blocks(model.double(), x[:1])}


def blocks(model, x):
    """Module number -> activations (H x W x C) of the first image in evaluation mode."""
    found = {}
    with torch.no_grad():
        for number, module in enumerate(model.features):
            x = module(x)
            if number in BLOCK_ENDS:
                y = x[0].permute(1, 2, 0)
                found[number] = {"shape": list(y.shape), "data": y.flatten().tolist()}
    return found


def cnn28_files():
    x = images(1, 28)
    features = fcdd.small_network("cnn28", 1)
    del features.conv_final
    model = prepare(nn.Sequential(features, nn.Flatten(), nn.Linear(16 * 49, 3)), x)
    export(model, x[:1], "cnn28-kept.onnx", **KEPT)
    export(model, x[:1], "cnn28-folded.onnx")


def main():
    TARGET.mkdir(exist_ok=True)
    (TARGET / "vgg-thin-external.bin").unlink(missing_ok=True)
    content = {"torch": torch.__version__, "onnx": onnx.__version__, **vgg_files()}
    cnn28_files()
    (TARGET / "vgg-thin.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
    for path in sorted(TARGET.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
