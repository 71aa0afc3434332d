"""Writes test/golden/ilsvrc-meta.mat: a small file laid out as meta.mat of ImageNet's development kit (a struct array
`synsets` with the fields of ILSVRC 2012, compressed), by SciPy. Run with a Python that has SciPy and NumPy."""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.io import savemat

root = Path(__file__).resolve().parents[2]
thirty = json.loads((root / "src/data/normalisation.json").read_text())["imagenet30"]
# Further classes: by their names some show what Pascal VOC is about, as a whole word only.
others = [
    ("n02123045", "tabby, tabby cat"),
    ("n02981792", "catamaran"),
    ("n04146614", "school bus"),
    ("n01440764", "tench, Tinca tinca"),
    ("n02389026", "sorrel"),
]
leaves = [(entry["wordnetId"], entry["name"]) for entry in thirty] + others
# ILSVRC ids are not in the order of WordNet ids; inner nodes follow the leaves.
leaves = leaves[::-1]
nodes = leaves + [("n00001740", "entity")]
fields = [
    "ILSVRC2012_ID",
    "WNID",
    "words",
    "gloss",
    "num_children",
    "children",
    "wordnet_height",
    "num_train_images",
]
synsets = np.zeros((len(nodes), 1), dtype=[(field, object) for field in fields])
for i, (wnid, words) in enumerate(nodes):
    inner = i >= len(leaves)
    synsets[i, 0] = (
        np.array([[i + 1]], dtype=np.uint16 if i % 2 else np.float64),
        wnid,
        words,
        "naïve, a gloss with a character outside of ASCII",
        np.array([[2 if inner else 0]], dtype=np.uint8),
        np.array([[1, 2]] if inner else [[]], dtype=np.float64),
        np.array([[i % 5]], dtype=np.uint8),
        np.array([[0 if inner else 1300]], dtype=np.uint16),
    )
out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "test/golden/ilsvrc-meta.mat"
savemat(out, {"synsets": synsets}, do_compression=True)
