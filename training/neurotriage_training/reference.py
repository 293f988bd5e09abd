"""What scores and slices looked like when the model was calibrated, for a running daemon to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, calibrate, nested

BINS = 10


def histogram(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Shares between the edges; the outer bins take what lies beyond."""
    inner = np.clip(values, edges[0], edges[-1])
    counts, _ = np.histogram(inner, edges)
    shares = [float(v) for v in counts / max(1, len(values))]
    return {"edges": [float(e) for e in edges], "shares": shares, "mean": float(values.mean())}


def of(folds: Sequence[nested.Fold], scaling: calibrate.Scaling) -> dict[str, Any]:
    """The card's `reference`: calibrated probabilities by label, and foreignness, of the slices out of fold."""
    p = np.concatenate([f.slices(scaling) for f in folds])
    foreign = np.concatenate([f.scores.ood for f in folds]).astype(np.float64)
    tenths = np.linspace(0, 1, BINS + 1)
    quantiles = np.unique(np.quantile(foreign, np.linspace(0, 1, BINS + 1)))
    return {
        "what": "calibration slices, out of fold",
        "slices": len(p),
        "scores": {name: histogram(p[:, i], tenths) for i, name in enumerate(LABELS)},
        "image": {"ood": histogram(foreign, quantiles)},
    }
