"""The figures of PROTOCOL.md, from scores; plain numbers, ready for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def confusion(labels: Ints, chosen: Ints) -> list[list[int]]:
    """Rows are the truth, columns what was said, in label order."""
    size = len(LABELS)
    return [[int(((labels == t) & (chosen == c)).sum()) for c in range(size)] for t in range(size)]


def report(probabilities: Floats, labels: Ints) -> dict[str, Any]:
    """scikit-learn's classification_report as a dictionary, with its keys."""
    chosen = probabilities.argmax(axis=1)
    rows: dict[str, Any] = {}
    for index, name in enumerate(LABELS):
        hit = int(((chosen == index) & (labels == index)).sum())
        said, there = int((chosen == index).sum()), int((labels == index).sum())
        precision, recall = hit / said if said else 0.0, hit / there if there else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
        rows[name] = {"precision": precision, "recall": recall, "f1-score": f1, "support": there}
    present = [rows[name] for name in LABELS]
    total = len(labels)
    keys = ("precision", "recall", "f1-score")
    rows["macro avg"] = {k: float(np.mean([r[k] for r in present])) for k in keys} | {"support": total}
    rows["weighted avg"] = {k: float(sum(r[k] * r["support"] for r in present) / total) for k in keys} | {
        "support": total
    }
    rows["accuracy"] = float((chosen == labels).mean())
    return rows


def share(hits: npt.NDArray[np.bool_]) -> float | None:
    """The share that is true; None of nothing, as where class folders give no runs of slices to make studies of."""
    return float(hits.mean()) if len(hits) else None
