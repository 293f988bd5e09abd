"""Tumour-free stand-ins from tumour slices, and tumours set into tumour-free slices.

There are no tumour-free slices of tumour patients in the data, so a network can tell "normal" by scanner, crop and
sequence. Stand-ins break that: the same scanner with the tumour mirrored away is normal, a normal slice with a tumour
set in is not. Controls keep the seam from becoming the cue: healthy boxes are replaced in the same ways without a
change of label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
Floats = npt.NDArray[np.float32]
SYMMETRY = 0.65
"""Least correlation of a coarse head with its mirror image for it to count as axial or coronal; chosen by eye on
folds 3 to 5, where sagittal slices stay below."""
COARSE = 4
"""Symmetry is looked for on block means of this many pixels, which forgives small differences between the sides."""
SEAM = 0.15
"""Width of the blended rim on each side, as a fraction of half the box."""

DARK = 12
"""Of 255: background, and what is as dark."""


@dataclass(frozen=True)
class Axis:
    """A mirror line: through (x, y), tilted from the vertical by `tilt` radians; `score` is the correlation."""

    x: float
    y: float
    tilt: float
    score: float

    def reflect(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The mirror image of points: p - 2((p - a)·n)n with n normal to the line."""
        nx, ny = math.cos(self.tilt), math.sin(self.tilt)
        distance = (x - self.x) * nx + (y - self.y) * ny
        return x - 2 * distance * nx, y - 2 * distance * ny


def mirrored(pixels: Floats, axis: Axis) -> Floats:
    """The picture reflected about the axis, bilinear, black outside."""
    rows, columns = pixels.shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5
    u, v = axis.reflect(x, y)
    u, v = u - 0.5, v - 0.5
    x0, y0 = np.floor(u).astype(int), np.floor(v).astype(int)
    fx, fy = (u - x0).astype(np.float32), (v - y0).astype(np.float32)
    padded = np.pad(pixels, 1)

    def at(yy: npt.NDArray[np.int_], xx: npt.NDArray[np.int_]) -> Floats:
        return np.asarray(padded[np.clip(yy + 1, 0, rows + 1), np.clip(xx + 1, 0, columns + 1)], dtype=np.float32)

    upper = at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx
    lower = at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx
    return np.asarray(upper * (1 - fy) + lower * fy, dtype=np.float32)


