"""The original study's protocol: its slices and labels, a random 80/20 split, which leaks patients."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import LABELS, data, metrics, outoffold, pooling, pools, similar, train

SEEDS = (1, 2, 3)
TEST = 1
"""One of five random parts is held out."""


def of(slices: Sequence[data.Slice], seed: int) -> list[data.Slice]:
    """The original study's slices under its labels, their folds drawn at random within each label."""
    seeds = [replace(s, label=s.seed_label) for s in slices if s.seed_label is not None]
    if not seeds:
        raise ValueError("no slice has a seed_label: the original protocol needs a manifest with that column")
    return [replace(s, fold=int(part)) for s, part in zip(seeds, similar.split("random", seeds, None, seed=seed))]


def only(everything: pools.Pools, slices: Sequence[data.Slice]) -> pools.Pools:
    """The pools less what was made from slices that the protocol does not know, or holds out, under its labels."""
    known = {s.name: s for s in slices}
    volumes = {name: pool for name, pool in everything.items() if name.startswith("atlas")}
    kept = {}
    for name, pool in everything.items():
        rows = [i for i, n in enumerate(pool.names) if n in known and known[n].fold != TEST]
        labels = pool.labels[rows]
        if name in ("tumour", "normal"):
            labels = np.asarray([known[pool.names[i]].label for i in rows], np.int64)
        kept[name] = data.Crops(pool.pixels[rows], labels, pool.boxes[rows], [pool.names[i] for i in rows])
    return {name: pool for name, pool in kept.items() if len(pool)} | volumes


def run(
    plan: train.Plan,
    size: int,
    slices: Sequence[data.Slice],
    everything: pools.Pools,
    seed: int,
    folder: Path,
    start: Path | None,
    twice: bool = False,
) -> dict[str, Any]:
    """One network under one split; what it says of the held-out slices is kept in the folder."""
    path = folder / "figures.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    drawn = of(slices, seed)
    outoffold.fit(replace(plan, seed=plan.seed + 100 * seed), only(everything, drawn), folder, start)
    network = outoffold.network(folder, plan)
    test = [s for s in drawn if s.fold == TEST]
    x = data.tensors((data.read_image(s.path) for s in test), plan.recipe, size)
    labels = np.asarray([s.label for s in test], np.int64)
    report = metrics.report(pooling.softmax(train.predict(network, torch.from_numpy(x), twice=twice)), labels)
    figures = {
        "seed": seed,
        "epochs": plan.epochs,
        "slices": {"trained": len(drawn) - len(test), "tested": len(test)},
        "macro_recall": report["macro avg"]["recall"],
        "recall": {name: report[name]["recall"] for name in LABELS},
        "accuracy": report["accuracy"],
    }
    path.write_text(json.dumps(figures) + "\n")
    return figures


def together(folders: Sequence[Path]) -> dict[str, Any] | None:
    """Mean and spread over the seeds that were run; None when none was."""
    found = [json.loads((f / "figures.json").read_text()) for f in folders if (f / "figures.json").is_file()]
    if not found:
        return None
    macro = [one["macro_recall"] for one in found]
    return {
        "what": "the original study's slices and labels, random 80/20: slices of one patient stand on both sides",
        "macro_recall": {"mean": float(np.mean(macro)), "spread": float(np.std(macro)), "seeds": macro},
        "glioma_recall": float(np.mean([one["recall"]["glioma"] for one in found])),
        "epochs": found[0]["epochs"],
        "slices": found[0]["slices"],
    }
