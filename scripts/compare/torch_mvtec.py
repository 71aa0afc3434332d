#!/usr/bin/env python3
"""Trains FCDD on a grey MVTec-AD-like category in PyTorch: the peer of `fcdd-native train --dataset mvtec`.

cnn224, lcnaug1, confetti, pixel-wise loss, SGD; stored at 240x240 by area resampling, constants computed from the
normal training images (both as for any data that has no published constants). Independent code and draws.
--maps FILE.npy receives the 224x224 maps (float32) of the test images; the JSON object that is the last line of
standard output holds their names and scores in the same order. Augmentation is vectorised, equal in distribution to the paper's.
"""

import argparse
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fcdd_torch as fcdd  # noqa: E402
from confetti import confetti  # noqa: E402

NET, STORED, SIZE, CHANNELS, SIGMA = "cnn224", 240, 224, 3, 12.0
BATCH, REPEAT, RATE, DECAY, WEIGHT_DECAY = 128, 10, 1e-3, 0.985, 1e-4
NOISE = 0.1
# (brightness, contrast); saturation and hue do nothing to grey images.
JITTERS = ((0.04, 0.04), (0.005, 0.0005))
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Nearest neighbour with PIL's convention: source = floor((i + 1/2) in / out).
NEAREST = np.floor((np.arange(SIZE) + 0.5) * STORED / SIZE).astype(np.int64)


