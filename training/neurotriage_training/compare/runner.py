"""Trains the networks of rows, one after another; processes side by side share the work by lock files."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import LABELS, NORMAL, calibrate, card, metrics, pooling, ship
from . import network, store
from .backbones import BACKBONES, OURS, Source
from .feed import Feed
from .learner import Budget, Learner, Machine, Outcome, validation_loss
from .rows import Run
from .slices import Shelf, Split, locked, pools_of

KEPT = ("patient", 1)
"""Protocol and seed of the network of each row that is kept, for export; the others leave their figures only."""


@dataclass(frozen=True)
class Setting:
    """How the rows of one comparison are run."""

    size: int = 112
    budget: Budget = field(default_factory=Budget)
    machine: Machine = field(default_factory=Machine)
    source: Source = field(default_factory=Source)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_all(runs: Iterable[Run], shelf: Shelf, setting: Setting, places: store.Places, piece: float = math.inf) -> int:
    """Every network that has no figures yet and that no other process is at; gives how many failed.

    None is begun after `piece` minutes: the next call goes on.
    """
    failed, began = 0, time.monotonic()
    for run in runs:
        if places.figures(run).is_file() or time.monotonic() - began >= 60 * piece:
            continue
        if run.row.backbone == OURS and setting.source.start is None:
            say(f"{run.key}: not run without the start without labels: `make train` makes it, --start names it")
            continue
        with locked(places.of(run) / "lock", wait=False) as mine:
            if not mine or places.figures(run).is_file():
                continue
            try:
                figures = run_one(run, shelf, setting, places)
            except (FileNotFoundError, ValueError, RuntimeError) as error:
                say(f"{run.key}: {error}")
                failed += 1
                continue
            say(f"{run.key}: macro recall {figures['macro_recall']:.4f} after {figures['epochs']:.1f} epochs")
    return failed


def run_one(run: Run, shelf: Shelf, setting: Setting, places: store.Places) -> dict[str, Any]:
    """Train, ask, keep."""
    learner, split = prepare(run, shelf, setting, places)
    say(f"{run.key}: {len(learner.feed.rows)} slices, {learner.done.weights}")
    outcome = learner.train(setting.budget, lambda text: say(f"{run.key}: {text}"))
    figures = asked(learner.network, run, shelf, split, setting.size, places)
    figures |= described(run, shelf, setting, split, outcome)
    folder = places.of(run)
    if (run.protocol, run.seed) == KEPT:
        state = {"network": learner.network.cpu().state_dict(), "size": setting.size, "row": run.row.told()}
        torch.save(state, folder / "network.pt")
    store.write(places.figures(run), figures)
    learner.checkpoint.unlink(missing_ok=True)
    return figures


def prepare(run: Run, shelf: Shelf, setting: Setting, places: store.Places) -> tuple[Learner, Split]:
    """The network with its batches and its split, ready to train."""
    technique, size = run.row.technique, setting.size
    torch.manual_seed(run.seed)
    net, weights = build(run.row.backbone, technique, size, setting.source)
    split = shelf.split(run.protocol, run.seed)
    looks = technique.schedule == "plateau"
    rows = split.train if looks else sorted(split.train + split.validation)
    drawn_from = None
    if technique.stand_ins:
        drawn_from = pools_of(shelf.pools(), [shelf.slices[i] for i in rows], split.of(rows))
    feed = Feed(shelf.pictures(technique.frame), rows, split.of(rows), technique, size, run.seed, drawn_from)
    look = None
    if looks:
        x = shelf.tensors(technique.frame, size)[split.validation]
        look = validation_loss(x, split.of(split.validation), technique.class_weights)
    identity = run.row.told() | {"protocol": run.protocol, "seed": run.seed, "size": size, "data": shelf.digest}
    identity |= {"bf16": setting.machine.bf16}
    rate = technique.rate or rate_of(run.row.backbone)
    learner = Learner(net, feed, identity, places.of(run), rate, setting.machine, look)
    learner.done.weights = weights
    return learner, split


def build(backbone: str, technique: Any, size: int, source: Source) -> tuple[network.Network, str]:
    """The network of a technique."""
    head, scale = technique.head, technique.scale
    return network.build(backbone, head, scale, technique.units, technique.dropout, size, source)


def rate_of(backbone: str) -> float:
    return BACKBONES["mobilenetv3large" if backbone == OURS else backbone].rate


def asked(
    net: network.Network, run: Run, shelf: Shelf, split: Split, size: int, places: store.Places
) -> dict[str, Any]:
    """What the network says of the test slices, and of the probes where patients are kept apart."""
    frame = run.row.technique.frame
    logits = np.nan_to_num(network.predict(net, shelf.tensors(frame, size)[split.test]))
    p, labels = pooling.softmax(logits), split.of(split.test)
    store.write_predictions(places.predictions(run), [shelf.slices[i].name for i in split.test], labels, p)
    report = metrics.report(p, labels)
    figures: dict[str, Any] = {
        "macro_recall": calibrate.macro_recall(p.argmax(1), labels),
        "recall": {name: report[name]["recall"] for name in LABELS},
        "accuracy": report["accuracy"],
        "confusion": metrics.confusion(labels, p.argmax(1)),
    }
    if run.protocol == "patient":
        probes = shelf.probes(frame, size)
        away, set_in = network.predict(net, probes.mirrored), network.predict(net, probes.set_in)
        figures["mirrored_away"] = {"slices": len(away), "called_normal": metrics.share(away.argmax(1) == NORMAL)}
        figures["set_in"] = {"slices": len(set_in), "called_tumour": metrics.share(set_in.argmax(1) != NORMAL)}
    return figures


def described(run: Run, shelf: Shelf, setting: Setting, split: Split, outcome: Outcome) -> dict[str, Any]:
    """Everything that the table says beside the figures."""
    looks = run.row.technique.schedule == "plateau"
    trained = len(split.train) if looks else len(split.train) + len(split.validation)
    done = asdict(outcome)
    return {
        "row": run.row.name,
        **run.row.told(),
        "protocol": run.protocol,
        "seed": run.seed,
        "size": setting.size,
        "weights": done["weights"],
        "epochs": done["epochs"],
        "steps": done["steps"],
        "planned_steps": done["planned"],
        "ended": done["ended"],
        "seconds": done["seconds"],
        "minutes": setting.budget.minutes,
        "machine": asdict(setting.machine),
        "slices": {"train": trained, "validation": len(split.validation) if looks else 0, "test": len(split.test)},
        "history": done["history"],
        "data_digest": shelf.digest,
        "versions": card.versions() | {"timm": _timm()},
    }


def _timm() -> str:
    import timm

    return str(timm.__version__)


def kept(run: Run, places: store.Places) -> tuple[network.Network, int]:
    """The trained network of a row, and its input size."""
    path = places.of(replace(run, protocol=KEPT[0], seed=KEPT[1])) / "network.pt"
    if not path.is_file():
        raise FileNotFoundError(f"{run.row.name} has no network at {path}: run the row first")
    state = torch.load(path, map_location="cpu", weights_only=False)
    if state["row"] != run.row.told():
        raise ValueError(f"{path} was trained as another row: {state['row']}")
    net, _ = build(run.row.backbone, run.row.technique, state["size"], Source())
    net.load_state_dict(state["network"])
    return net.eval(), int(state["size"])


def start_of(given: Path | None) -> Path | None:
    """The start without labels: the one named, or what `make train` has left."""
    made = ship.Places.run / "start.pt"
    return given or (made if made.is_file() else None)
