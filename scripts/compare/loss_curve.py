#!/usr/bin/env python3
"""Repeats training steps that another engine exported, and prints their losses: one JSON object.

Input: a safetensors file with the initial tensors "initial/<name>", per step "pixels/<step>" (N x H x W x C, normalised)
and "labels/<step>", metadata "model", "rates" (JSON list, one per step), "momentum", "weightDecay" (SGD, Nesterov).
--double repeats the steps in float64 too: the distance between both is PyTorch's own rounding.
"""

import argparse
import json
import pathlib
import struct
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fcdd_torch as fcdd  # noqa: E402

TYPES = {"F32": np.float32, "F64": np.float64, "U8": np.uint8}


def read_safetensors(path):
    """(tensors, metadata) of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, metadata


def load(tensors, model, dtype):
    """The network with the exported initial tensors."""
    channels = tensors["pixels/0"].shape[-1]
    network = fcdd.network(model, channels)
    state = network.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            state[name] = tensors[f"initial/{name}"].reshape(value.shape)
    network.load_state_dict(state)
    return network.to(dtype).train()


def losses(tensors, metadata, dtype):
    """The loss of each step, before its update."""
    network = load(tensors, metadata["model"], dtype)
    rates, decay = json.loads(metadata["rates"]), float(metadata["weightDecay"])
    momentum = float(metadata["momentum"])
    optimiser = torch.optim.SGD(network.parameters(), 1.0, momentum, weight_decay=decay, nesterov=True)
    found = []
    for step, rate in enumerate(rates):
        optimiser.param_groups[0]["lr"] = rate
        x = tensors[f"pixels/{step}"].permute(0, 3, 1, 2).to(dtype)
        loss = fcdd.samplewise_losses(network(x), tensors[f"labels/{step}"].long()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tensors, metadata = read_safetensors(args.file)
    result = {"torch": torch.__version__, "float32": losses(tensors, metadata, torch.float32)}
    if args.double:
        result["float64"] = losses(tensors, metadata, torch.float64)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
