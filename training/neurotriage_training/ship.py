"""The whole way: stages of training, calibration, test, export, results, model card."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import LABELS, data, export, metrics, pools, probes, release, results, tables, train
from .model import SliceClassifier

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """Where things are read and written; the defaults are the repository's own."""

    data: Path
    run: Path = REPOSITORY / "training" / "runs" / "first"
    model: Path = REPOSITORY / "classifier" / "model"
    results: Path = REPOSITORY / "training" / "results"
    document: Path = REPOSITORY / "docs" / "MODEL_CARD.md"
    foreign: tuple[Path, ...] = ()
    """Folders of DICOM files that are no heads, for the out-of-domain probe."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def learn(
    stages: tuple[train.Plan, ...], slices: list[data.Slice], places: Places, weights: Path | None
) -> list[dict[str, float]]:
    """Run all stages, each from the running average of the one before; what is done already is not repeated."""
    constants = stages[0].recipe
    training = release.folds(slices, release.TRAINING)
    drawn_from = pools.build(training, constants, places.run / "cache", _key(slices), stages[0].atlas)
    say("pools: " + ", ".join(f"{name} {len(pool)}" for name, pool in drawn_from.items()))
    calibration = _part(places, slices, release.CALIBRATION, stages[-1])
    watch = (torch.from_numpy(calibration.x), calibration.labels)
    history: list[dict[str, float]] = []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for number, plan in enumerate(stages, start=1):
        trainer = train.Trainer(plan, places.run / f"stage{number}", device)
        if not trainer.restore() and weights is not None:
            train.start_from(trainer, weights)
        say(f"stage {number} of {len(stages)}: {plan.last - trainer.epoch} epochs to go")
        train.fit(trainer, drawn_from, watch)
        history += [record | {"stage": float(number)} for record in trainer.history]
        weights = trainer.run / "checkpoint.pt"
    return history


def _key(slices: list[data.Slice]) -> str:
    return data.digest(slices)[7:19]


def _part(places: Places, slices: list[data.Slice], folds: tuple[int, ...], plan: train.Plan) -> tables.Part:
    name = f"{'-'.join(map(str, folds))}-{plan.size}-{_key(slices)}"
    return tables.load_part(places.run / "cache", release.folds(slices, folds), plan.recipe, plan.size, name)


def load_model(places: Places, stages: tuple[train.Plan, ...]) -> SliceClassifier:
    """The running average at the end of the last stage."""
    stored = torch.load(places.run / f"stage{len(stages)}" / "checkpoint.pt", map_location="cpu", weights_only=False)
    model = SliceClassifier(stages[-1].dropout)
    model.load_state_dict(stored["average"])
    return model.eval()


def finish(
    stages: tuple[train.Plan, ...], slices: list[data.Slice], places: Places, history: list[dict[str, float]]
) -> dict[str, Any]:
    """Freeze everything on fold 2, look at fold 1 once, write model, results and card. Returns the summary."""
    plan = stages[-1]
    model = load_model(places, stages)
    say("out-of-domain constants")
    foreign = release.foreign_constants(
        model, release.folds(slices, release.TRAINING), plan.recipe, plan.size, plan.atlas
    )
    made, content = release.exported(model, foreign, plan.size)
    calibration = _part(places, slices, release.CALIBRATION, plan)
    scores = tables.score(content, calibration)
    chosen = release.calibrated(calibration, scores)
    say("test")
    test = _part(places, slices, release.TEST, plan)
    test_scores = tables.score(content, test)
    evaluation = figures(calibration, scores, test, test_scores, chosen) | outside(
        places, content, scores, chosen, plan
    )
    evaluation["onnx_difference"] = export.agree(model, content, test.x[:16])
    record = release.training_record(plan, slices, train.weights_digest(model), "training/PROTOCOL.md")
    record |= {"epochs": sum(s.last for s in stages), "slices_seen": sum(s.last * s.steps * s.batch for s in stages)}
    model_card = release.model_card(chosen, plan, record, card_evaluation(evaluation))
    final = export.finish(made, model_card)
    export.write(places.model, final, model_card)
    results.write_predictions(places.results, "calibration", calibration, scores, chosen)
    results.write_predictions(places.results, "test", test, test_scores, chosen)
    return results.write(places.results, places.document, model_card, final, evaluation, history)


def figures(
    calibration: tables.Part,
    scores: tables.Scores,
    test: tables.Part,
    test_scores: tables.Scores,
    chosen: release.Calibration,
) -> dict[str, Any]:
    """The protocol's figures on calibration and test folds."""
    return {
        "calibration": {
            "slices": metrics.slice_level(calibration, scores, chosen),
            "studies": metrics.study_level(calibration, scores, chosen),
        },
        "test": {
            "slices": metrics.slice_level(test, test_scores, chosen),
            "studies": metrics.study_level(test, test_scores, chosen),
            "sweep": metrics.threshold_sweep(test, test_scores, chosen),
        },
    }


def outside(
    places: Places, content: bytes, known: tables.Scores, chosen: release.Calibration, plan: train.Plan
) -> dict[str, Any]:
    """The probes beyond the manifest, as far as their data is there."""
    found: dict[str, Any] = {
        "foreign": probes.foreign(
            content, known, plan.recipe, plan.size, chosen.thresholds.out_of_domain, list(places.foreign)
        )
    }
    volume = probes.t1_brain(places.data)
    if volume is not None:
        found["t1_brain"] = probes.healthy(volume, content, chosen, plan.recipe, plan.size)
    return found


def card_evaluation(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The part of the figures that travels in the card."""
    test = evaluation["test"]
    kept: dict[str, Any] = {
        "what": "this model's weights, trained on folds 3-5, calibrated on fold 2, tested once on fold 1",
        "macro_recall": test["slices"]["report"]["macro avg"]["recall"],
        "recall": {name: test["slices"]["report"][name]["recall"] for name in LABELS},
        "ece": test["slices"]["ece"],
        "studies": {k: test["studies"][k] for k in ("glioma_flagged", "others_flagged")},
        "mirrored_away_called_normal": test["slices"].get("mirrored_away", {}).get("called_normal"),
        "set_in_called_tumour": test["slices"].get("set_in", {}).get("called_tumour"),
        "foreign_auroc": evaluation["foreign"]["all"]["auroc_distance"],
    }
    if "t1_brain" in evaluation:
        kept["t1_brain"] = {
            plane: {"flagged": row["flagged"], "above_slice_threshold": row["above_slice_threshold"]}
            for plane, row in evaluation["t1_brain"].items()
        }
    return kept


def ship(stages: tuple[train.Plan, ...], places: Places, weights: Path | None = None) -> dict[str, Any]:
    slices = data.load(places.data)
    np.seterr(all="raise", under="ignore")
    history = learn(stages, slices, places, weights)
    return finish(stages, slices, places, history)
