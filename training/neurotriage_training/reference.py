"""What scores and slices looked like when the model was calibrated, for a running daemon to compare with."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, calibrate, card, nested

BINS = 10


def histogram(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Shares between the edges; the outer bins take what lies beyond."""
    inner = np.clip(values, edges[0], edges[-1])
    counts, _ = np.histogram(inner, edges)
    shares = [float(v) for v in counts / max(1, len(values))]
    return {"edges": [float(e) for e in edges], "shares": shares, "mean": float(values.mean())}


def told(what: str, p: npt.NDArray[np.float64], foreign: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The card's `reference`: calibrated probabilities by label, and foreignness, of these slices."""
    tenths = np.linspace(0, 1, BINS + 1)
    quantiles = np.unique(np.quantile(foreign, np.linspace(0, 1, BINS + 1)))
    return {
        "what": what,
        "slices": len(p),
        "scores": {name: histogram(p[:, i], tenths) for i, name in enumerate(LABELS)},
        "image": {"ood": histogram(foreign, quantiles)},
    }


def of(folds: Sequence[nested.Fold], scaling: calibrate.Scaling) -> dict[str, Any]:
    """The reference of a new model: its calibration slices, out of fold."""
    p = np.concatenate([f.slices(scaling) for f in folds])
    foreign = np.concatenate([f.scores.ood for f in folds]).astype(np.float64)
    return told("calibration slices, out of fold", p, foreign)


def beside(model: Path, predictions: Path) -> str:
    """The reference of a model whose card has none, from its calibration slices' predictions, as text for a file."""
    with predictions.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    p = np.asarray([[float(row[f"p_{name}"]) for name in LABELS] for row in rows])
    reference = told("calibration slices", p, np.asarray([float(row["ood"]) for row in rows]))
    digest = "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest()
    return json.dumps(card.rounded({"digest": digest, "reference": reference}), indent=1) + "\n"
