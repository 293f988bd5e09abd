"""Five networks, one a fold, each trained on the other four and asked about its own once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import data, nested, pools, release, tables, train
from .model import SliceClassifier

ALL = 0
"""In place of a fold: train on every slice, as the shipped weights are."""


def without(everything: pools.Pools, slices: Sequence[data.Slice], fold: int) -> pools.Pools:
    """The pools less what comes from one fold's slices; healthy volumes belong to none."""
    of = {s.name: s.fold for s in slices}
    kept = {}
    for name, pool in everything.items():
        rows = [i for i, slice_name in enumerate(pool.names) if fold == ALL or of.get(slice_name) != fold]
        kept[name] = data.Crops(pool.pixels[rows], pool.labels[rows], pool.boxes[rows], [pool.names[i] for i in rows])
    return {name: pool for name, pool in kept.items() if len(pool)}


def fit(
    plan: train.Plan,
    fold: int,
    everything: pools.Pools,
    slices: Sequence[data.Slice],
    run: Path,
    start: Path | None,
) -> None:
    """Train the network of one fold (or, with ALL, the shipped one) to its end; what is done is not repeated."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = train.Trainer(replace(plan, seed=plan.seed + fold), run, device)
    if not trainer.restore() and start is not None:
        begin(trainer, start)
    train.fit(trainer, without(everything, slices, fold))


def begin(trainer: train.Trainer, start: Path) -> None:
    """Take over what was learned without labels; the output layer stays as it was drawn."""
    # Loads pickled data: only files of one's own. PyTorch 1.13 cannot read floats with weights_only.
    state = torch.load(start, map_location=trainer.device, weights_only=False)["average"]
    state = {name: value for name, value in state.items() if not name.startswith("output.")}
    for model in (trainer.model, trainer.average):
        missing, unexpected = model.load_state_dict(state, strict=False)
        if unexpected or {name.split(".")[0] for name in missing} != {"output"}:
            raise ValueError(f"{start} is of another network: missing {missing}, unexpected {unexpected}")


def asked(
    model: SliceClassifier, plan: train.Plan, fold: int, slices: Sequence[data.Slice], part: tables.Part
) -> nested.Fold:
    """What the fold's network says of the fold; the out-of-domain constants come from its training slices."""
    foreign = release.foreign_constants(
        model, [s for s in slices if s.fold != fold], plan.recipe, plan.size, plan.atlas
    )
    _, content = release.exported(model, foreign, plan.size)
    return nested.Fold(fold, part, tables.score(content, part), part.studies)


def store(path: Path, fold: nested.Fold) -> None:
    """Keep the answers beside the run, so that figures can be drawn again without the networks."""
    scores = fold.scores
    np.savez(path, logits=scores.logits, ood=scores.ood, mirrored=scores.mirrored, set_in=scores.set_in)


def stored(path: Path, number: int, part: tables.Part) -> nested.Fold | None:
    if not path.is_file():
        return None
    with np.load(path) as kept:
        scores = tables.Scores(kept["logits"], kept["ood"], kept["mirrored"], kept["set_in"])
    return nested.Fold(number, part, scores, part.studies)


def network(run: Path, plan: train.Plan) -> SliceClassifier:
    """The running average at the plan's end."""
    kept = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=False)
    if kept["epoch"] < plan.epochs:
        raise ValueError(f"{run} is at epoch {kept['epoch']} of {plan.epochs}: train it to the end first")
    model = SliceClassifier(plan.dropout)
    model.load_state_dict(kept["average"])
    return model.eval()


def history(run: Path) -> list[dict[str, float]]:
    """Loss and accuracy of every epoch."""
    records: list[dict[str, float]] = json.loads((run / "history.json").read_text())
    return records
