"""What the rows came to: summary.json, table.csv and the plots of training/results/compare."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import document, measure, pictures, store
from .rows import PROTOCOLS, ROWS, SEEDS, Row, Run

COLUMNS = (
    "row",
    "group",
    "title",
    "size",
    *(f"{p}_{c}" for p in PROTOCOLS for c in ("seeds", "macro_recall", "spread", "glioma_recall", "glioma_spread")),
    "mirrored_away_called_normal",
    "set_in_called_tumour",
    "parameters",
    "gflop",
    "bytes",
    "ms_cpu",
    "ms_cuda",
    "epochs",
    "weights",
    "reported",
)


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Mean and spread (standard deviation; 0 for one seed)."""
    return {"mean": float(np.mean(values)), "spread": float(np.std(values))}


def mean_of(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return float(np.mean(there)) if there else None


def of_protocol(found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """One protocol's networks together; None when there is none."""
    if not found:
        return None
    together: dict[str, Any] = {
        "seeds": [one["seed"] for one in found],
        "macro_recall": over_seeds([one["macro_recall"] for one in found]),
        "glioma_recall": over_seeds([one["recall"]["glioma"] for one in found]),
        "recall": {name: float(np.mean([one["recall"][name] for one in found])) for name in found[0]["recall"]},
        "epochs": over_seeds([one["epochs"] for one in found]),
        "seconds": float(np.mean([one["seconds"] for one in found])),
        "minutes": sorted({one["minutes"] for one in found}),
        "ended": sorted({one["ended"] for one in found}),
        "weights": sorted({one["weights"] for one in found}),
        "sizes": sorted({one["size"] for one in found}),
        "devices": sorted({one["machine"]["device"] for one in found}),
        "threads": sorted({one["machine"]["threads"] for one in found}),
        "test_slices": found[0]["slices"]["test"],
    }
    for probe, figure in (("mirrored_away", "called_normal"), ("set_in", "called_tumour")):
        if probe in found[0]:
            share = mean_of([one[probe][figure] for one in found])
            together[probe] = {"slices": found[0][probe]["slices"], figure: share}
    return together


def of_row(row: Row, places: store.Places, costs: dict[str, Any], size: int) -> dict[str, Any]:
    """A row's networks, and what its architecture costs at the size that it was run at."""
    one: dict[str, Any] = {"row": row.name, "group": row.group, "title": row.title, **row.told()}
    one["reported"] = row.reported
    for protocol in PROTOCOLS:
        ours = [Run(row, protocol, seed) for seed in SEEDS]
        # Figures of a row whose settings have changed since are another row's.
        kept = [f for run in ours if (f := store.read(places.figures(run))) is not None]
        one[protocol] = of_protocol([f for f in kept if f["technique"] == _listed(row.told()["technique"])])
    there = next((one[p] for p in PROTOCOLS if one[p]), None)
    one["size"] = there["sizes"][0] if there else size
    one["cost"] = costs.get(measure.architecture(row, one["size"]))
    return one


def _listed(technique: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in technique.items()}


def summarise(places: store.Places, size: int = 112) -> dict[str, Any]:
    """All rows, run or not, and the search."""
    rows = [of_row(row, places, store.read(places.measures) or {}, size) for row in ROWS]
    networks = sum(len(row[p]["seeds"]) for row in rows for p in PROTOCOLS if row[p])
    return {
        "networks": networks,
        "planned": len(ROWS) * len(PROTOCOLS) * len(SEEDS),
        "rows": rows,
        "search": store.read(places.search),
    }


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A line of table.csv; what is not there stays empty."""
    line = {name: row[name] for name in ("row", "group", "title", "size")}
    for protocol in PROTOCOLS:
        found = row[protocol]
        if found:
            line[f"{protocol}_seeds"] = len(found["seeds"])
            line[f"{protocol}_macro_recall"] = round(found["macro_recall"]["mean"], 4)
            line[f"{protocol}_spread"] = round(found["macro_recall"]["spread"], 4)
            line[f"{protocol}_glioma_recall"] = round(found["glioma_recall"]["mean"], 4)
            line[f"{protocol}_glioma_spread"] = round(found["glioma_recall"]["spread"], 4)
    patient, cost = row["patient"] or {}, row["cost"] or {}
    line["mirrored_away_called_normal"] = patient.get("mirrored_away", {}).get("called_normal")
    line["set_in_called_tumour"] = patient.get("set_in", {}).get("called_tumour")
    line |= {name: cost.get(name) for name in ("parameters", "gflop", "bytes")}
    line |= {f"ms_{runtime}": cost.get("ms", {}).get(runtime) for runtime in ("cpu", "cuda")}
    there = row["patient"] or row["original"]
    line["epochs"] = round(there["epochs"]["mean"], 1) if there else "not run"
    line["weights"] = "; ".join(there["weights"]) if there else ""
    line["reported"] = row["reported"]
    return line


def write(places: store.Places, size: int = 112) -> dict[str, Any]:
    """summary.json, table.csv, plots and docs/COMPARISON.md, all from the same numbers."""
    summary = summarise(places, size)
    store.write(places.results / "summary.json", summary)
    write_csv(places.results / "table.csv", [flat(row) for row in summary["rows"]])
    pictures.draw(places.results, summary)
    places.document.parent.mkdir(parents=True, exist_ok=True)
    places.document.write_text(document.render(summary))
    return summary


def write_csv(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
