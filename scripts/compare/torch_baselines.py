#!/usr/bin/env python3
"""Trains a baseline of the paper on Fashion-MNIST in PyTorch and prints the test ROC-AUC: the peer of
`fcdd-native train --method hsc|ae|dsvdd`.

Data, augmentation and outlier exposure are those of torch_fashion_mnist.py; ae and dsvdd see normal images alone.
Last line of standard output: one JSON object.
"""

import json
import pathlib
import sys
import time

import torch
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import baselines_torch as peer  # noqa: E402
import torch_fashion_mnist as data  # noqa: E402

BATCH_OF_TEST = 250


def make_batch(method, images, exposure, constants, generator):
    if method == "hsc":
        return data.make_batch(images, exposure, constants, generator)
    x = data.normalise(data.augment(images, generator), constants)
    return x, torch.zeros(len(images), dtype=torch.int64)


def optimiser_of(model, args):
    """The settings of `fcdd-native train`: SGD as FCDD's, for Deep SVDD the Adam of its paper."""
    if args.method == "dsvdd":
        return torch.optim.Adam(model.parameters(), 1e-4, weight_decay=data.WEIGHT_DECAY)
    return torch.optim.SGD(model.parameters(), data.RATE, 0.9, weight_decay=data.WEIGHT_DECAY, nesterov=True)


def outputs(model, x):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(BATCH_OF_TEST)])


def train(model, images, exposure, constants, args, generator):
    """Returns the centre (Deep SVDD) or None."""
    centre = peer.centre_of(outputs(model, data.normalise(images, constants))) if args.method == "dsvdd" else None
    optimiser = optimiser_of(model, args)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, data.DECAY)
    for _ in range(args.epochs):
        model.train()
        order = generator.permutation(len(images))
        for start in range(0, len(order), args.batch_size):
            chosen = images[order[start : start + args.batch_size]]
            x, labels = make_batch(args.method, chosen, exposure, constants, generator)
            loss = peer.losses(args.method, model(x), x, labels, centre).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return centre


def main():
    parser = data.arguments(__doc__)
    parser.add_argument("--method", choices=("hsc", "ae", "dsvdd"), required=True)
    args = parser.parse_args()
    generator = data.seeded(args)
    pixels, labels = data.read_idx(args.data, "train")
    images, constants = pixels[labels == args.normal], data.class_constants(args.normal)
    exposure = data.read_exposure(args.oe) if args.method == "hsc" else None
    make = peer.autoencoder if args.method == "ae" else peer.encoder
    model = make(args.model, 1, bias=args.method != "dsvdd")
    began = time.perf_counter()
    centre = train(model, images, exposure, constants, args, generator)
    seconds = time.perf_counter() - began
    test_pixels, test_labels = data.read_idx(args.data, "t10k")
    x = data.normalise(test_pixels, constants)
    score = peer.losses(args.method, outputs(model, x), x, torch.zeros(len(x)), centre).numpy()
    result = {
        "rocAuc": roc_auc_score(test_labels != args.normal, score),
        "method": args.method,
        "class": args.normal,
        "model": args.model,
        "seed": args.seed,
        "epochs": args.epochs,
        "seconds": seconds,
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
