#!/usr/bin/env python3
"""Runs an exported ONNX file in Python and compares its outputs with ours: onnx-reference.py FILE.onnx JOB.json

JOB.json: {"shape": [N, H, W, 3], "image": base64 of the bytes, "score" | "map" | "heatmap": base64 of float32 values}.
Prints one JSON object: the evaluator, the relative distance (L2) of each output, the number of nodes by operator.
The evaluator is the first there is of onnxruntime, onnx.reference (onnx >= 1.13) and, with an older onnx such as
Debian 12's, the PyTorch functions below, one per operator. FCDD_ONNX_EVALUATOR names one.
"""

import base64
import json
import os
import sys
from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper


def with_onnxruntime(model, feeds):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["score", "map", "heatmap"], feeds)


def with_onnx_reference(model, feeds):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(["score", "map", "heatmap"], feeds)


def with_torch(model, feeds):
    import torch
    import torch.nn.functional as F

    kinds = {1: torch.float32, 7: torch.int64, 10: torch.float16, 11: torch.float64}

    def resolved(x, axes):
        return [int(a) % x.dim() for a in axes]

    def divide(a, b):
        return torch.div(a, b, rounding_mode="trunc") if a.dtype == torch.int64 else a / b

    def gather(x, i, axis=0):
        return torch.index_select(x, axis, i.reshape(-1))

    def cut(x, starts, ends, axes):
        for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist()):
            x = x.narrow(axis, start, end - start)
        return x

    def symmetric(pads):
        half = len(pads) // 2
        if pads[:half] != pads[half:]:
            raise SystemExit(f"expected symmetric pads, received {pads}")
        return pads[:half]

    def transposed(x, w, kernel_shape, strides, pads):
        full = F.conv_transpose2d(x, w, stride=strides)
        top, left, bottom, right = pads
        return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]

    def mean(x, axes=None, given=None, keepdims=1):
        return x.mean(dim=given if axes is None else axes.tolist(), keepdim=bool(keepdims))

    table = {
        "Abs": torch.abs,
        "Add": torch.add,
        "BatchNormalization": lambda x, g, b, m, v, epsilon: F.batch_norm(x, m, v, g, b, eps=epsilon),
        "Cast": lambda x, to: x.to(kinds[to]),
        "Conv": lambda x, w, b=None, kernel_shape=None, strides=1, pads=(0, 0, 0, 0): F.conv2d(
            x, w, b, stride=strides, padding=symmetric(list(pads))
        ),
        "ConvTranspose": transposed,
        "Div": divide,
        "Equal": torch.eq,
        "Floor": torch.floor,
        "Gather": gather,
        "Greater": torch.gt,
        "LeakyRelu": lambda x, alpha: F.leaky_relu(x, alpha),
        "MatMul": torch.matmul,
        "Max": torch.maximum,
        "MaxPool": lambda x, kernel_shape, strides, pads: F.max_pool2d(x, kernel_shape, strides, symmetric(pads)),
        "Min": torch.minimum,
        "Mod": torch.remainder,
        "Mul": torch.mul,
        "Range": lambda a, b, step: torch.arange(int(a), int(b), int(step)),
        "ReduceMean": mean,
        "ReduceSum": lambda x, axes, keepdims: x.sum(dim=axes.tolist(), keepdim=bool(keepdims)),
        "Relu": F.relu,
        "Shape": lambda x: torch.tensor(x.shape),
        "Slice": cut,
        "Sqrt": torch.sqrt,
        "Squeeze": lambda x, axes: x.squeeze(resolved(x, axes)[0]),
        "Sub": torch.sub,
        "Transpose": lambda x, perm: x.permute(perm),
        "Unsqueeze": lambda x, axes: x.unsqueeze(int(axes[0])),
        "Where": torch.where,
    }
    values = {t.name: torch.from_numpy(np.array(numpy_helper.to_array(t))) for t in model.graph.initializer}
    values.update({name: torch.from_numpy(x) for name, x in feeds.items()})
    for node in model.graph.node:
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "ReduceMean" and "axes" in options:
            options["given"] = options.pop("axes")
        values[node.output[0]] = table[node.op_type](*[values[name] for name in node.input], **options)
    return [values[name].numpy() for name in ("score", "map", "heatmap")]


EVALUATORS = {"onnxruntime": with_onnxruntime, "onnx.reference": with_onnx_reference, "torch": with_torch}


def run(model, feeds):
    forced = os.environ.get("FCDD_ONNX_EVALUATOR")
    for name in [forced] if forced else EVALUATORS:
        try:
            return name, EVALUATORS[name](model, feeds)
        except ImportError:
            continue
    raise SystemExit("expected onnxruntime, onnx >= 1.13 or torch beside onnx; found none of them")


def main():
    model = onnx.load(sys.argv[1])
    onnx.checker.check_model(model, full_check=True)
    with open(sys.argv[2]) as file:
        job = json.load(file)
    decode = lambda key, kind: np.frombuffer(base64.b64decode(job[key]), dtype=kind)  # noqa: E731
    name, outputs = run(model, {"image": decode("image", np.uint8).reshape(job["shape"]).copy()})
    distances = {}
    for key, output in zip(("score", "map", "heatmap"), outputs):
        ours = decode(key, np.float32).astype(np.float64)
        distances[key] = float(np.linalg.norm(output.ravel() - ours) / np.linalg.norm(ours))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    nodes = Counter(node.op_type for node in model.graph.node)
    print(json.dumps({"evaluator": name, **distances, "threshold": metadata["threshold"], "nodes": nodes}))


if __name__ == "__main__":
    main()
