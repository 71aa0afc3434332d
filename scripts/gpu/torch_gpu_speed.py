#!/usr/bin/env python3
"""PyTorch's best milliseconds on a GPU for the networks that fcdd_cuda_bench times: its peer in scripts/gpu-verify.

  torch_gpu_speed.py [--device cuda] [--precisions float32,tf32,bf16] [--seconds 100] [--json FILE] [--table FILE]

Channels-last, cuDNN's own search switched on. Training: one SGD step (Nesterov) on a batch that lies in device memory,
sample-wise loss, forward, backward and update; bf16 by autocast. Inference: batch normalisation folded, up to the
scores; bf16 weights. Each is measured plain ("eager"), captured as a CUDA graph, compiled by torch.compile, and both;
the best is the result. Plain and graph come first for every network, then torch.compile as far as the time goes.

--table gets a line per result: network, training or inference, precision, batch, milliseconds, variant, by tabs.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
import fcdd_torch as fcdd  # noqa: E402
from torch_speed import folded, input_of  # noqa: E402

BATCHES = {"cnn28-w": 128, "cnn32-lw3k": 200, "cnn224": 128, "vgg11-f": 128}
INFERENCE_BATCH = 64
ROUNDS, ROUND_SECONDS, WARM_UP, MOST_CALLS = 5, 0.1, 3, 200
BEGAN = time.perf_counter()


class Machine:
    """The device, and how to wait for it; a processor stands in for a GPU where this script is tested."""

    def __init__(self, device, reduced):
        self.device = torch.device(device)
        self.gpu = self.device.type == "cuda"
        self.reduced = reduced

    def wait(self):
        if self.gpu:
            torch.cuda.synchronize()

    def median_ms(self, step):
        for _ in range(1 if self.reduced else WARM_UP):
            step()
        once = self.round_ms(step, 1)
        if self.reduced:
            return once
        calls = max(1, min(MOST_CALLS, int(ROUND_SECONDS * 1000 / max(once, 1e-3))))
        return statistics.median(self.round_ms(step, calls) for _ in range(ROUNDS))

    def round_ms(self, step, calls):
        self.wait()
        began = time.perf_counter()
        for _ in range(calls):
            step()
        self.wait()
        return (time.perf_counter() - began) * 1000 / calls

    def captured(self, step):
        """`step` as a CUDA graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    def out_of_memory(self, error):
        return self.gpu and isinstance(error, torch.cuda.OutOfMemoryError)

    def clear(self):
        if hasattr(torch, "_dynamo"):
            torch._dynamo.reset()
        if self.gpu:
            torch.cuda.empty_cache()


def set_precision(precision):
    """TF32 also helps bf16 runs: their float32 parts."""
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def autocast(machine, precision):
    if precision != "bf16":
        return contextlib.nullcontext()
    # Without the cache: casts that are kept across calls do not belong into a graph.
    return torch.autocast(machine.device.type, dtype=torch.bfloat16, cache_enabled=False)


def maybe_compiled(model, compiled):
    return torch.compile(model) if compiled else model


def training_step(machine, name, precision, batch, compiled):
    channels, size = input_of(name)
    model = fcdd.network(name, channels).to(machine.device, memory_format=torch.channels_last).train()
    x = torch.randn(batch, channels, size, size, device=machine.device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=machine.device) % 2
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trainable, 1e-4, 0.9, nesterov=True, weight_decay=1e-4)
    forward = maybe_compiled(model, compiled)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with autocast(machine, precision):
            z = forward(x)
        fcdd.samplewise_losses(z.float(), labels).mean().backward()
        optimiser.step()

    return step


def inference_step(machine, name, precision, batch, compiled):
    channels, size = input_of(name)
    network = folded(fcdd.network(name, channels))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = network.to(machine.device, dtype, memory_format=torch.channels_last)
    x = torch.randn(batch, channels, size, size, device=machine.device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    forward = maybe_compiled(network, compiled)

    def step():
        with torch.inference_mode():
            fcdd.pseudo_huber(forward(x).float()).flatten(1).mean(1)

    return step


def reason(error):
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:300]


