"""Stand-ins: the tumour goes, the rest stays."""

from __future__ import annotations

import numpy as np
import pytest

from neurotriage_training import standins


def symmetric_head(side: int = 128, tilt: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    x, y = x - side / 2 + 0.5, y - side / 2 + 0.5
    u, v = x * np.cos(tilt) + y * np.sin(tilt), -x * np.sin(tilt) + y * np.cos(tilt)
    inside = (u / 44) ** 2 + (v / 54) ** 2 < 1
    picture = 100 + 40 * np.cos(np.abs(u) / 6) + 30 * np.sin(v / 9)
    return np.where(inside, picture, 0).astype(np.float32)


HEAD = (20, 10, 108, 118)
TUMOUR = (28.0, 50.0, 46.0, 66.0)


def with_tumour() -> np.ndarray:
    picture = symmetric_head()
    picture[50:66, 28:46] = 250
    return picture


@pytest.mark.parametrize("tilt", [-8, 0, 6])
def test_axis_is_found(tilt: float) -> None:
    axis = standins.symmetry_axis(symmetric_head(tilt=np.radians(tilt)), HEAD)
    assert axis.score > 0.9 and abs(np.degrees(axis.tilt) - tilt) <= 2.1


def test_reflection_twice_is_where_we_were() -> None:
    axis = standins.Axis(60, 50, 0.2, 1.0)
    x, y = np.asarray([10.0, 80.0], np.float32), np.asarray([5.0, 90.0], np.float32)
    there = axis.reflect(x, y)
    back = axis.reflect(*there)
    assert np.allclose(back[0], x, atol=1e-4) and np.allclose(back[1], y, atol=1e-4)


def away(picture: standins.Floats, tumour: standins.Box) -> standins.Floats | None:
    return standins.mirrored_away(picture, standins.symmetry_axis(picture, HEAD, TUMOUR), tumour)


def test_mirrored_away_restores_the_symmetric_head() -> None:
    made = away(with_tumour(), TUMOUR)
    assert made is not None
    assert np.abs(made - symmetric_head())[52:64, 30:44].mean() < 12
    assert np.array_equal(made[:, 80:], with_tumour()[:, 80:])


def test_midline_tumours_are_left_out() -> None:
    assert away(with_tumour(), (52.0, 50.0, 76.0, 66.0)) is None


def test_asymmetric_slices_are_left_out() -> None:
    picture = symmetric_head() * np.linspace(0.1, 1, 128)[None] ** 2
    picture[:, :64] = np.random.default_rng(0).normal(80, 40, (128, 64))
    assert away(picture.astype(np.float32), TUMOUR) is None


def test_set_in_changes_the_place_and_nothing_far_away() -> None:
    target = np.full((192, 192), 90, np.uint8)
    donor = np.full((192, 192), 60, np.uint8)
    donor[80:100, 80:100] = 200
    made = standins.set_in(target, donor, np.asarray([80, 80, 100, 100], np.float32), (20, 0))
    assert made is not None
    assert made[90, 110] > 160 and np.array_equal(made[:, :90], target[:, :90])


def test_set_in_refuses_the_background() -> None:
    donor = np.full((192, 192), 60, np.uint8)
    assert (
        standins.set_in(np.zeros((192, 192), np.uint8), donor, np.asarray([80, 80, 100, 100], np.float32), (0, 0))
        is None
    )


def test_restyled_takes_the_other_slices_grey_levels_and_keeps_its_own_shape() -> None:
    crop, like = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    crop[8:56, 8:56] = np.linspace(30, 120, 48).astype(np.uint8)
    like[8:56, 8:56] = np.linspace(60, 240, 48).astype(np.uint8)[:, None]
    made = standins.restyled(crop, like)
    assert np.array_equal(made == 0, crop == 0)
    assert abs(float(np.median(made[made > 0])) - float(np.median(like[like > 0]))) < 5
    assert (np.diff(made[30, 8:56].astype(int)) >= 0).all()


def test_restyled_leaves_empty_slices_alone() -> None:
    crop, empty = np.full((16, 16), 90, np.uint8), np.zeros((16, 16), np.uint8)
    assert np.array_equal(standins.restyled(crop, empty), crop)
    assert np.array_equal(standins.restyled(empty, crop), empty)
