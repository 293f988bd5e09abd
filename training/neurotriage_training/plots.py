"""The pictures of training/results, drawn from its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS

WIDE = (6.4, 4.2)


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=WIDE, dpi=90, layout="constrained")
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    # No date or version inside, so that the same numbers give the same file.
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def confusion(path: Path, counts: list[list[int]]) -> None:
    table = np.asarray(counts, dtype=np.float64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = _axes("Slices out of fold, arg-max", "predicted", "truth")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_yticks(range(len(LABELS)), LABELS)
    for t, row in enumerate(counts):
        for c, count in enumerate(row):
            axes.text(
                c,
                t,
                f"{count}\n{share[t, c]:.2f}",
                ha="center",
                va="center",
                color="white" if share[t, c] > 0.5 else "black",
            )
    _save(figure, path)


def reliability(path: Path, p: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], bins: int = 15) -> None:
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    used = [b for b in range(bins) if (which == b).any()]
    figure, axes = _axes("Reliability, out of fold", "confidence", "share right")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.bar(
        [confidence[which == b].mean() for b in used],
        [right[which == b].mean() for b in used],
        width=0.8 / bins,
        color="tab:blue",
    )
    for b in used:
        axes.text(confidence[which == b].mean(), 0.02, str(int((which == b).sum())), ha="center", fontsize=7)
    _save(figure, path)


def sweep(path: Path, rows: list[dict[str, float]], chosen: float) -> None:
    figure, axes = _axes("Stand-in studies, out of fold", "threshold on the study's p(glioma)", "share flagged")
    at = [row["threshold"] for row in rows]
    axes.plot(at, [row["glioma_flagged"] for row in rows], label="glioma studies")
    axes.plot(at, [row["others_flagged"] for row in rows], label="other studies")
    axes.axvline(chosen, color="grey", linestyle="--", label="glioma_review")
    axes.legend()
    _save(figure, path)


def roc(path: Path, classes: dict[str, dict[str, Any]]) -> None:
    figure, axes = _axes("One class against the others, slices out of fold", "false positives", "true positives")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, curve in classes.items():
        axes.plot(
            np.linspace(0, 1, len(curve["true_positive"])), curve["true_positive"], label=f"{name} {curve['area']:.3f}"
        )
    axes.legend(title="area")
    _save(figure, path)


def curves(path: Path, history: dict[str, list[dict[str, float]]]) -> None:
    """Loss of each fold's network; fold 0 is the shipped one."""
    figure, axes = _axes("Training", "epoch", "loss (augmented, unweighted)")
    for fold, records in history.items():
        label = "shipped" if fold == "0" else f"without fold {fold}"
        axes.plot(range(1, len(records) + 1), [record["loss"] for record in records], label=label)
    axes.legend()
    _save(figure, path)