def list_images(folder):
    """Image files of a folder, sorted by name."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGES) if folder.is_dir() else []
    if not files:
        raise SystemExit(f"--data: expected images in {folder}")
    return files


def area_resize(image):
    """To STORED x STORED: the mean over the covered pixels along an axis that shrinks, linear along one that grows."""
    width, height = image.size
    image = image.resize((STORED, height), Image.BOX if width > STORED else Image.BILINEAR)
    return image.resize((STORED, STORED), Image.BOX if height > STORED else Image.BILINEAR)


def load(files):
    """Grey images at STORED x STORED: N x H x W uint8."""
    return np.stack([np.asarray(area_resize(Image.open(f).convert("L"))) for f in files])


def jitter(images, generator):
    """Brightness and contrast in random order, each rounded to 8 bits, strengths of one of JITTERS per image."""
    images = images.astype(np.float32)
    strength = np.asarray(JITTERS)[generator.integers(0, len(JITTERS), len(images))]
    factors = generator.uniform(1 - strength, 1 + strength).astype(np.float32)
    contrast_first = generator.random(len(images)) < 0.5
    for i, image in enumerate(images):
        for step in (1, 0) if contrast_first[i] else (0, 1):
            target = 0.0 if step == 0 else np.floor(image.mean() + 0.5)
            image[:] = np.rint(np.clip(target + factors[i, step] * (image - target), 0, 255))
    return images


def place(images, masks, generator):
    """One of {random crop SIZE, nearest resize to SIZE} for image and mask alike."""
    out = np.empty((len(images), SIZE, SIZE), images.dtype)
    out_masks = np.empty((len(images), SIZE, SIZE), masks.dtype)
    crops = generator.random(len(images)) < 0.5
    offsets = generator.integers(0, STORED - SIZE + 1, (len(images), 2))
    for i, (top, left) in enumerate(offsets):
        rows = np.arange(top, top + SIZE) if crops[i] else NEAREST
        columns = np.arange(left, left + SIZE) if crops[i] else NEAREST
        out[i] = images[i][rows[:, None], columns]
        out_masks[i] = masks[i][rows[:, None], columns]
    return out, out_masks


def supervise(images, with_masks, generator):
    """With probability 1/2 each image gets confetti; masks: 1 everywhere, or where pixels changed."""
    images, masks = images.copy(), np.zeros(images.shape, np.uint8)
    for i in np.flatnonzero(generator.random(len(images)) < 0.5):
        changed = np.clip(images[i] + confetti(images[i], generator), 0, 255).astype(np.uint8)
        masks[i] = changed != images[i] if with_masks else 1
        images[i] = changed
    return images, masks


def contrast_normalised(images):
    """Grey values in 0..1, N x H x W, repeated to three equal channels and contrast-normalised."""
    x = torch.from_numpy(images)[:, None].expand(-1, CHANNELS, -1, -1)
    return fcdd.local_contrast_normalise(x)


def add_noise(x, torch_generator):
    """With probability 1/2 per image N(0, (NOISE * its std)^2) per value, then clamped to 0..1."""
    sigma = NOISE * x.flatten(1).std(1) * (torch.rand(len(x), generator=torch_generator) < 0.5)
    noise = torch.randn(x.shape, generator=torch_generator) * sigma[:, None, None, None]
    return torch.where(sigma[:, None, None, None] > 0, (x + noise).clamp(0, 1), x)


def make_batch(images, constants, with_masks, generator, torch_generator):
    """(x, masks) of a training batch: supervision, place, jitter, noise, LCN, min-max."""
    images, masks = supervise(images, with_masks, generator)
    images, masks = place(images, masks, generator)
    x = torch.from_numpy(jitter(images, generator) / 255)[:, None].repeat(1, CHANNELS, 1, 1)
    x = fcdd.local_contrast_normalise(add_noise(x, torch_generator))
    x = (x - constants[0]) / (constants[1] - constants[0])
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(masks)[:, None].float()


def test_transform(images):
    """Nearest to SIZE, LCN; the min-max stage is left to the caller."""
    return contrast_normalised(images[:, NEAREST[:, None], NEAREST].astype(np.float32) / 255)


def train_epoch(model, optimiser, images, constants, with_masks, generators):
    """One pass over the list repeated REPEAT times; returns the mean loss."""
    model.train()
    order, total = generators[0].permutation(len(images) * REPEAT) % len(images), 0.0
    field = fcdd.receptive_field(NET)
    for start in range(0, len(order), BATCH):
        x, masks = make_batch(images[order[start : start + BATCH]], constants, with_masks, *generators)
        maps = fcdd.pseudo_huber(model(x))
        losses = fcdd.pixelwise_losses(fcdd.gaussian_upsample_separable(maps, (SIZE, SIZE), field, SIGMA), masks)
        optimiser.zero_grad()
        losses.mean().backward()
        optimiser.step()
        total += losses.detach().sum().item()
    return total / len(order)


def score_test(model, folder, constants):
    """Names, types, scores and upsampled maps of all test images."""
    files = [f for kind in sorted(p for p in (folder / "test").iterdir() if p.is_dir()) for f in list_images(kind)]
    x = (test_transform(load(files)) - constants[0]) / (constants[1] - constants[0])
    model.eval()
    with torch.no_grad():
        maps = torch.cat([fcdd.pseudo_huber(model(part)) for part in x.split(32)])
    upsampled = fcdd.gaussian_upsample_separable(maps, (SIZE, SIZE), fcdd.receptive_field(NET), SIGMA)
    names = [str(f.relative_to(folder / "test")) for f in files]
    return names, maps.flatten(1).mean(1).numpy(), upsampled[:, 0].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--supervise", choices=("malformed-normal", "malformed-normal-gt"), default="malformed-normal")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--maps", type=pathlib.Path, required=True)
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generators = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    images = load(list_images(args.data / "train" / "good"))
    normalised = test_transform(images)
    constants = normalised.min().item(), normalised.max().item()
    model = fcdd.network(NET, CHANNELS).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), RATE, 0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, DECAY)
    began, history = time.perf_counter(), []
    for epoch in range(args.epochs):
        gt = args.supervise == "malformed-normal-gt"
        history.append(train_epoch(model, optimiser, images, constants, gt, generators))
        schedule.step()
        if not args.json:
            print(f"epoch {epoch + 1}: loss {history[-1]:.4f}, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    seconds = time.perf_counter() - began

    names, image_scores, maps = score_test(model, args.data, constants)
    np.save(args.maps, maps.astype(np.float32))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps(
            {
                "supervise": args.supervise,
                "seed": args.seed,
                "epochs": args.epochs,
                "seconds": seconds,
                "imagesPerSecond": len(images) * REPEAT * args.epochs / seconds,
                "threads": args.threads,
                "torch": torch.__version__,
                "peakGiB": peak,
                "loss": history,
                "names": names,
                "scores": image_scores.tolist(),
            }
        )
    )


if __name__ == "__main__":
    main()
