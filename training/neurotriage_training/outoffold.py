"""Five networks, one a fold, each trained on the other four and asked about its own once."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import torch

from . import data, machine, nested, pools, release, tables, train
from .model import SliceClassifier

ALL = 0
"""In place of a fold: train on every slice, as the shipped weights are."""


def halves(folds: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The folds in two halves, each of which gets a network first; the first half is the larger."""
    middle = len(folds) // 2
    return tuple(folds[middle:]), tuple(folds[:middle])


def half_for(fold: int, folds: Sequence[int]) -> tuple[int, ...]:
    """The half that a fold's network begins from: the one without the fold; the shipped one takes the larger."""
    return next(half for half in halves(folds) if fold not in half)


def without(everything: pools.Pools, slices: Sequence[data.Slice], left_out: Container[int]) -> pools.Pools:
    """The pools less what comes from some folds' slices; healthy volumes belong to none."""
    of = {s.name: s.fold for s in slices}
    kept = {}
    for name, pool in everything.items():
        rows = [i for i, slice_name in enumerate(pool.names) if of.get(slice_name) not in left_out]
        kept[name] = data.Crops(pool.pixels[rows], pool.labels[rows], pool.boxes[rows], [pool.names[i] for i in rows])
    return {name: pool for name, pool in kept.items() if len(pool)}


def fit(plan: train.Plan, drawn_from: pools.Pools, run: Path, start: Path | None) -> None:
    """Train a network to its plan's end; what is done is not repeated."""
    trainer = train.Trainer(plan, run, machine.device())
    if not trainer.restore() and start is not None:
        begin(trainer, start)
    train.fit(trainer, drawn_from)


def begin(trainer: train.Trainer, start: Path) -> None:
    """Take over another network's running average: one that learned without labels, whose output layer is left as it
    was drawn, or one that learned from some of the folds, with what locates its tumours."""
    # Loads pickled data: only files of one's own. PyTorch 1.13 cannot read floats with weights_only.
    stored = torch.load(start, map_location=trainer.device, weights_only=False)
    labelled = "history" in stored
    state = {name: value for name, value in stored["average"].items() if labelled or not name.startswith("output.")}
    for model in (trainer.model, trainer.average):
        missing, unexpected = model.load_state_dict(state, strict=False)
        if unexpected or {name.split(".")[0] for name in missing} != (set() if labelled else {"output"}):
            raise ValueError(f"{start} is of another network: missing {missing}, unexpected {unexpected}")
    if trainer.locator and stored.get("locator"):
        trainer.locator.load_state_dict(stored["locator"])


def asked(
    model: SliceClassifier,
    plan: train.Plan,
    fold: int,
    slices: Sequence[data.Slice],
    part: tables.Part,
    twice: bool = False,
) -> nested.Fold:
    """What the fold's network says of the fold; the out-of-domain constants come from its training slices."""
    size, others = part.x.shape[-1], [s for s in slices if s.fold != fold]
    foreign = release.foreign_constants(model, others, plan.recipe, size, plan.atlas)
    _, content = release.exported(model, foreign, size, twice)
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
