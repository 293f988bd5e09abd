"""The pooling rule and the stand-in studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurotriage_training import NORMAL, pooling
from neurotriage_training.data import Slice

RULE = pooling.Pooling()


def rows(glioma: list[float]) -> np.ndarray:
    return np.asarray([[g, 0, 1 - g, 0] for g in glioma])


@pytest.mark.parametrize(
    "glioma,expected",
    [
        ([0.6], 0.6),
        ([0.0, 0.9], 0.45),
        ([0.0, 0.0, 0.9], (0.0 + 0.3 + 0.45) / 3),
        ([0.9] * 4, 0.9),
        # 12 slices, three taken: smoothing spreads 0.9 over three neighbours.
        ([0.0] * 5 + [0.9] + [0.0] * 6, 0.3),
        # 50 slices, a tenth taken: 5, of which three hold 0.3.
        ([0.0] * 20 + [0.9] + [0.0] * 29, 0.18),
    ],
)
def test_top_mean(glioma: list[float], expected: float) -> None:
    pooled = pooling.pool(rows(glioma), RULE)
    assert pooled[0] == pytest.approx(expected) and pooled.sum() == pytest.approx(1)


def test_ties_take_the_earlier_slice() -> None:
    p = np.asarray([[0.5, 0, 0.5, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5], [0, 0, 1.0, 0]])
    assert pooling.pool(p, pooling.Pooling(smooth=1, fraction=0.1, min_slices=1)).tolist() == [0.5, 0, 0.5, 0]


def test_order_matters_only_through_smoothing() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    plain = pooling.Pooling(smooth=1)
    assert np.allclose(pooling.pool(p, plain), pooling.pool(p[::-1], plain))


def test_softmax_is_stable() -> None:
    assert np.allclose(pooling.softmax([[1000.0, 0, 0, 0]]), [[1, 0, 0, 0]])


def some_slices() -> list[Slice]:
    tumours = [Slice(Path(f"{i}"), f"{i}", 0, "cheng2017", 2, order) for i, order in enumerate([1, 2, 3, 4, 50, 51])]
    return tumours + [Slice(Path(f"n{i}"), f"n{i}", NORMAL, "br35h", 2) for i in range(5)]


def test_runs_break_at_gaps_and_at_unlike_pictures() -> None:
    alike = np.eye(11, 4, dtype=np.float32) * 0
    alike[:, 0] = 1
    assert pooling.runs(some_slices(), alike) == [[0, 1, 2, 3], [4, 5]]
    alike[2:4] = [0, 1, 0, 0]
    assert pooling.runs(some_slices(), alike) == [[0, 1], [2, 3], [4, 5]]


def test_stand_ins_keep_the_run_together_and_repeat() -> None:
    slices, groups = some_slices(), [[0, 1, 2, 3], [4]]
    studies = pooling.stand_ins(slices, groups, ["1", "2"], seed=1, tumour_free=4)
    assert studies == pooling.stand_ins(slices, groups, ["1", "2"], seed=1, tumour_free=4)
    assert [s.label for s in studies] == [0, NORMAL, NORMAL, NORMAL, NORMAL]
    first = studies[0].rows
    at = first.index(0)
    assert first[at : at + 4] == (0, 1, 2, 3) and 20 <= len(first) <= 200
    assert set(first) - {0, 1, 2, 3} == {-1, -2, 6, 7, 8, 9, 10}


def test_padding_is_of_one_patient_and_of_the_same_class() -> None:
    meningioma, slices = 1, some_slices()
    slices += [Slice(Path(f"m{i}"), f"m{i}", meningioma, "cheng2017", 2, 90 + i) for i in range(2)]
    groups = [[0, 1], [2, 3], [4, 5], [11, 12]]
    studies = pooling.stand_ins(slices, groups, ["1", "3"], seed=3, tumour_free=20)
    padding = [{row for row in study.rows if row < 0} for study in studies]
    assert padding[0] == {-1} and padding[1] == {-2}  # their own
    assert padding[2] in ({-1}, {-2})  # has none: another glioma's
    assert padding[3] == set()  # no meningioma was mirrored away
    assert all(len(rows) <= 1 for rows in padding[4:]) and {-1} in padding[4:] and {-2} in padding[4:]


def test_negative_rows_are_mirrored_ones() -> None:
    slices, mirrored = rows([0.1, 0.2]), rows([0.7, 0.9])
    studies = [pooling.StandIn(0, (-1,)), pooling.StandIn(0, (-2,)), pooling.StandIn(0, (1,))]
    assert pooling.pooled(studies, slices, mirrored, RULE)[:, 0].tolist() == pytest.approx([0.7, 0.9, 0.2])
