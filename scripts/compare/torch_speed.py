#!/usr/bin/env python3
"""Images per second of PyTorch on the CPU, training and inference, at its strongest.

  torch_speed.py --model cnn28-w [--batch 128] [--threads 2] [--seconds 5] [--kind training] [--json]

Each of channels-last and NCHW is measured; the better one is the result. Training: one SGD step (Nesterov) on a batch
that lies in memory, sample-wise loss, forward, backward and update. Inference: evaluation mode, batch normalisation
folded into the convolutions, up to the scores. Run it with glibc told to keep memory (python.mjs, KEEP_MEMORY).

Last line of standard output: {"model", "batch", "height", "width", "threads", "torch",
  "training": {"imagesPerSecond", "format", "all": {format: imagesPerSecond}}, "inference": the same}.
A rate is that of the median step of at least 3, after 5 to warm up, within --seconds per measurement.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fcdd_torch as fcdd  # noqa: E402

INPUTS = {"cnn28": (1, 28), "cnn32": (3, 32), "cnn224": (3, 224), "vgg11": (3, 224)}
FORMATS = {"channels-last": torch.channels_last, "nchw": torch.contiguous_format}
WARM_UP, LEAST_STEPS = 5, 3


def input_of(model):
    """(channels, height and width) of an architecture's published input."""
    return next(size for prefix, size in INPUTS.items() if model.startswith(prefix))


def rate(step, batch, seconds):
    """Images per second of the median step."""
    for _ in range(WARM_UP):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < LEAST_STEPS or time.perf_counter() < end:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return batch / statistics.median(times)


def training_step(model, x, labels):
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-4, 0.9, nesterov=True)
    model.train()

    def step():
        optimiser.zero_grad()
        fcdd.samplewise_losses(model(x), labels).mean().backward()
        optimiser.step()

    return step


def folded(model):
    """The network in evaluation mode as nn.Sequential, each batch normalisation folded into the convolution before."""
    layers = []
    for module in model.eval().modules():
        if list(module.children()):
            continue
        if isinstance(module, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], module)
        else:
            layers.append(module)
    return nn.Sequential(*layers)


def inference_step(model, x):
    network = folded(model)

    def step():
        with torch.inference_mode():
            fcdd.pseudo_huber(network(x)).flatten(1).mean(1)

    return step


def measure(name, batch, seconds, kinds):
    """{"training": {format: rate}, "inference": {format: rate}}, or one of them."""
    channels, size = input_of(name)
    steps = {"training": training_step, "inference": lambda model, x, _: inference_step(model, x)}
    found = {kind: {} for kind in kinds}
    for label, layout in FORMATS.items():
        x = torch.randn(batch, channels, size, size).contiguous(memory_format=layout)
        labels = torch.arange(batch) % 2
        model = fcdd.network(name, channels).to(memory_format=layout)
        for kind in kinds:
            found[kind][label] = rate(steps[kind](model, x, labels), batch, seconds)
    return found


def best(rates):
    chosen = max(rates, key=rates.get)
    return {"imagesPerSecond": rates[chosen], "format": chosen, "all": rates}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--kind", choices=["training", "inference"], help="only this one")
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = [args.kind] if args.kind else ["training", "inference"]
    rates = measure(args.model, args.batch, args.seconds, kinds)
    size = input_of(args.model)[1]
    result = {
        "model": args.model,
        "batch": args.batch,
        "height": size,
        "width": size,
        "threads": args.threads,
        "torch": torch.__version__,
        **{kind: best(found) for kind, found in rates.items()},
    }
    if not args.json:
        for kind in rates:
            print(f"{args.model} {kind}: {result[kind]['imagesPerSecond']:.1f} images/s ({result[kind]['format']})")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