def symmetry_axis(pixels: Floats, head: tuple[int, int, int, int], tumour: Box | None = None) -> Axis:
    """The line about which the head looks most alike on both sides, the tumour and its mirror image left out."""
    x0, y0, x1, y1 = (value // COARSE for value in head)
    rows, columns = pixels.shape[0] // COARSE, pixels.shape[1] // COARSE
    small = pixels[: rows * COARSE, : columns * COARSE].reshape(rows, COARSE, columns, COARSE).mean((1, 3))
    small = small.astype(np.float32)
    inside = np.zeros(small.shape, np.float32)
    inside[y0:y1, x0:x1] = 1
    if tumour is not None:
        tx0, ty0, tx1, ty1 = (round(value / COARSE) for value in tumour)
        inside[max(0, ty0) : ty1, max(0, tx0) : tx1] = 0
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    reach = (x1 - x0) / 8
    start = Axis(middle_x, middle_y, 0.0, -1.0)
    coarse = _best(small, inside, start, (-8, 0, 8), np.arange(-reach, reach + 0.1, 1.5))
    fine = _best(small, inside, coarse, (-4, -2, 0, 2, 4), np.asarray([-0.75, 0, 0.75]))
    return Axis(fine.x * COARSE, fine.y * COARSE, fine.tilt, fine.score)


def _best(
    small: Floats, inside: Floats, start: Axis, degrees: tuple[int, ...], offsets: npt.NDArray[np.float64]
) -> Axis:
    """The best of all combinations of further tilts and sideways moves from `start`."""
    best = start
    for turn in degrees:
        for offset in offsets:
            axis = Axis(start.x + float(offset), start.y, start.tilt + math.radians(turn), 0.0)
            score = _likeness(small, inside, axis)
            if score > best.score:
                best = Axis(axis.x, axis.y, axis.tilt, score)
    return best


def _likeness(small: Floats, inside: Floats, axis: Axis) -> float:
    keep = (inside > 0) & (mirrored(inside, axis) > 0.99)
    if keep.sum() < 0.5 * (inside > 0).sum():
        return -1.0
    a, b = small[keep], mirrored(small, axis)[keep]
    if a.std() == 0 or b.std() == 0:
        return -1.0
    return float(np.corrcoef(a, b)[0, 1])


def blend_mask(shape: tuple[int, int], box: Box, seam: float = SEAM, round_shape: bool = False) -> Floats:
    """1 inside the box (or its ellipse), a smooth fall to 0 over the seam outside it."""
    x0, y0, x1, y1 = box
    cy, cx = (y0 + y1) / 2, (x0 + x1) / 2
    hy, hx = max(1.0, (y1 - y0) / 2), max(1.0, (x1 - x0) / 2)
    dy = np.abs(np.arange(shape[0], dtype=np.float32) + 0.5 - cy)[:, None] / hy
    dx = np.abs(np.arange(shape[1], dtype=np.float32) + 0.5 - cx)[None, :] / hx
    distance = np.sqrt(dx * dx + dy * dy) if round_shape else np.maximum(dx, dy)
    fall = np.clip((1 + 2 * seam - distance) / (2 * seam), 0, 1)
    return np.asarray(fall * fall * (3 - 2 * fall), dtype=np.float32)


def mirrored_away(pixels: Floats, axis: Axis, tumour: Box) -> Floats | None:
    """The slice with its tumour box replaced by the mirrored other side; None where that cannot be done.

    It cannot when the slice is not symmetric (sagittal), or when the tumour crosses the midline.
    """
    x0, y0, x1, y1 = tumour
    for x, y in ((x0, y0), (x1, y1)):
        if x < 0 or y < 0 or x > pixels.shape[1] or y > pixels.shape[0]:
            return None
    if axis.score < SYMMETRY:
        return None
    corners_x = np.asarray([x0, x1, x0, x1], dtype=np.float32)
    corners_y = np.asarray([y0, y0, y1, y1], dtype=np.float32)
    there, _ = axis.reflect(corners_x, corners_y)
    # Each corner must lie on its own side of the line, or tumour is copied onto tumour.
    if len({bool(v) for v in (there > corners_x)}) != 1:
        return None
    return replace_by_mirror(pixels, axis, tumour)


def replace_by_mirror(pixels: Floats, axis: Axis, box: Box) -> Floats:
    mask = blend_mask((pixels.shape[0], pixels.shape[1]), box)
    return np.asarray(pixels * (1 - mask) + mirrored(pixels, axis) * mask, dtype=np.float32)


def set_in(
    target: npt.NDArray[np.uint8],
    donor: npt.NDArray[np.uint8],
    box: Floats,
    shift: tuple[int, int],
) -> npt.NDArray[np.uint8] | None:
    """`donor`'s box set into `target`, moved by `shift` (x, y), brightness matched to its new surroundings.

    None when the new place is not inside the head.
    """
    size = target.shape[0]
    moved = box + np.asarray([shift[0], shift[1], shift[0], shift[1]], dtype=np.float32)
    x0, y0, x1, y1 = (int(v) for v in np.rint(moved))
    if x0 < 4 or y0 < 4 or x1 > size - 4 or y1 > size - 4 or x1 - x0 < 6 or y1 - y0 < 6:
        return None
    under = target[y0:y1, x0:x1]
    if (under > DARK).mean() < 0.85:
        return None
    mask = blend_mask((size, size), (x0, y0, x1, y1), round_shape=True)
    patch = np.roll(donor, (shift[1], shift[0]), axis=(0, 1)).astype(np.float32)
    ring = (mask > 0.02) & (mask < 0.6)
    if ring.sum() < 8:
        return None
    gain = float(np.clip(target[ring].mean() / max(1.0, float(patch[ring].mean())), 0.5, 2.0))
    mixed = target * (1 - mask) + np.clip(patch * gain, 0, 255) * mask
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def restyled(crop: npt.NDArray[np.uint8], like: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The crop with the grey levels of another head: its histogram inside the head, brightness order kept.

    Tone is then no sign of a source or a class. What is darker than DARK in either picture takes no part.
    """
    inside, wanted = crop[crop > DARK], like[like > DARK]
    if inside.size < 64 or wanted.size < 64:
        return crop
    share = np.cumsum(np.bincount(inside, minlength=256)) / inside.size
    levels = np.cumsum(np.bincount(wanted, minlength=256)) / wanted.size
    table = np.searchsorted(levels, share).clip(0, 255)
    table[: DARK + 1] = np.arange(DARK + 1)
    return np.asarray(table[crop], dtype=np.uint8)
