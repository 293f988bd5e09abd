"""The recipe's promises, one fact a line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import REPOSITORY

from neurotriage_training import data, fixtures, recipe

R = recipe.Recipe()


def disc(rows: int, columns: int, x: float, y: float, radius: float) -> np.ndarray:
    yy, xx = np.mgrid[0:rows, 0:columns]
    return np.where((xx + 0.5 - x) ** 2 + (yy + 0.5 - y) ** 2 < radius**2, 800.0, 0.0)


@pytest.mark.parametrize(
    "rgb,grey",
    [((255, 255, 255), 255), ((0, 0, 0), 0), ((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((1, 2, 3), 2)],
)
def test_luma_is_integer(rgb: tuple[int, int, int], grey: int) -> None:
    assert recipe.luma(np.asarray([[rgb]], np.uint8))[0, 0] == grey


def test_block_means_average_what_is_there() -> None:
    values = np.arange(15).reshape(3, 5)
    assert recipe.block_means(values, 2).tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]


@pytest.mark.parametrize(
    "rows,expected",
    [
        (["....", "...."], (0, 0, 0, 0, 0)),
        (["#..#", "#..#"], (0, 0, 1, 2, 2)),  # a tie: the one that comes first
        ([".#.", "#.#", ".#."], (1, 0, 2, 1, 1)),  # corners do not connect
        (["#.#", "#.#", "###"], (0, 0, 3, 3, 7)),  # joined below
        (["#....", "..###", "..#.."], (2, 1, 5, 3, 4)),
    ],
)
def test_largest_component(rows: list[str], expected: tuple[int, ...]) -> None:
    mask = np.asarray([[c == "#" for c in row] for row in rows])
    assert recipe.largest_component(mask) == expected


def test_component_agrees_with_flood_fill() -> None:
    random = np.random.default_rng(4)
    for _ in range(20):
        mask = random.random((17, 23)) < 0.55
        seen, best = np.zeros_like(mask), 0
        for y, x in zip(*np.nonzero(mask)):
            stack, count = [(y, x)] if not seen[y, x] else [], 0
            while stack:
                a, b = stack.pop()
                if not (0 <= a < 17 and 0 <= b < 23) or seen[a, b] or not mask[a, b]:
                    continue
                seen[a, b], count = True, count + 1
                stack += [(a + 1, b), (a - 1, b), (a, b + 1), (a, b - 1)]
            best = max(best, count)
        assert recipe.largest_component(mask)[4] == best


def test_flat_slice_is_black() -> None:
    tensor, head = recipe.apply(np.full((30, 40), 7), R, 16)
    assert head.flat and head.area_mm2 == 0 and not tensor.any()


def test_head_is_centred_and_square() -> None:
    head = recipe.find_head(disc(200, 300, 220, 60, 40), R)
    assert abs(head.crop_x0 + head.crop_width / 2 - 220) <= 3
    assert abs(head.crop_y0 + head.crop_height / 2 - 60) <= 3
    assert head.crop_width == head.crop_height == pytest.approx((head.box[2] - head.box[0]) * 1.08, abs=4)


def test_area_and_crop_are_in_millimetres() -> None:
    one = recipe.find_head(disc(96, 96, 48, 48, 30), R)
    half = recipe.find_head(disc(96, 96, 48, 48, 30), R, (2.0, 0.5))
    assert half.area_mm2 == pytest.approx(one.area_mm2)
    assert half.crop_width * 0.5 == pytest.approx(half.crop_height * 2.0)


@pytest.mark.parametrize("scale,offset", [(1.0, 0.0), (13.0, -500.0), (0.25, 90.0)])
def test_units_do_not_matter(scale: float, offset: float) -> None:
    picture = disc(100, 90, 45, 50, 30) + 20 * np.sin(np.arange(90))[None]
    reference, _ = recipe.apply(picture, R, 32)
    other, _ = recipe.apply(picture * scale + offset, R, 32)
    assert np.abs(reference - other).max() < 1e-5


@pytest.mark.parametrize("start,length,size,source", [(0, 64, 32, 64), (-10, 90, 32, 64), (20, 10, 32, 64)])
def test_weights_count_what_is_outside(start: float, length: float, size: int, source: int) -> None:
    weights = recipe.triangle_weights(start, length, size, source)
    sums = weights.sum(axis=1)
    centres = start + (np.arange(size) + 0.5) * length / size
    deep = (centres > 4) & (centres < source - 4)
    assert np.allclose(sums[deep], 1, atol=1e-6) and (sums <= 1 + 1e-6).all()


def test_same_size_is_the_same_picture() -> None:
    assert np.allclose(recipe.triangle_weights(0, 20, 20, 20), np.eye(20), atol=1e-7)


def test_fixtures_still_hold() -> None:
    folder = REPOSITORY / "testdata" / "recipe"
    content = json.loads((folder / "cases.json").read_text())
    assert content["recipe"] == R.card()
    for case in content["cases"]:
        pixels = fixtures.stored(folder, case["pixels"], case["rows"], case["columns"])
        tensor, head = recipe.apply(pixels, R, content["size"], tuple(case["spacing"]))
        expected = fixtures.stored(folder, case["tensor"], content["size"], content["size"])
        assert np.abs(tensor - expected).max() <= 1 / 255, case["name"]
        assert head.area_mm2 == pytest.approx(case["crop"]["head_area_mm2"])


def test_real_heads_are_found(real_data) -> None:
    """A head fills most of a picture: few boxes may be small."""
    slices = [s for s in data.load(real_data) if s.fold != 1][::25]
    shares = []
    for item in slices:
        image = data.read_image(item.path)
        x0, y0, x1, y1 = recipe.find_head(image, R).box
        shares.append(max((x1 - x0) / image.shape[1], (y1 - y0) / image.shape[0]))
    assert np.mean(np.asarray(shares) < 0.45) < 0.02
