"""ROC-AUC, ROC and precision-recall figures of scikit-learn, with ties and extremes: rocauc.json."""

import numpy as np
from sklearn import metrics

from formula import values


def case(name, labels, scores):
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return {
        "name": name,
        "labels": labels.tolist(),
        "scores": scores.tolist(),
        "rocAuc": float(metrics.roc_auc_score(labels, scores)),
        "averagePrecision": float(metrics.average_precision_score(labels, scores)),
        "bestF1": float(f1.max()),
        "fpr": fpr.tolist(),
        "tpr": tpr.tolist(),
    }


def drawn(name, count, levels):
    """Random labels and scores rounded to a few levels, so that many tie; anomalies somewhat higher."""
    labels = (values(f"{name}/label", count) > 0.4).astype(int)
    scores = np.round((values(f"{name}/score", count) + 0.5 * labels) * levels) / levels
    return case(name, labels, scores)


def files():
    """File name -> content."""
    return {
        "rocauc.json": {
            "cases": [
                case("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]),
                case("reversed", [1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]),
                case("all-tied", [0, 1, 0, 1, 1], [0.5] * 5),
                case("one-tie-across", [0, 0, 1, 1, 0, 1], [1, 2, 2, 3, 4, 4]),
                case("one-of-each", [1, 0], [1e-300, 0]),
                case("large-range", [0, 1, 0, 1, 1, 0], [-1e30, 1e-12, 1e-13, 1e30, 3e-12, 2e-12]),
                drawn("few-levels", 60, 4),
                drawn("many-levels", 80, 1000),
                drawn("two-levels", 40, 1),
            ]
        }
    }
