"""What is committed beside the model: predictions, one summary, plots, and the model card in words."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import LABELS, card, document, export, nested, plots


def write_predictions(folder: Path, judgements: Sequence[nested.Judged]) -> None:
    """One file a fold, one row a slice: file, truth, probabilities as calibrated by the other folds, logits."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in judgements:
        with (folder / f"predictions-fold{one.fold.number}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            names = [*(f"p_{n}" for n in LABELS), *(f"logit_{n}" for n in LABELS)]
            writer.writerow(["file", "source", "fold", "label", "predicted", *names, "ood"])
            scores = one.fold.scores
            for i, item in enumerate(one.fold.part.slices):
                row = [item.name, item.source, item.fold, LABELS[item.label], LABELS[int(one.slices[i].argmax())]]
                numbers = [*one.slices[i], *scores.logits[i], scores.ood[i]]
                writer.writerow([*row, *(f"{float(v):.5f}" for v in numbers)])


def write(
    folder: Path,
    document_path: Path,
    model_card: dict[str, Any],
    content: bytes,
    evaluation: dict[str, Any],
    history: dict[str, list[dict[str, float]]],
    judgements: Sequence[nested.Judged],
) -> dict[str, Any]:
    """summary.json, the plots and docs/MODEL_CARD.md, all from the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    slices, studies = evaluation["out_of_fold"]["slices"], evaluation["out_of_fold"]["studies"]
    summary = {
        "headline": {
            "model": model_card["version"],
            "digest": export.digest(content),
            "bytes": len(content),
            "macro_recall": slices["macro_recall"],
            "glioma_recall": slices["glioma_recall"],
            "accuracy": slices["report"]["accuracy"],
            "glioma_studies_flagged": studies["glioma_flagged"],
            "other_studies_flagged": studies["others_flagged"],
        },
        "card": {k: v for k, v in model_card.items() if k != "evaluation"},
        "evaluation": evaluation,
        "history": history,
    }
    summary = card.rounded(summary)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    plots.confusion(folder / "confusion.png", slices["confusion"])
    p = np.concatenate([j.slices for j in judgements])
    labels = np.concatenate([j.fold.part.labels for j in judgements])
    plots.reliability(folder / "reliability.png", p, labels)
    plots.roc(folder / "roc.png", slices["roc"])
    plots.sweep(folder / "threshold-sweep.png", studies["sweep"], model_card["thresholds"]["glioma_review"])
    plots.curves(folder / "training-curves.png", history)
    document_path.parent.mkdir(parents=True, exist_ok=True)
    document_path.write_text(document.render(summary))
    return summary
