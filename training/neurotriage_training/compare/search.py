"""Bayesian optimisation of rate, dropout, batch and dense units by Optuna's TPE, against as many random trials."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import calibrate
from . import runner, store
from .backbones import OURS
from .feed import Feed
from .learner import Budget, Learner
from .network import predict
from .slices import Shelf, locked
from .techniques import Technique

RATES = (0.1, 0.01, 0.001, 0.0001)
BATCHES = (16, 32, 64, 128)
UNITS = (256, 512, 768, 1024)
DROPOUT = (0.0, 0.5)
SAMPLERS = ("tpe", "random")
VALIDATION_FOLD, TRAINING_FOLDS = 5, (2, 3, 4)
"""The test fold is not looked at."""
BACKBONE, BASE = OURS, Technique(head="flatten")
"""What is tuned: MobileNetV3Large, from the start without labels where there is one, with the original study's head,
whose dense units are in question."""


@dataclass(frozen=True)
class Plan:
    """A trial sees `slices` slices, whatever its batch, so that all trials cost about the same."""

    trials: int = 24
    slices: int = 6000
    startup: int = 8
    """Random trials before TPE begins to choose."""
    seed: int = 1


def storage(places: store.Places) -> str:
    """Where Optuna keeps the trials; processes may share it."""
    places.run.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{places.run / 'search.db'}"


def sampler(kind: str, plan: Plan, told: int) -> Any:
    """Seeded anew by the number of trials that are done: a resumed search does not repeat its first draws."""
    import optuna

    if kind == "random":
        return optuna.samplers.RandomSampler(seed=plan.seed + 1000 + told)
    return optuna.samplers.TPESampler(seed=plan.seed + told, n_startup_trials=plan.startup)


def study(kind: str, plan: Plan, places: store.Places) -> Any:
    """The study of one sampler as far as it has come. The data's digest is no part of its name: one `run` folder, one
    data set."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"{kind}-{plan.slices}"
    with locked(places.run / "search.lock"):  # two processes must not both make the tables
        with contextlib.suppress(KeyError):
            kept = optuna.load_study(study_name=name, storage=storage(places))
            kept.sampler = sampler(kind, plan, len(kept.trials))
            return kept
        return optuna.create_study(
            study_name=name, storage=storage(places), direction="maximize", sampler=sampler(kind, plan, 0)
        )


def chosen(trial: Any) -> Technique:
    """The technique of a trial."""
    return replace(
        BASE,
        rate=trial.suggest_categorical("rate", RATES),
        dropout=trial.suggest_float("dropout", *DROPOUT),
        batch=trial.suggest_categorical("batch", BATCHES),
        units=trial.suggest_categorical("units", UNITS),
    )


def objective(technique: Technique, shelf: Shelf, setting: runner.Setting, plan: Plan, folder: Path) -> float:
    """Macro recall on the patients of fold 5 of a network that saw folds 2 to 4."""
    labels = np.asarray([s.label for s in shelf.slices], np.int64)
    train = [i for i, s in enumerate(shelf.slices) if s.fold in TRAINING_FOLDS]
    held = [i for i, s in enumerate(shelf.slices) if s.fold == VALIDATION_FOLD]
    torch.manual_seed(plan.seed)
    net, _ = runner.build(BACKBONE, technique, setting.size, setting.source)
    feed = Feed(shelf.pictures(technique.frame), train, labels[train], technique, setting.size, plan.seed)
    learner = Learner(net, feed, {}, folder, technique.rate, setting.machine)
    learner.train(Budget(steps=max(1, plan.slices // feed.batch)))
    learner.checkpoint.unlink(missing_ok=True)
    logits = predict(net, shelf.tensors(technique.frame, setting.size)[held])
    # A diverged network says nothing: every class is then the first.
    return calibrate.macro_recall(np.nan_to_num(logits).argmax(1), labels[held])


def search(plan: Plan, shelf: Shelf, setting: runner.Setting, places: store.Places) -> dict[str, Any]:
    """Both samplers to their last trial; what the storage holds is not repeated."""
    for kind in SAMPLERS:
        held = study(kind, plan, places)
        while (done := len(finished(held))) < plan.trials:
            trial = held.ask()
            technique = chosen(trial)
            value = objective(technique, shelf, setting, plan, places.run / "search" / f"{kind}-{trial.number}")
            held.tell(trial, value)
            runner.say(f"{kind} {done + 1} of {plan.trials}: macro recall {value:.4f}, {trial.params}")
    found = told(plan, setting, places)
    store.write(places.search, found)
    return found


def finished(held: Any) -> list[Any]:
    import optuna

    return list(held.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))


def told(plan: Plan, setting: runner.Setting, places: store.Places) -> dict[str, Any]:
    """Trials and importances of both samplers, for the table."""
    found: dict[str, Any] = {"trials": plan.trials, "slices": plan.slices, "size": setting.size, "samplers": {}}
    found["start"] = setting.source.start is not None
    found["folds"] = {"train": list(TRAINING_FOLDS), "validation": VALIDATION_FOLD}
    for kind in SAMPLERS:
        held = study(kind, plan, places)
        trials = [{"number": t.number, "value": t.value, **t.params} for t in finished(held)]
        found["samplers"][kind] = {"trials": trials, "importances": importances(held)}
    return found


def importances(held: Any) -> dict[str, float]:
    """Share of each setting in what tells good trials from all (PED-ANOVA); empty with too few trials."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len({t.value for t in finished(held)}) < 4:
        return {}
    found: dict[str, float] = get_param_importances(held, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(value) for name, value in found.items()}
