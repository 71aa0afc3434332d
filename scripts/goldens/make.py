#!/usr/bin/env python3
"""Writes every golden file into test/golden. Needs torch, numpy, scikit-learn, SciPy. Run: node scripts/goldens/make.mjs"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import baselines  # noqa: E402
import metrics  # noqa: E402
import ops  # noqa: E402
import roc  # noqa: E402
import snapshot  # noqa: E402
import training  # noqa: E402

TARGET = Path(__file__).resolve().parents[2] / "test" / "golden"
LARGEST = 300_000


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    for module in (baselines, metrics, ops, roc, training):
        for name, content in module.files().items():
            text = json.dumps({"torch": torch.__version__, **content}, separators=(",", ":")) + "\n"
            if len(text) > LARGEST:
                raise SystemExit(f"{name} would have {len(text)} bytes, more than {LARGEST}")
            (TARGET / name).write_text(text)
            print(f"{name}: {len(text)} bytes")


if __name__ == "__main__":
    main()
