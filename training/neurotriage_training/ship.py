"""The whole way: a start without labels, five networks out of fold, the shipped one, results, model card."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import (
    LABELS,
    data,
    export,
    leakage,
    nested,
    original,
    outoffold,
    plans,
    pools,
    pretrain,
    probes,
    release,
    results,
    similar,
    sizes,
    tables,
    train,
    volumes,
)
from . import reference as references

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOCOL = "training/PROTOCOL-SECOND.md"


@dataclass(frozen=True)
class Places:
    """Where things are read and written; the defaults are the repository's own."""

    data: Path
    run: Path = REPOSITORY / "training" / "runs" / "model"
    model: Path = REPOSITORY / "classifier" / "model"
    results: Path = REPOSITORY / "training" / "results"
    document: Path = REPOSITORY / "docs" / "MODEL_CARD.md"
    foreign: tuple[Path, ...] = ()
    """Folders of DICOM files that are no heads, for the out-of-domain probe."""
    healthy: tuple[Path, ...] = ()
    """Healthy volumes that did not train, beside the data's own."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Work:
    """The slices, the plans and the folders of one run."""

    places: Places
    plan: plans.Whole
    slices: list[data.Slice]
    split: str = "patient"
    """By what the slices' folds were made (similar.split)."""

    @property
    def folds(self) -> list[int]:
        return sorted({s.fold for s in self.slices})

    @property
    def key(self) -> str:
        return data.digest(self.slices)[7:19]

    def everything(self) -> pools.Pools:
        plan = self.plan.last
        return pools.build(self.slices, plan.recipe, self.places.run / "cache", self.key, plan.atlas)

    def part(self, fold: int) -> tables.Part:
        size = self.plan.input_size
        name = f"fold{fold}-{size}-{self.key}"
        slices = release.folds(self.slices, (fold,))
        return tables.load_part(self.places.run / "cache", slices, self.plan.last.recipe, size, name)

    @property
    def way(self) -> str:
        """How the file asks, in the names of what is kept."""
        return f"{self.plan.input_size}" + ("-twice" if self.plan.twice else "")

    def of_stages(self, fold: int) -> list[Path]:
        """Where each stage of the fold's network is kept."""
        name = f"fold{fold}" if fold else "shipped"
        return [self.places.run / f"{name}-{number}" for number, _ in enumerate(self.plan.stages, 1)]

    def ended(self, fold: int) -> Path:
        return self.of_stages(fold)[-1]

    def of_half(self, half: tuple[int, ...]) -> Path:
        return self.places.run / f"half{half[0]}"

    def history(self, fold: int) -> list[dict[str, float]]:
        """Loss and accuracy of every epoch of a fold's network, those of its half first."""
        half = self.of_half(outoffold.half_for(fold, self.folds))
        records = [r for run in (half, *self.of_stages(fold)) for r in outoffold.history(run)]
        return [r | {"epoch": epoch} for epoch, r in enumerate(records, 1)]

    def of_seed(self, seed: int) -> Path:
        return self.places.run / f"original-seed{seed}"


def begun(work: Work, weights: Path | None) -> Path | None:
    """What the networks start from: given weights, or the start without labels, made if need be."""
    if weights is not None or work.plan.start is None:
        return weights
    return pretrain.run(work.plan.start, work.everything(), work.places.run / "start.pt")


