"""The figures of PROTOCOL.md, from scores; plain numbers, ready for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, NORMAL, calibrate, pooling, tables
from .release import Calibration

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


def slice_level(part: tables.Part, scores: tables.Scores, chosen: Calibration) -> dict[str, Any]:
    """Arg-max figures and the slice operating point on one part."""
    p = pooling.softmax(scores.logits, chosen.temperature)
    glioma, threshold = calibrate.GLIOMA, chosen.thresholds.glioma_review_slice
    flagged = p[:, glioma] >= threshold
    is_glioma = part.labels == glioma
    sources = sorted({s.source for s in part.slices})
    of_source = {name: np.asarray([s.source == name for s in part.slices]) for name in sources}
    figures: dict[str, Any] = {
        "slices": len(part.labels),
        "report": report(p, part.labels),
        "confusion": confusion(part.labels, p.argmax(axis=1)),
        "ece": calibrate.expected_calibration_error(p, part.labels),
        "glioma_recall_at_slice_threshold": float(flagged[is_glioma].mean()),
        "others_flagged_at_slice_threshold": float(flagged[~is_glioma].mean()),
        "accuracy_by_source": {n: float((p.argmax(1) == part.labels)[m].mean()) for n, m in of_source.items()},
        "out_of_domain_share": float((scores.ood > chosen.thresholds.out_of_domain).mean()),
    }
    if len(scores.mirrored):
        figures["mirrored_away"] = {
            "slices": len(scores.mirrored),
            "called_normal": calibrate.normal_share(scores.mirrored.astype(np.float64)),
            "their_tumours_called_normal": _originals_normal(part, p),
        }
    if len(scores.set_in):
        said = scores.set_in.argmax(axis=1)
        figures["set_in"] = {
            "slices": len(scores.set_in),
            "called_tumour": float((said != NORMAL).mean()),
            "called_right_tumour": float((said == part.set_in_labels).mean()),
        }
    return figures


def _originals_normal(part: tables.Part, p: Floats) -> float:
    """How often the slices that were mirrored away are called normal with the tumour still there."""
    row = {s.name: i for i, s in enumerate(part.slices)}
    return calibrate.normal_share(p[[row[name] for name in part.mirrored_from]])


def study_level(part: tables.Part, scores: tables.Scores, chosen: Calibration, seed: int = 11) -> dict[str, Any]:
    """Stand-in studies at the thresholds of the card, with bootstrap intervals over studies."""
    studies = part.studies
    slice_p = pooling.softmax(scores.logits, chosen.temperature)
    mirrored_p = pooling.softmax(scores.mirrored, chosen.temperature)
    p = pooling.pooled(studies, slice_p, mirrored_p, chosen.rule)
    labels = np.asarray([s.label for s in studies], np.int64)
    glioma = labels == calibrate.GLIOMA
    flagged = p[:, calibrate.GLIOMA] >= chosen.thresholds.glioma_review
    cleared = p[:, NORMAL] >= chosen.thresholds.normal_bar
    sets = [calibrate.prediction_set(row, chosen.quantiles) for row in p]
    covered = np.asarray([LABELS[t] in s for t, s in zip(labels, sets)])
    clear = cleared & np.asarray([s == ["normal"] for s in sets]) & ~flagged
    return {
        "studies": {name: int((labels == i).sum()) for i, name in enumerate(LABELS)},
        "glioma_flagged": _with_interval(flagged[glioma], seed),
        "others_flagged": _with_interval(flagged[~glioma], seed),
        "normals_flagged": _with_interval(flagged[labels == NORMAL], seed),
        "tumours_not_flagged": _with_interval(clear[labels != NORMAL], seed),
        "normals_cleared": _with_interval(clear[labels == NORMAL], seed),
        "argmax_recall": {
            name: float((p.argmax(1) == i)[labels == i].mean()) for i, name in enumerate(LABELS) if (labels == i).any()
        },
        "conformal_coverage": {
            name: float(covered[labels == i].mean()) for i, name in enumerate(LABELS) if (labels == i).any()
        },
        "mean_set_size": float(np.mean([len(s) for s in sets])),
    }


def _with_interval(hits: npt.NDArray[np.bool_], seed: int) -> dict[str, float]:
    """Mean and its 95 % percentile bootstrap interval."""
    if len(hits) == 0:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan")}
    random = np.random.default_rng(seed)
    means = hits[random.integers(0, len(hits), (2000, len(hits)))].mean(axis=1)
    return {
        "mean": float(hits.mean()),
        "low": float(np.quantile(means, 0.025)),
        "high": float(np.quantile(means, 0.975)),
    }


def threshold_sweep(part: tables.Part, scores: tables.Scores, chosen: Calibration) -> list[dict[str, float]]:
    """Glioma recall and others flagged over study thresholds."""
    studies = part.studies
    p = pooling.pooled(
        studies,
        pooling.softmax(scores.logits, chosen.temperature),
        pooling.softmax(scores.mirrored, chosen.temperature),
        chosen.rule,
    )[:, calibrate.GLIOMA]
    glioma = np.asarray([s.label for s in studies]) == calibrate.GLIOMA
    return [
        {
            "threshold": round(float(t), 3),
            "glioma_flagged": float((p[glioma] >= t).mean()),
            "others_flagged": float((p[~glioma] >= t).mean()),
        }
        for t in np.linspace(0, 1, 101)
    ]
