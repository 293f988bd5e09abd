"""Nothing of a fold reaches the network, the temperature or the threshold that it is judged with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurotriage_training import (
    LABELS,
    calibrate,
    card,
    data,
    nested,
    outoffold,
    plans,
    pooling,
    pools,
    pretrain,
    tables,
    train,
)


def made(number: int, seed: int, sure: float) -> nested.Fold:
    """A fold of 80 made-up slices in 20 runs; `sure` is how loud the right logit is."""
    random = np.random.default_rng(seed)
    slices, logits = [], []
    for i in range(80):
        label = (i // 4) % 4
        order = 0 if label == 2 else i + 1
        slices.append(data.Slice(Path(f"{number}-{i}"), f"{number}-{i}", label, "made", number, order))
        logits.append(random.normal(0, 1, 4) + sure * np.eye(4)[label])
    pictures = np.repeat(random.random((20, 1, 32, 32)), 4, axis=0).astype(np.float32)
    labels = np.asarray([s.label for s in slices], np.int64)
    empty = np.zeros((0, 4), np.float32)
    part = tables.Part(slices, pictures, labels, empty, [], empty, np.zeros(0, np.int64))
    away = (random.normal(0, 1, (6, 4)) + sure * np.eye(4)[2]).astype(np.float32)
    part.mirrored, part.mirrored_from = np.zeros((6, 1, 32, 32), np.float32), []
    scores = tables.Scores(np.asarray(logits, np.float32), random.random(80).astype(np.float32), away, away)
    part.set_in_labels = np.zeros(6, np.int64)
    return nested.Fold(number, part, scores, part.studies)


@pytest.fixture(scope="module")
def folds() -> list[nested.Fold]:
    return [made(k, 10 + k, 3.0) for k in range(1, 6)]


def test_what_judges_a_fold_does_not_depend_on_it(folds: list[nested.Fold]) -> None:
    changed = [*folds[:4], made(5, 99, 0.1)]
    before, after = nested.judged(folds)[4], nested.judged(changed)[4]
    assert before.chosen == after.chosen
    assert nested.judged(changed)[0].chosen != nested.judged(folds)[0].chosen


def test_figures_are_within_their_intervals(folds: list[nested.Fold]) -> None:
    judgements = nested.judged(folds)
    slices, studies = nested.slice_figures(judgements), nested.study_figures(judgements)
    for figure in (
        slices["macro_recall"],
        slices["glioma_recall"],
        studies["glioma_flagged"],
        studies["others_flagged"],
    ):
        assert 0 <= figure["low"] <= figure["mean"] <= figure["high"] <= 1
    assert slices["slices"] == 400 and sum(map(sum, slices["confusion"])) == 400
    assert slices["macro_recall"]["mean"] == pytest.approx(slices["report"]["macro avg"]["recall"])
    assert studies["glioma_flagged"]["mean"] > 0.8


def test_roc_of_known_scores() -> None:
    score, positive = np.asarray([0.9, 0.8, 0.3, 0.1]), np.asarray([True, True, False, False])
    assert nested.roc(score, positive)["area"] == 1.0
    assert nested.roc(-score, positive)["area"] == 0.0


def test_bootstrap_draws_patients_not_slices() -> None:
    hits = np.repeat([1.0, 0.0], 50)
    by_patient = nested.bootstrap(np.repeat([0, 1], 50), lambda rows: float(hits[rows].mean()))
    by_slice = nested.bootstrap(np.arange(100), lambda rows: float(hits[rows].mean()))
    assert by_patient["high"] - by_patient["low"] == 1.0
    assert by_slice["high"] - by_slice["low"] < 0.3


def test_a_folds_network_never_sees_the_fold(small_data: Path, tmp_path: Path) -> None:
    slices = data.load(small_data)
    everything = pools.build(slices, plans.tiny().last.recipe, tmp_path, "t", atlas=False)
    inside = {s.name for s in slices if s.fold == 2}
    kept = outoffold.without(everything, slices, {2})
    assert not inside & {name for pool in kept.values() for name in pool.names}
    whole = outoffold.without(everything, slices, {outoffold.ALL})
    assert {name: len(pool) for name, pool in whole.items()} == {name: len(pool) for name, pool in everything.items()}


def colours(x: torch.Tensor) -> list[torch.Tensor]:
    """A teacher that sees brightness at each stride."""
    strides = {5: 4, 8: 8, 14: 16, 17: 32, 20: 32}
    return [
        torch.nn.functional.avg_pool2d(x[:, :1], strides[layer]).repeat(1, its, 1, 1)
        for layer, (_, its) in pretrain.TAPS.items()
    ]


def test_start_without_labels_learns_resumes_and_is_taken_over(small_data: Path, tmp_path: Path) -> None:
    slices = data.load(small_data)
    everything = pools.build(slices, plans.tiny().last.recipe, tmp_path, "t", atlas=False)
    plan = pretrain.Plan(steps=12, batch=8, size=64, threads=1)
    student = pretrain.Student(plan, colours)
    losses = [student.learn(everything) for _ in range(6)]
    student.store(tmp_path / "cut.pt")
    losses += [student.learn(everything) for _ in range(6)]
    assert losses[-1] < losses[0]
    resumed = pretrain.Student(plan, colours)
    resumed.restore(tmp_path / "cut.pt")
    resumed.model.train()
    assert [resumed.learn(everything) for _ in range(6)] == losses[6:]
    resumed.store(tmp_path / "start.pt")

    assert pretrain.run(plan, everything, tmp_path / "start.pt", lambda: colours) == tmp_path / "start.pt"
    with pytest.raises(ValueError, match="another plan"):
        pretrain.run(replace(plan, steps=24), everything, tmp_path / "start.pt", lambda: colours)

    fold = train.Trainer(plans.tiny().last, tmp_path / "run")
    drawn = fold.model.output.weight.clone()
    outoffold.begin(fold, tmp_path / "start.pt")
    assert torch.equal(fold.model.output.weight, drawn)
    assert torch.equal(fold.model.features[0].weight, resumed.average.features[0].weight)


def test_start_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"average": {"stem": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="another network"):
        outoffold.begin(train.Trainer(plans.tiny().last, tmp_path / "run"), tmp_path / "other.pt")


def test_slices_without_runs_have_no_studies_of_tumours_and_say_so(folds: list[nested.Fold]) -> None:
    """Class folders number nothing, so nothing stands for a patient's run of slices."""
    unnumbered = []
    for fold in folds:
        part = replace(fold.part, slices=[replace(s, order=0) for s in fold.part.slices])
        unnumbered.append(nested.Fold(fold.number, part, fold.scores, part.studies))
    figures = nested.study_figures(nested.judged(unnumbered))
    assert figures["studies"]["glioma"] == 0 < figures["studies"]["normal"]
    written = json.loads(json.dumps(card.rounded(figures), allow_nan=False))
    assert written["glioma_flagged"] == {"mean": None, "low": None, "high": None}
    assert written["others_flagged"]["mean"] is not None


