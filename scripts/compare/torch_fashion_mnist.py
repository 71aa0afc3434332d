#!/usr/bin/env python3
"""Trains FCDD on Fashion-MNIST in PyTorch and prints the test ROC-AUC: the peer of `fcdd-native train`.

Same setting (lcnaug1, outlier exposure with probability 1/2, SGD; cnn28-w unless told otherwise), independent code and independent draws.
--data  folder with the four idx files (gz or not)       --oe  folder with CIFAR binary records (training batches)
Last line of standard output: one JSON object.
"""

import argparse
import gzip
import json
import pathlib
import sys
import time

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fcdd_torch as fcdd  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, PAD, RATE, DECAY, WEIGHT_DECAY = 28, 2, 1e-2, 0.98, 1e-6


def read_bytes(folder, stem):
    """The file `stem` or `stem`.gz of a folder, decompressed."""
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.exists():
            data = path.read_bytes()
            return gzip.decompress(data) if path.suffix == ".gz" else data
    raise SystemExit(f"--data: expected {stem} or {stem}.gz in {folder}")


def read_idx(folder, split):
    """(images N x 28 x 28 uint8, labels N) of split 'train' or 't10k'."""
    pixels = np.frombuffer(read_bytes(folder, f"{split}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(read_bytes(folder, f"{split}-labels-idx1-ubyte"), np.uint8, offset=8)
    return pixels.reshape(-1, SIZE, SIZE), labels


def read_exposure(folder):
    """The training batches of a CIFAR folder, each image resized with antialiasing to 28x28, then grey."""
    names = sorted(folder.glob("data_batch_*.bin*"))
    if not names:
        raise SystemExit(f"--oe: expected data_batch_*.bin[.gz] in {folder}")
    parts = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in names]
    records = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 3073)[:, 1:]
    images = records.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    grey = [Image.fromarray(i).resize((SIZE, SIZE), Image.BILINEAR).convert("L") for i in images]
    return np.stack([np.asarray(g) for g in grey])


def class_constants(index):
    """Published minimum and maximum after LCN of one class."""
    classes = json.loads((ROOT / "src/data/normalisation.json").read_text())["fashion-mnist"]["classes"]
    entry = list(classes.values())[index]
    return entry["lcnL1Min"][0], entry["lcnL1Max"][0]


def normalise(pixels, constants):
    """uint8 N x 28 x 28 -> float N x 1 x 28 x 28 after LCN and min-max."""
    x = torch.from_numpy(np.array(pixels)).float().div(255)[:, None]
    low, high = constants
    return (fcdd.local_contrast_normalise(x) - low) / (high - low)


def augment(pixels, generator):
    """Pad 2, random crop 28, horizontal flip with probability 1/2; one draw of each per image."""
    padded = np.pad(pixels, ((0, 0), (PAD, PAD), (PAD, PAD)))
    out = np.empty_like(pixels)
    tops, lefts = generator.integers(0, 2 * PAD + 1, (2, len(pixels)))
    flips = generator.random(len(pixels)) < 0.5
    for i, (top, left, flip) in enumerate(zip(tops, lefts, flips)):
        crop = padded[i, top : top + SIZE, left : left + SIZE]
        out[i] = crop[:, ::-1] if flip else crop
    return out


def make_batch(normal, exposure, constants, generator):
    """Replaces each image with probability 1/2 by one drawn from the exposure set; returns (x, labels)."""
    labels = generator.random(len(normal)) < 0.5
    drawn = exposure[generator.integers(0, len(exposure), len(normal))]
    mixed = np.where(labels[:, None, None], drawn, normal)
    return normalise(augment(mixed, generator), constants), torch.from_numpy(labels.astype(np.int64))


def train(model, images, exposure, constants, epochs, batch, generator):
    """SGD with Nesterov momentum; returns the mean training loss of each epoch."""
    optimiser = torch.optim.SGD(model.parameters(), RATE, 0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, DECAY)
    history = []
    for _ in range(epochs):
        model.train()
        order, total = generator.permutation(len(images)), 0.0
        for start in range(0, len(order), batch):
            x, labels = make_batch(images[order[start : start + batch]], exposure, constants, generator)
            losses = fcdd.samplewise_losses(model(x.contiguous(memory_format=torch.channels_last)), labels)
            optimiser.zero_grad()
            losses.mean().backward()
            optimiser.step()
            total += losses.detach().sum().item()
        schedule.step()
        history.append(total / len(order))
    return history


def arguments(description):
    """A parser of the options that every training on Fashion-MNIST takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--oe", type=pathlib.Path)
    parser.add_argument("--class", dest="normal", type=int, default=0)
    parser.add_argument("--model", choices=("cnn28", "cnn28-w"), default="cnn28-w")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def seeded(args):
    """PyTorch's generator and threads set, and NumPy's generator."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    return np.random.default_rng(args.seed)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    args = parser.parse_args()
    if args.oe is None:
        parser.error("--oe is required")
    generator = seeded(args)
    pixels, labels = read_idx(args.data, "train")
    images, exposure, constants = pixels[labels == args.normal], read_exposure(args.oe), class_constants(args.normal)
    model = fcdd.network(args.model, 1).to(memory_format=torch.channels_last)
    began = time.perf_counter()
    history = train(model, images, exposure, constants, args.epochs, args.batch_size, generator)
    seconds = time.perf_counter() - began

    test_pixels, test_labels = read_idx(args.data, "t10k")
    score = fcdd.scores(model, normalise(test_pixels, constants)).numpy()
    result = {
        "rocAuc": roc_auc_score(test_labels != args.normal, score),
        "class": args.normal,
        "model": args.model,
        "batchSize": args.batch_size,
        "seed": args.seed,
        "epochs": args.epochs,
        "seconds": seconds,
        "imagesPerSecond": len(images) * args.epochs / seconds,
        "threads": args.threads,
        "torch": torch.__version__,
        "loss": history,
    }
    if not args.json:
        print(f"class {args.normal} seed {args.seed}: ROC-AUC {result['rocAuc']:.4f} in {seconds:.1f} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
