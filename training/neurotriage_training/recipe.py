"""The recipe head-crop.v1: one slice in, one square tensor in 0..1 out.

The serving side implements the same arithmetic in Go. Whatever changes here changes there, and the golden
fixtures of `golden.py` are renewed. Pixels are 2-D arrays in modality units; spacing is in millimetres.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """The constants that the model card carries under `recipe`."""

    kind: str = "head-crop.v1"
    percentile_low: float = 0.005
    percentile_high: float = 0.995
    thumbnail: int = 96
    head_threshold: float = 0.1
    margin: float = 0.04
    min_head_area_mm2: float = 4000.0

    def card(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Head:
    """Where the head is. Box and crop are in source pixels; the crop may leave the image."""

    low: float
    high: float
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1; x1 and y1 are past the end."""
    area_mm2: float
    crop_x0: float
    crop_y0: float
    crop_width: float
    crop_height: float

    @property
    def flat(self) -> bool:
        return self.high <= self.low


def luma(rgb: npt.NDArray[np.uint8]) -> FloatArray:
    """Colour to grey in integers, so that every reader rounds alike (ITU-R BT.601 weights)."""
    wide = rgb.astype(np.int64)
    return ((299 * wide[..., 0] + 587 * wide[..., 1] + 114 * wide[..., 2] + 500) // 1000).astype(np.float32)


def block_means(pixels: npt.NDArray[np.generic], block: int) -> npt.NDArray[np.float64]:
    """Means over block × block cells; the cells at the far edges average what is there."""
    values = pixels.astype(np.float64)
    if block == 1:
        return values
    row_starts = np.arange(0, values.shape[0], block)
    column_starts = np.arange(0, values.shape[1], block)
    sums = np.add.reduceat(np.add.reduceat(values, row_starts, axis=0), column_starts, axis=1)
    heights = np.diff(np.append(row_starts, values.shape[0]))
    widths = np.diff(np.append(column_starts, values.shape[1]))
    return np.asarray(sums / np.outer(heights, widths), dtype=np.float64)


def largest_component(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int, int]:
    """x0, y0, x1, y1 and cell count of the largest 4-connected component; all 0 when the mask is empty.

    Works on runs of a row, joined by union-find towards the run that comes first in row-major order,
    so that of equally large components the earlier one wins.
    """
    runs: list[tuple[int, int, int]] = []
    parent: list[int] = []

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    above: list[int] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
        here: list[int] = []
        for start, stop in edges.reshape(-1, 2).tolist():
            mine = len(runs)
            runs.append((y, start, stop))
            parent.append(mine)
            here.append(mine)
            for other in above:
                if runs[other][1] < stop and start < runs[other][2]:
                    a, b = root(other), root(mine)
                    parent[max(a, b)] = min(a, b)
        above = here
    return _largest_of(runs, [root(i) for i in range(len(runs))])


def _largest_of(runs: list[tuple[int, int, int]], roots: list[int]) -> tuple[int, int, int, int, int]:
    if not runs:
        return 0, 0, 0, 0, 0
    cells: dict[int, int] = {}
    for (_, start, stop), owner in zip(runs, roots):
        cells[owner] = cells.get(owner, 0) + stop - start
    best = min(cells, key=lambda owner: (-cells[owner], owner))
    mine = [run for run, owner in zip(runs, roots) if owner == best]
    return (
        min(run[1] for run in mine),
        mine[0][0],
        max(run[2] for run in mine),
        mine[-1][0] + 1,
        cells[best],
    )


def find_head(pixels: npt.NDArray[np.generic], recipe: Recipe, spacing: tuple[float, float] = (1.0, 1.0)) -> Head:
    """Steps 1 to 4: thumbnail, window, head mask, square crop. `spacing` is (row, column) in mm."""
    rows, columns = pixels.shape
    block = max(1, max(rows, columns) // recipe.thumbnail)
    thumbnail = block_means(pixels, block)
    ordered = np.sort(thumbnail, axis=None)
    low = float(ordered[int(recipe.percentile_low * (ordered.size - 1))])
    high = float(ordered[int(recipe.percentile_high * (ordered.size - 1))])
    if high <= low:
        return Head(low, high, (0, 0, 0, 0), 0.0, 0.0, 0.0, 0.0, 0.0)
    cx0, cy0, cx1, cy1, cells = largest_component(thumbnail > low + recipe.head_threshold * (high - low))
    x0, y0, x1, y1 = cx0 * block, cy0 * block, min(cx1 * block, columns), min(cy1 * block, rows)
    sy, sx = spacing
    side_mm = max((x1 - x0) * sx, (y1 - y0) * sy) * (1 + 2 * recipe.margin)
    width, height = side_mm / sx, side_mm / sy
    return Head(
        low,
        high,
        (x0, y0, x1, y1),
        cells * block * block * sx * sy,
        (x0 + x1) / 2 - width / 2,
        (y0 + y1) / 2 - height / 2,
        width,
        height,
    )


def triangle_weights(start: float, length: float, size: int, source: int) -> FloatArray:
    """Step 6 along one axis: a size × source matrix.

    The triangle is as wide as an output sample (never narrower than two source pixels), and is normalised over
    all integer positions, those outside the image included: outside is black, not absent.
    """
    scale = length / size
    reach = max(1.0, scale)
    centres = start + (np.arange(size, dtype=np.float64) + 0.5) * scale
    first = int(np.floor(centres[0] - reach)) - 1
    last = int(np.ceil(centres[-1] + reach)) + 1
    positions = np.arange(first, last + 1)
    weights = np.maximum(0.0, 1 - np.abs(positions[None, :] + 0.5 - centres[:, None]) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((size, source), dtype=np.float32)
    inside = (positions >= 0) & (positions < source)
    matrix[:, positions[inside]] = weights[:, inside].astype(np.float32)
    return matrix


def window(pixels: npt.NDArray[np.generic], low: float, high: float) -> FloatArray:
    """Step 5: the window to 0..1."""
    values = (pixels.astype(np.float64) - low) / (high - low)
    return np.clip(values, 0.0, 1.0).astype(np.float32)


def apply(
    pixels: npt.NDArray[np.generic],
    recipe: Recipe,
    size: int,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> tuple[FloatArray, Head]:
    """The whole recipe: tensor of size × size and where it came from."""
    head = find_head(pixels, recipe, spacing)
    if head.flat:
        return np.zeros((size, size), dtype=np.float32), head
    rows, columns = pixels.shape
    down = triangle_weights(head.crop_y0, head.crop_height, size, rows)
    across = triangle_weights(head.crop_x0, head.crop_width, size, columns)
    return np.asarray(down @ window(pixels, head.low, head.high) @ across.T, dtype=np.float32), head
