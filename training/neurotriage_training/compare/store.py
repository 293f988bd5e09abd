"""What is kept of a finished network: its figures as JSON, what it said of each test slice as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import LABELS, card
from .rows import Run

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Places:
    """Where things are kept; the defaults are the repository's own."""

    run: Path = REPOSITORY / "training" / "runs" / "compare"
    results: Path = REPOSITORY / "training" / "results" / "compare"
    document: Path = REPOSITORY / "docs" / "COMPARISON.md"

    @property
    def cache(self) -> Path:
        return self.run / "cache"

    def of(self, run: Run) -> Path:
        """Checkpoint and weights of one network."""
        return self.run / "rows" / run.key

    def figures(self, run: Run) -> Path:
        return self.results / "rows" / f"{run.key}.json"

    def predictions(self, run: Run) -> Path:
        return self.results / "rows" / f"{run.key}.csv"

    @property
    def measures(self) -> Path:
        return self.results / "measures.json"

    @property
    def search(self) -> Path:
        return self.results / "search.json"


def write(path: Path, value: Any) -> None:
    """JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(card.rounded(value), indent=1, ensure_ascii=False) + "\n")
    temporary.rename(path)


def read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def write_predictions(
    path: Path, names: Sequence[str], labels: npt.NDArray[np.int64], p: npt.NDArray[np.float64]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["file", "label", "predicted", *(f"p_{n}" for n in LABELS)])
        for name, label, row in zip(names, labels, p):
            said = LABELS[int(row.argmax())]
            writer.writerow([name, LABELS[int(label)], said, *(f"{float(v):.3f}" for v in row)])