def test_every_fold_begins_from_the_half_without_it() -> None:
    folds = [1, 2, 3, 4, 5]
    assert outoffold.halves(folds) == ((3, 4, 5), (1, 2))
    for fold in folds:
        assert fold not in outoffold.half_for(fold, folds)
    assert outoffold.half_for(outoffold.ALL, folds) == (3, 4, 5)


def test_an_interrupted_network_ends_as_in_one_go(small_data: Path, tmp_path: Path) -> None:
    slices, plan = data.load(small_data), plans.tiny().last
    everything = outoffold.without(pools.build(slices, plan.recipe, tmp_path, "t", atlas=False), slices, {1})
    half = train.Trainer(plan, tmp_path / "cut")
    half.train_epoch(everything)
    half.store()
    for run in (tmp_path / "cut", tmp_path / "whole"):
        outoffold.fit(plan, everything, run, None)
    digests = {train.weights_digest(outoffold.network(tmp_path / run, plan)) for run in ("cut", "whole")}
    assert len(digests) == 1
    assert [record["epoch"] for record in outoffold.history(tmp_path / "cut")] == [1, 2]


def test_a_network_takes_over_all_of_another_that_learned_from_labels(tmp_path: Path) -> None:
    plan = replace(plans.tiny().last, locate=0.5)
    first, second = train.Trainer(plan, tmp_path / "first"), train.Trainer(replace(plan, seed=2), tmp_path / "second")
    first.store()
    outoffold.begin(second, tmp_path / "first" / "checkpoint.pt")
    assert train.weights_digest(second.model) == train.weights_digest(first.average)
    assert first.locator and second.locator
    assert torch.equal(second.locator.cells.weight, first.locator.cells.weight)


def test_asking_an_unfinished_network_is_refused(tmp_path: Path) -> None:
    train.Trainer(plans.tiny().last, tmp_path).store()
    with pytest.raises(ValueError, match="train it to the end"):
        outoffold.network(tmp_path, plans.tiny().last)


def test_pooling_takes_stand_ins_of_one_fold_only(folds: list[nested.Fold]) -> None:
    fold = folds[0]
    for study in fold.studies:
        assert all(-len(fold.scores.mirrored) <= row < len(fold.part.slices) for row in study.rows)
    assert fold.pooled(calibrate.Scaling(), pooling.Pooling()).shape == (len(fold.studies), len(LABELS))
