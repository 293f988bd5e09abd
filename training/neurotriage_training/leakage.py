"""How much a split lets the test set be known from the training set, and how far the source alone tells the label.

Three questions, answered with every run: how well does a nearest neighbour on raw pixels do across the split, how many
slices have a near-duplicate on the other side, and how well does a classifier do that sees no anatomy, only borders,
tones and textures?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import LABELS, NORMAL, calibrate, data, recipe, similar

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def raw_pixels(slices: Sequence[data.Slice], side: int = 64) -> Floats:
    """Whole pictures, uncropped, as rows: what the nearest neighbour compares."""
    rows = []
    for item in slices:
        with Image.open(item.path) as image:
            small = image.convert("L").resize((side, side), Image.Resampling.BOX)
        rows.append(np.asarray(small, np.float32).ravel())
    return np.stack(rows)


def nearest(rows: Floats, labels: Ints, apart: Ints | None) -> float:
    """Accuracy of the nearest other row, or, with folds, of the nearest row of another fold."""
    squares = (rows * rows).sum(axis=1)
    hits = 0
    for start in range(0, len(rows), 256):
        block = rows[start : start + 256]
        distance = squares[None] - 2 * block @ rows.T
        at = np.arange(start, start + len(block))
        if apart is None:
            distance[np.arange(len(block)), at] = np.inf
        else:
            distance[apart[at][:, None] == apart[None]] = np.inf
        hits += int((labels[distance.argmin(axis=1)] == labels[at]).sum())
    return hits / len(rows)


def texture(item: data.Slice) -> npt.NDArray[np.float64]:
    """What a slice shows apart from its anatomy: size, borders, tones, sharpness, noise, block seams."""
    picture = data.read_image(item.path).astype(np.float64)
    rows, columns = picture.shape
    border = np.concatenate(
        [picture[:3].ravel(), picture[-3:].ravel(), picture[:, :3].ravel(), picture[:, -3:].ravel()]
    )
    across, down = np.abs(np.diff(picture, axis=1)), np.abs(np.diff(picture, axis=0))
    laplace = picture[1:-1, 1:-1] * 4 - picture[:-2, 1:-1] - picture[2:, 1:-1] - picture[1:-1, :-2] - picture[1:-1, 2:]
    seams = across[:, 7::8].mean() / max(1e-6, across.mean())
    dark = picture[picture < 0.1 * max(1.0, picture.max())]
    tones = np.histogram(picture, bins=12, range=(0, 256), density=True)[0] * 100
    return np.asarray(
        [
            rows / 256,
            columns / 256,
            border.mean(),
            border.std(),
            (border < 4).mean(),
            (picture < 4).mean(),
            *np.percentile(picture, [1, 5, 25, 50, 75, 95, 99]),
            across.mean(),
            down.mean(),
            np.log1p(np.abs(laplace).mean()),
            np.abs(laplace).mean() / max(1e-6, across.mean() + down.mean()),
            seams,
            dark.mean() if len(dark) else 0,
            dark.std() if len(dark) else 0,
            *tones,
        ]
    )


def control(features: npt.NDArray[np.float64], labels: Ints, folds: Ints) -> Ints:
    """Out-of-fold predictions of ridge regression on the features, their squares and products."""
    predicted = np.zeros(len(labels), np.int64)
    target = np.eye(len(LABELS))[labels]
    weight = 1 / np.bincount(labels, minlength=len(LABELS))[labels]
    for fold in np.unique(folds):
        known = folds != fold
        mean, spread = features[known].mean(axis=0), features[known].std(axis=0) + 1e-9
        z = np.clip((features - mean) / spread, -4, 4)
        i, j = np.triu_indices(z.shape[1])
        x = np.concatenate([np.ones((len(z), 1)), z, z[:, i] * z[:, j]], axis=1)
        w = weight[known][:, None]
        gram = x[known].T @ (x[known] * w)
        solved = np.linalg.solve(gram + 1e-2 * np.eye(len(gram)), x[known].T @ (target[known] * w))
        predicted[~known] = (x[~known] @ solved).argmax(axis=1)
    return predicted


def report(slices: Sequence[data.Slice], folds: Ints, constants: recipe.Recipe) -> dict[str, Any]:
    """The figures for one split of the slices."""
    labels = np.asarray([s.label for s in slices], np.int64)
    rows = raw_pixels(slices)
    alike = similar.pairs(similar.pictures(slices, constants), similar.DUPLICATE)
    across = [p for p in alike if folds[p.a] != folds[p.b]]
    guessed = control(np.stack([texture(s) for s in slices]), labels, folds)
    return {
        "slices": len(slices),
        "nearest_neighbour": {
            "leave_one_out": nearest(rows, labels, None),
            "across_the_split": nearest(rows, labels, folds),
        },
        "near_duplicates": {
            "pairs": len(alike),
            "mirror_images": sum(p.mirrored for p in alike),
            "pairs_across_the_split": len(across),
            "slices_with_one_across": len({i for p in across for i in (p.a, p.b)}),
            "of_another_label": sum(slices[p.a].label != slices[p.b].label for p in alike),
        },
        "control_without_anatomy": {
            "macro_recall": calibrate.macro_recall(guessed, labels),
            "normal_told_from_tumour": calibrate.macro_recall(
                (guessed == NORMAL).astype(np.int64), (labels == NORMAL).astype(np.int64)
            ),
        },
    }