def learn(work: Work, weights: Path | None, only: Sequence[int] = ()) -> None:
    """Train what is not trained yet: the start, one network a fold, the shipped one; or `only` some of these."""
    everything = work.everything()
    say("pools: " + ", ".join(f"{name} {len(pool)}" for name, pool in everything.items()))
    start = begun(work, weights)
    wanted = list(only or [*work.folds, outoffold.ALL])
    # Those of the first half asked for first, so that two processes with other folds begin with other halves.
    for half in dict.fromkeys(outoffold.half_for(fold, work.folds) for fold in wanted):
        say(f"half: folds {', '.join(str(fold) for fold in half)} train")
        plan = replace(work.plan.half, seed=work.plan.half.seed + half[0])
        others = set(work.folds) - set(half)
        outoffold.fit(plan, outoffold.without(everything, work.slices, others), work.of_half(half), start)
    for fold in wanted:
        say(f"fold {fold}: the others train" if fold else "the shipped weights: all folds train")
        before = work.of_half(outoffold.half_for(fold, work.folds))
        drawn_from = outoffold.without(everything, work.slices, {fold})
        for plan, folder in zip(work.plan.stages, work.of_stages(fold)):
            outoffold.fit(replace(plan, seed=plan.seed + fold), drawn_from, folder, before / "checkpoint.pt")
            before = folder


def original_protocol(work: Work, weights: Path | None, seeds: Sequence[int] = original.SEEDS) -> None:
    """One network a seed under the original study's split, where the data names its slices."""
    if all(s.seed_label is None for s in work.slices):
        say("original protocol: no slice has a seed_label")
        return
    everything, start = work.everything(), begun(work, weights)
    for seed in seeds:
        say(f"original protocol, seed {seed}")
        plan, folder = work.plan, work.of_seed(seed)
        original.run(plan.original, plan.input_size, work.slices, everything, seed, folder, start, plan.twice)


def sizes_of(work: Work, judgements: Sequence[nested.Judged]) -> list[dict[str, Any]]:
    """The figures by input size, each network with its own offsets; measured once, then kept."""
    path = work.ended(outoffold.ALL) / "sizes.json"
    if path.is_file():
        kept: list[dict[str, Any]] = json.loads(path.read_text())
        return kept
    say("input sizes")
    plan = work.plan.last
    networks = []
    for one in judgements:
        network = outoffold.network(work.ended(one.fold.number), plan)
        release.shift(network, one.chosen.scaling.offsets)
        networks.append((network, one.fold.part.slices))
    asked = work.plan.input_size
    tried = sizes.SIZES if asked in sizes.SIZES else (asked, 2 * asked)
    found = sizes.measured(networks, plan.recipe, tried)
    path.write_text(json.dumps(found) + "\n")
    return found


def answers(work: Work) -> list[nested.Fold]:
    """What each fold's network says of its fold; asked once, then kept."""
    found = []
    for number in work.folds:
        part, path = work.part(number), work.ended(number) / f"answers-{work.way}.npz"
        fold = outoffold.stored(path, number, part)
        if fold is None:
            say(f"asking the network of fold {number}")
            network = outoffold.network(work.ended(number), work.plan.last)
            fold = outoffold.asked(network, work.plan.last, number, work.slices, part, work.plan.twice)
            outoffold.store(path, fold)
        found.append(fold)
    return found


def finish(work: Work) -> dict[str, Any]:
    """Figures out of fold, the shipped file with its card, results and the card in words."""
    places, plan, size = work.places, work.plan.last, work.plan.input_size
    folds = answers(work)
    say("figures out of fold")
    judgements = nested.judged(folds)
    evaluation: dict[str, Any] = {
        "out_of_fold": {"slices": nested.slice_figures(judgements), "studies": nested.study_figures(judgements)},
        "leakage": leaks(work),
        "input_size": sizes_of(work, judgements),
        "original_protocol": original.together([work.of_seed(seed) for seed in original.SEEDS]),
    }
    chosen = nested.calibrated(folds)
    say("the shipped weights")
    model = outoffold.network(work.ended(outoffold.ALL), plan)
    foreign = release.foreign_constants(model, work.slices, plan.recipe, size, plan.atlas)
    digest = train.weights_digest(model)
    release.shift(model, chosen.scaling.offsets)
    made, content = release.exported(model, foreign, size, work.plan.twice)
    evaluation["these_weights"] = these_weights(work, folds, content, chosen)
    evaluation["these_weights"]["onnx_difference"] = export.agree(model, content, folds[0].part.x[:16], work.plan.twice)
    evaluation["reference"] = references.of(folds, chosen.scaling)
    record = release.training_record(plan, work.slices, digest, PROTOCOL)
    record |= {
        "epochs": work.plan.epochs,
        "split": work.split,
        "slices_seen": work.plan.slices_seen,
        "start": work.plan.told(),
        "asked_twice": work.plan.twice,
        "offsets": dict(zip(LABELS, chosen.scaling.offsets)),
    }
    model_card = release.model_card(chosen, size, plan.recipe, record, card_evaluation(evaluation))
    final = export.finish(made, model_card)
    export.write(places.model, final, model_card)
    results.write_predictions(places.results, judgements)
    history = {str(f): work.history(f) for f in [*work.folds, outoffold.ALL]}
    return results.write(places.results, places.document, model_card, final, evaluation, history, judgements)


