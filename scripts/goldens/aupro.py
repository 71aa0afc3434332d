"""AUPRO as it is defined, threshold by threshold, for small cases: slow and plain on purpose."""

import numpy as np
from scipy import ndimage


def aupro(scores, masks, limit=0.3):
    """scores, masks: lists of equally large arrays, one pair per image. None without defects or normal pixels."""
    components = []
    for s, m in zip(scores, masks):
        labels, count = ndimage.label(m, structure=np.ones((3, 3)))
        components += [s[labels == k] for k in range(1, count + 1)]
    normal = np.concatenate([s[m == 0] for s, m in zip(scores, masks)])
    if not components or normal.size == 0:
        return None
    thresholds = np.unique(np.concatenate([s.ravel() for s in scores]))[::-1]
    fpr = [0.0] + [np.mean(normal >= t) for t in thresholds]
    pro = [0.0] + [np.mean([np.mean(c >= t) for c in components]) for t in thresholds]
    last = np.searchsorted(fpr, limit, side="right")
    if last < len(fpr):
        share = (limit - fpr[last - 1]) / (fpr[last] - fpr[last - 1])
        pro[last] = pro[last - 1] + share * (pro[last] - pro[last - 1])
        fpr[last] = limit
    return float(np.trapz(pro[: last + 1], fpr[: last + 1]) / limit)
