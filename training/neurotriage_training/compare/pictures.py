"""The plots of training/results/compare. A plot without numbers is not drawn, and an old one of it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..plots import _axes, _save

SPEED, HISTORY, IMPORTANCES = "recall-ms.png", "search-history.png", "search-importances.png"


def draw(folder: Path, summary: dict[str, Any]) -> None:
    """All that the summary has numbers for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SPEED, HISTORY, IMPORTANCES):
        (folder / name).unlink(missing_ok=True)
    points = [row for row in summary["rows"] if timed(row)]
    if points:
        speed(folder / SPEED, points)
    if summary["search"]:
        history(folder / HISTORY, summary["search"]["samplers"])
        if any(one["importances"] for one in summary["search"]["samplers"].values()):
            importances(folder / IMPORTANCES, summary["search"]["samplers"])


def timed(row: dict[str, Any]) -> bool:
    """Whether the row is a backbone with both recall and speed."""
    known = row["patient"] and row["cost"] and "cpu" in row["cost"].get("ms", {})
    return bool(known) and row["group"] == "backbone"


def speed(path: Path, rows: list[dict[str, Any]]) -> None:
    """Patient-level macro recall against ms a slice."""
    figure, axes = _axes("Backbones, patients kept apart", "ms a slice on a CPU, the daemon's runner", "macro recall")
    for row in rows:
        x, found = row["cost"]["ms"]["cpu"], row["patient"]["macro_recall"]
        axes.errorbar(x, found["mean"], yerr=found["spread"], fmt="o", capsize=3)
        axes.annotate(row["row"], (x, found["mean"]), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set_xscale("log")
    _save(figure, path)


def history(path: Path, samplers: dict[str, Any]) -> None:
    """Each trial, and the best so far."""
    figure, axes = _axes("Search", "trial", "macro recall on validation patients")
    for colour, (name, one) in zip(("tab:blue", "tab:orange"), samplers.items()):
        values = [trial["value"] for trial in one["trials"]]
        axes.plot(range(1, len(values) + 1), values, "o", markersize=3, color=colour, alpha=0.6)
        axes.plot(range(1, len(values) + 1), np.maximum.accumulate(values), color=colour, label=f"{name}, best so far")
    axes.legend()
    _save(figure, path)


def importances(path: Path, samplers: dict[str, Any]) -> None:
    """What decided, by each sampler's trials."""
    figure, axes = _axes("Search: what decided", "share (PED-ANOVA)", "")
    names = sorted({name for one in samplers.values() for name in one["importances"]})
    for i, (sampler, one) in enumerate(samplers.items()):
        at = np.arange(len(names)) + 0.4 * i
        axes.barh(at, [one["importances"].get(name, 0.0) for name in names], height=0.4, label=sampler)
    axes.set_yticks(np.arange(len(names)) + 0.2, names)
    axes.legend()
    _save(figure, path)