def leaks(work: Work) -> dict[str, Any]:
    """The leakage report of the split that is used, and of a random one beside it."""
    path = work.places.run / "cache" / f"leakage-{work.key}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    say("leakage")
    constants = work.plan.last.recipe
    # The slices carry the folds of the split that is used.
    splits = {
        work.split: similar.split("patient", work.slices, None),
        "random": similar.split("random", work.slices, None),
    }
    found = {name: leakage.report(work.slices, of, constants) for name, of in splits.items()}
    path.write_text(json.dumps(found) + "\n")
    return found


def these_weights(
    work: Work, folds: Sequence[nested.Fold], content: bytes, chosen: release.Calibration
) -> dict[str, Any]:
    """What can be asked of weights that have seen all folds: pictures that are no slices of the data."""
    plan, places = work.plan.last, work.places
    inside = np.concatenate([f.scores.ood for f in folds])
    logits = np.concatenate([f.scores.logits for f in folds])
    none = np.zeros((0, len(LABELS)), np.float32)
    known = tables.Scores(logits, inside, none, none)
    bar = chosen.thresholds.out_of_domain
    found: dict[str, Any] = {
        "foreign": probes.foreign(content, known, plan.recipe, work.plan.input_size, bar, list(places.foreign))
    }
    found["healthy"] = {
        name: probes.healthy(volumes.read(path), content, chosen, plan.recipe, work.plan.input_size)
        for name, path in probes.healthy_volumes(places.data, places.healthy).items()
    }
    return found


def card_evaluation(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The part of the figures that travels in the card."""
    slices, studies = evaluation["out_of_fold"]["slices"], evaluation["out_of_fold"]["studies"]
    kept: dict[str, Any] = {
        "what": "the procedure, out of fold: five networks, each asked about the patients it has not learned from; "
        "the shipped weights come from the same procedure on all patients",
        "macro_recall": slices["macro_recall"],
        "recall": {name: slices["report"][name]["recall"] for name in LABELS},
        "ece": slices["ece"],
        "studies": {k: studies[k] for k in ("glioma_flagged", "others_flagged")},
        "mirrored_away_called_normal": slices["mirrored_away"]["called_normal"],
        "set_in_called_tumour": slices["set_in"]["called_tumour"],
    }
    weights: dict[str, Any] = {"foreign_auroc": evaluation["these_weights"]["foreign"]["all"]["auroc_distance"]}
    weights["healthy"] = {
        f"{name}, {plane}": {"flagged": row["flagged"], "above_slice_threshold": row["above_slice_threshold"]}
        for name, planes in evaluation["these_weights"]["healthy"].items()
        for plane, row in planes.items()
    }
    return kept | {"these_weights": weights, "reference": evaluation["reference"]}


def ship(work: Work, weights: Path | None = None) -> dict[str, Any]:
    np.seterr(all="raise", under="ignore")
    learn(work, weights)
    original_protocol(work, weights)
    return finish(work)
