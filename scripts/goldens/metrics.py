"""Image and pixel figures of scikit-learn, and AUPRO of aupro.py, with ties and odd sizes: metrics.json."""

import numpy as np
from sklearn import metrics

from aupro import aupro
from formula import values


def ranking(labels, scores):
    """ROC-AUC, average precision, best F1 and the lowest threshold that reaches it; None where a label is missing."""
    if len(np.unique(labels)) < 2:
        return {"rocAuc": None, "averagePrecision": None, "bestF1": None}
    precision, recall, thresholds = metrics.precision_recall_curve(labels, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    lowest = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[0])
    return {
        "rocAuc": float(metrics.roc_auc_score(labels, scores)),
        "averagePrecision": float(metrics.average_precision_score(labels, scores)),
        "bestF1": {"f1": float(f1.max()), "threshold": float(thresholds[lowest])},
    }


def upsampled(image):
    """The map at the mask's size: nearest neighbour, source index floor(i * in / out)."""
    rows = np.arange(image["mask"].shape[0]) * image["map"].shape[0] // image["mask"].shape[0]
    columns = np.arange(image["mask"].shape[1]) * image["map"].shape[1] // image["mask"].shape[1]
    return image["map"][rows][:, columns]


def figures(images):
    scores, masks = [upsampled(i) for i in images], [i["mask"] for i in images]
    flat = [np.concatenate([a.ravel() for a in arrays]) for arrays in (masks, scores)]
    return {**ranking(*flat), "aupro": aupro(scores, masks)}


def pixel_case(name, images):
    types = sorted({i["type"] for i in images} - {None})
    return {
        "name": name,
        "images": [
            {"type": i["type"], **{k: {"shape": i[k].shape, "data": i[k].ravel().tolist()} for k in ("map", "mask")}}
            for i in images
        ],
        "all": figures(images),
        "perType": {t: figures([i for i in images if i["type"] in (t, None)]) for t in types},
    }


def image(name, shape, mask_shape, kind, levels, defects=()):
    """Scores in `levels` steps, higher in the defects: (row, column, height, width) of the mask."""
    mask = np.zeros(mask_shape, dtype=int)
    for row, column, height, width in defects:
        mask[row : row + height, column : column + width] = 1
    rows = np.arange(shape[0]) * mask_shape[0] // shape[0]
    columns = np.arange(shape[1]) * mask_shape[1] // shape[1]
    scores = values(f"{name}/map", shape[0] * shape[1]).reshape(shape) + 0.7 * mask[rows][:, columns]
    scores = np.round(scores * levels) / levels
    return {"type": kind, "map": scores.astype(np.float32).astype(np.float64), "mask": mask}


def pixel_cases():
    good = image("good", (8, 8), (13, 9), None, 8)
    diagonal = [(2, 2, 3, 3), (5, 5, 2, 4), (10, 0, 1, 9)]  # the first two touch at a corner: one component
    crack = image("crack", (8, 8), (13, 11), "crack", 8, diagonal)
    hole = image("hole", (8, 8), (8, 8), "hole", 8, [(0, 0, 2, 2), (6, 6, 2, 2), (3, 3, 1, 1)])
    small = image("small", (9, 7), (4, 5), "hole", 1000, [(0, 0, 1, 1), (0, 2, 2, 1)])
    shared = image("shared", (3, 3), (16, 16), "hole", 1000, [(0, 0, 2, 2), (3, 3, 1, 1), (0, 12, 16, 3)])
    fine = image("fine", (12, 12), (24, 24), "crack", 1e6, [(3, 4, 7, 5), (15, 2, 4, 18)])
    calm = image("calm", (12, 12), (24, 24), None, 1e6)
    constant = {"type": "crack", "map": np.full((4, 4), 0.5), "mask": np.eye(6, dtype=int)}
    sharp = {"type": "crack", "map": np.arange(16.0).reshape(4, 4), "mask": (np.arange(16).reshape(4, 4) > 11) * 1}
    return [
        pixel_case("ties, diagonals, masks larger than maps", [good, crack, hole]),
        pixel_case("all sizes and types", [good, crack, hole, small, shared, fine, calm]),
        pixel_case("few ties", [fine, calm]),
        pixel_case("several components in one map pixel", [shared]),
        pixel_case("mask smaller than the map", [small, good]),
        pixel_case("everything tied", [constant]),
        pixel_case("perfect", [sharp]),
        pixel_case("the defect scores lowest", [{**sharp, "map": -sharp["map"]}]),
        pixel_case("no defects", [good, calm]),
        pixel_case("no normal pixels", [{**sharp, "mask": np.ones((4, 4), dtype=int)}]),
    ]


def image_case(name, labels, scores):
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    return {"name": name, "labels": labels.tolist(), "scores": scores.tolist(), **ranking(labels, scores)}


def drawn(name, count, levels):
    labels = (values(f"metrics/{name}/label", count) > 0.3).astype(int)
    scores = np.round((values(f"metrics/{name}/score", count) + 0.6 * labels) * levels) / levels
    return image_case(name, labels, scores)


def image_cases():
    return [
        image_case("perfect", [0, 0, 1, 1], [1, 2, 3, 4]),
        image_case("reversed", [1, 1, 0, 0], [1, 2, 3, 4]),
        image_case("all tied", [0, 1, 0, 1, 1], [0.5] * 5),
        image_case("two equally good thresholds", [1, 0, 0, 1], [1, 2, 3, 4]),
        image_case("no anomalies", [0, 0], [1, 2]),
        image_case("no normal images", [1, 1], [1, 2]),
        drawn("few levels", 60, 3),
        drawn("many levels", 90, 1000),
    ]


def files():
    """File name -> content."""
    return {"metrics.json": {"images": image_cases(), "pixels": pixel_cases()}}
