"""Duplicates, groups and splits, and what a leakage report says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurotriage_training import calibrate, data, leakage, recipe, similar


def textures(count: int) -> np.ndarray:
    return np.random.default_rng(4).random((count, similar.SIDE, similar.SIDE)).astype(np.float32)


def test_copies_and_mirror_images_are_found_and_others_are_not() -> None:
    small = textures(6)
    small[3] = np.clip(small[0] * 0.8 + 0.1, 0, 1)  # another tone
    small[4] = small[1][:, ::-1]
    found = similar.pairs(small, similar.DUPLICATE)
    assert {(p.a, p.b, p.mirrored) for p in found} == {(0, 3, False), (1, 4, True)}


def test_groups_join_over_steps() -> None:
    pairs = [similar.Pair(0, 2, 1, False), similar.Pair(2, 4, 1, False), similar.Pair(1, 5, 1, False)]
    assert similar.groups(6, pairs).tolist() == [0, 1, 0, 2, 0, 1]


def test_groups_stay_in_one_fold_and_folds_are_even() -> None:
    random = np.random.default_rng(1)
    group = np.sort(random.integers(0, 120, 600))
    group = np.unique(group, return_inverse=True)[1]
    labels = np.asarray([g % 4 for g in group])
    folds = similar.split_groups(group, labels, 5, seed=3)
    assert all(len(set(folds[group == g])) == 1 for g in range(group.max() + 1))
    for label in range(4):
        counts = np.bincount(folds[labels == label], minlength=6)[1:]
        assert counts.max() - counts.min() <= 8


@pytest.mark.parametrize("kind", ["patient", "similarity", "random"])
def test_every_split_places_every_slice(kind: str, small_data: Path) -> None:
    slices = data.load(small_data)
    small = similar.pictures(slices, recipe.Recipe())
    folds = similar.split(kind, slices, small)
    assert folds.min() >= 1 and folds.max() <= 5 and len(folds) == len(slices)
    assert (folds == similar.split(kind, slices, small)).all()


def test_an_unknown_split_is_refused(small_data: Path) -> None:
    with pytest.raises(ValueError, match="patient, similarity, random"):
        similar.split("lucky", data.load(small_data), None)


def test_leakage_report_sees_a_copy_across_the_split(small_data: Path) -> None:
    slices = data.load(small_data)
    clean = leakage.report(slices, np.asarray([s.fold for s in slices]), recipe.Recipe())
    doubled = [*slices, replace(slices[0], fold=slices[0].fold % 5 + 1)]
    leaking = leakage.report(doubled, np.asarray([s.fold for s in doubled]), recipe.Recipe())
    before, after = (r["near_duplicates"]["slices_with_one_across"] for r in (clean, leaking))
    assert after >= before + 1
    assert leaking["nearest_neighbour"]["leave_one_out"] >= clean["nearest_neighbour"]["leave_one_out"]


def test_nearest_neighbour_looks_across_the_split_only() -> None:
    rows = np.asarray([[0.0], [0.1], [5.0], [5.1]], np.float32)
    labels, folds = np.asarray([0, 0, 1, 1]), np.asarray([1, 1, 2, 2])
    assert leakage.nearest(rows, labels, None) == 1.0
    assert leakage.nearest(rows, labels, folds) == 0.0


def test_control_learns_what_borders_give_away() -> None:
    random = np.random.default_rng(2)
    labels, folds = np.tile(np.arange(4), 60), np.repeat(np.arange(1, 6), 48)
    told = np.stack([labels + random.normal(0, 0.1, 240), random.normal(0, 1, 240), (labels > 1) * 1.0], axis=1)
    blind = random.normal(0, 1, (240, 3))
    assert calibrate.macro_recall(leakage.control(told, labels, folds), labels) > 0.9
    assert calibrate.macro_recall(leakage.control(blind, labels, folds), labels) < 0.45


def test_slices_get_the_folds_of_the_split_that_is_named(small_data: Path) -> None:
    slices, constants = data.load(small_data), recipe.Recipe()
    folds = {kind: [s.fold for s in similar.folded(kind, slices, constants)] for kind in similar.SPLITS}
    assert folds["patient"] == [s.fold for s in slices]
    assert folds["similarity"] != folds["patient"] != folds["random"]
    group = similar.groups(len(slices), similar.pairs(similar.pictures(slices, constants), similar.LOOK_ALIKE))
    for number in np.unique(group):
        assert len({folds["similarity"][i] for i in np.flatnonzero(group == number)}) == 1