def measure(machine, name, what, precision, compiled):
    """{"batch", "variants": {variant: ms}, "errors"} of one network, with the largest batch that fits."""
    make = training_step if what == "training" else inference_step
    batch = BATCHES[name] if what == "training" else INFERENCE_BATCH
    batch = 2 if machine.reduced else batch
    prefix = "compiled" if compiled else "eager"
    while batch >= 1:
        found = {"batch": batch, "variants": {}, "errors": {}}
        try:
            set_precision(precision)
            step = make(machine, name, precision, batch, compiled)
            found["variants"][prefix] = machine.median_ms(step)
            if machine.gpu:
                add_graph(machine, step, prefix, found)
            return found
        except Exception as error:  # whatever a variant does not take is left out, with its reason
            if not machine.out_of_memory(error):
                found["errors"][prefix] = reason(error)
                return found
            batch //= 2
        finally:
            step = None
            machine.clear()
    return {"batch": 0, "variants": {}, "errors": {prefix: "out of memory"}}


def add_graph(machine, step, prefix, found):
    try:
        found["variants"][f"{prefix}, graph"] = machine.median_ms(machine.captured(step))
    except Exception as error:
        found["errors"][f"{prefix}, graph"] = reason(error)


def merge(results, key, found):
    """Adds the variants of a second measurement; of different batches the larger one stands."""
    known = results.setdefault(key, found)
    if known is found:
        return
    if found["batch"] > known["batch"] and found["variants"]:
        results[key] = found
    elif found["batch"] == known["batch"]:
        known["variants"].update(found["variants"])
    results[key]["errors"] = {**known["errors"], **found["errors"]}


def run_all(machine, precisions, seconds):
    results, left_out = {}, []
    # torch.compile takes long: the networks and precisions that gain most come first.
    rounds = [(False, precisions)]
    if hasattr(torch, "compile") and not machine.reduced:
        rounds.append((True, sorted(precisions, key=["bf16", "tf32", "float32"].index)))
    for compiled, order in rounds:
        for precision in order:
            for name in BATCHES:
                for what in ("training", "inference"):
                    if time.perf_counter() - BEGAN > seconds:
                        left_out.append(f"{name}, {what}, {precision}{', compiled' if compiled else ''}")
                        continue
                    found = measure(machine, name, what, precision, compiled)
                    merge(results, (name, what, precision), found)
                    shown = {k: round(v, 3) for k, v in found["variants"].items()}
                    print(f"{name:11} {what:9} {precision:7} batch {found['batch']:4} {shown}", flush=True)
    return results, left_out


def rows_of(results):
    rows = []
    for (name, what, precision), found in results.items():
        variants = found["variants"]
        variant = min(variants, key=variants.get) if variants else None
        rows.append(
            {
                "network": name,
                "what": what,
                "precision": precision,
                "batch": found["batch"],
                "ms": variants.get(variant),
                "variant": variant,
                "all": variants,
                "errors": found["errors"],
            }
        )
    return rows


def write(path, text):
    if path:
        pathlib.Path(path).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precisions", default="float32,tf32,bf16")
    parser.add_argument("--seconds", type=float, default=100, help="begin nothing after this")
    parser.add_argument("--reduced", action="store_true", help="two images, one call: only to test this script")
    parser.add_argument("--json")
    parser.add_argument("--table")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    machine = Machine(args.device, args.reduced)
    results, left_out = run_all(machine, args.precisions.split(","), args.seconds)
    rows = rows_of(results)
    report = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if machine.gpu else None,
        "rows": rows,
        "leftOut": left_out,
    }
    write(args.json, json.dumps(report) + "\n")
    keys = ("network", "what", "precision", "batch", "ms", "variant")
    write(args.table, "".join("\t".join(str(row[k]) for k in keys) + "\n" for row in rows if row["ms"] is not None))


if __name__ == "__main__":
    main()
