"""What is committed beside the model: predictions, one summary, plots, and the model card in words."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from . import LABELS, card, document, plots, pooling, tables
from .release import Calibration


def write_predictions(folder: Path, name: str, part: tables.Part, scores: tables.Scores, chosen: Calibration) -> None:
    """One row a slice: file, truth, calibrated probabilities, logits, foreignness."""
    folder.mkdir(parents=True, exist_ok=True)
    p = pooling.softmax(scores.logits, chosen.temperature)
    with (folder / f"predictions-{name}.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(
            [
                "file",
                "source",
                "fold",
                "label",
                "predicted",
                *(f"p_{n}" for n in LABELS),
                *(f"logit_{n}" for n in LABELS),
                "ood",
            ]
        )
        for i, item in enumerate(part.slices):
            row = [item.name, item.source, item.fold, LABELS[item.label], LABELS[int(p[i].argmax())]]
            numbers = [*p[i], *scores.logits[i], scores.ood[i]]
            writer.writerow([*row, *(f"{float(v):.5f}" for v in numbers)])


def write(
    folder: Path,
    document_path: Path,
    model_card: dict[str, Any],
    content: bytes,
    evaluation: dict[str, Any],
    history: list[dict[str, float]],
) -> dict[str, Any]:
    """summary.json, the plots and docs/MODEL_CARD.md, all from the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    test = evaluation["test"]["slices"]
    summary = {
        "headline": {
            "model": model_card["version"],
            "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "macro_recall": test["report"]["macro avg"]["recall"],
            "glioma_recall": test["report"]["glioma"]["recall"],
            "accuracy": test["report"]["accuracy"],
        },
        "card": {k: v for k, v in model_card.items() if k != "evaluation"},
        "evaluation": {k: v for k, v in evaluation.items() if k != "test"}
        | {"test": {k: v for k, v in evaluation["test"].items() if k != "sweep"}},
        "sweep": evaluation["test"]["sweep"],
        "history": history,
    }
    summary = card.rounded(summary)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    plots.confusion(folder / "confusion.png", test["confusion"])
    plots.reliability(folder / "reliability.png", *_predictions(folder / "predictions-test.csv"))
    plots.sweep(folder / "threshold-sweep.png", summary["sweep"], model_card["thresholds"]["glioma_review"])
    plots.curves(folder / "training-curves.png", history)
    document_path.parent.mkdir(parents=True, exist_ok=True)
    document_path.write_text(document.render(summary))
    return summary


def _predictions(path: Path) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.int64]]]:
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    p = np.asarray([[float(row[f"p_{name}"]) for name in LABELS] for row in rows])
    return p, np.asarray([LABELS.index(row["label"]) for row in rows], np.int64)
