"""The original study's protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from neurotriage_training import data, document, original, plans, pools


@pytest.fixture
def slices(small_data: Path) -> list[data.Slice]:
    return data.load(small_data)


def test_a_fifth_of_each_of_its_labels_is_held_out(slices: list[data.Slice]) -> None:
    drawn = original.of(slices, 1)
    assert {s.name for s in drawn} == {s.name for s in slices if s.seed_label is not None} != {s.name for s in slices}
    for label in range(4):
        parts = [s.fold for s in drawn if s.label == label]
        assert abs(parts.count(original.TEST) - len(parts) / 5) < 1
    assert (
        [s.fold for s in drawn] == [s.fold for s in original.of(slices, 1)] != [s.fold for s in original.of(slices, 2)]
    )


def test_its_labels_count_and_the_held_out_part_stays_unseen(slices: list[data.Slice], tmp_path: Path) -> None:
    moved = next(i for i, s in enumerate(slices) if s.seed_label == 0)
    slices[moved] = replace(slices[moved], seed_label=3)
    everything = pools.build(slices, plans.tiny().last.recipe, tmp_path, "t", atlas=False)
    drawn = original.of(slices, 1)
    drawn = [replace(s, fold=2) if s.name == slices[moved].name else s for s in drawn]
    kept = original.only(everything, drawn)
    held_out = {s.name for s in drawn if s.fold == original.TEST}
    unknown = {s.name for s in slices if s.seed_label is None}
    names = {name for pool in kept.values() for name in pool.names}
    assert names and not names & (held_out | unknown)
    tumours = kept["tumour"]
    assert tumours.labels[tumours.names.index(slices[moved].name)] == 3


def test_nothing_run_is_told_as_nothing(tmp_path: Path) -> None:
    assert original.together([tmp_path]) is None
    assert "Not run." in document._original(None)


def test_missed_figures_are_called_missed() -> None:
    assert document._met(0.94, 0.95, True) == document._met(0.15, 0.1, False) == "reached"
    assert document._met(0.94, 0.93, True) == "**missed**" and document._met(0.94, None, True) == "not run"
