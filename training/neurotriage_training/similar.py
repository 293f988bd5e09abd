"""Which slices resemble each other: near-duplicates, mirror images, and groups that stand for unknown patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from . import data, recipe

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SIDE = 32
"""Side of the pictures that are compared: recipe crops, so that framing and zoom do not tell them apart."""
DUPLICATE = 0.985
"""Least correlation of near-duplicates (another compression or tone); by eye on pairs of folds 2 to 5."""
LOOK_ALIKE = 0.90
"""Least correlation of slices that may be one patient's; neighbouring slices of one cheng2017 patient lie around it."""


@dataclass(frozen=True)
class Pair:
    """Two slices that resemble each other, as rows; `mirrored` when one is the other's mirror image."""

    a: int
    b: int
    likeness: float
    mirrored: bool


def pictures(slices: Sequence[data.Slice], constants: recipe.Recipe) -> Floats:
    """Recipe crops [N,SIDE,SIDE]."""
    return data.tensors((data.read_image(s.path) for s in slices), constants, SIDE)[:, 0]


def unit(small: Floats) -> Floats:
    """Rows of mean 0 and length 1: their products are correlations."""
    rows = small.reshape(len(small), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def pairs(small: Floats, least: float) -> list[Pair]:
    """All pairs whose correlation, straight or mirrored left to right, is at least `least`, the most alike first."""
    straight, turned = unit(small), unit(small[:, :, ::-1])
    found = []
    for start in range(0, len(small), 256):
        block = straight[start : start + 256]
        as_is, flipped = block @ straight.T, block @ turned.T
        best = np.maximum(as_is, flipped)
        for i, j in np.argwhere(best >= least):
            if start + i < j:
                found.append(Pair(int(start + i), int(j), float(best[i, j]), bool(flipped[i, j] > as_is[i, j])))
    return sorted(found, key=lambda p: (-p.likeness, p.a, p.b))


def groups(count: int, alike: Sequence[Pair]) -> Ints:
    """A group number a slice: slices that pairs connect, over any number of steps, share one."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for pair in alike:
        parent[max(root(pair.a), root(pair.b))] = min(root(pair.a), root(pair.b))
    names = {r: n for n, r in enumerate(sorted({root(i) for i in range(count)}))}
    return np.asarray([names[root(i)] for i in range(count)], np.int64)


def split_groups(group: Ints, labels: Ints, folds: int, seed: int) -> Ints:
    """Fold 1 … `folds` of each slice: whole groups, the largest first, each to the fold that has least of its label."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    order = sorted(range(len(members)), key=lambda g: (-len(members[g]), random.random()))
    held = np.zeros((folds, int(labels.max()) + 1))
    chosen = np.zeros(len(group), np.int64)
    for g in order:
        counts = np.bincount(labels[members[g]], minlength=held.shape[1])
        fold = int(np.argmin(held[:, counts > 0].sum(axis=1)))
        held[fold] += counts
        chosen[members[g]] = fold + 1
    return chosen


SPLITS = ("patient", "similarity", "random")


def folded(kind: str, slices: Sequence[data.Slice], constants: recipe.Recipe) -> list[data.Slice]:
    """The slices with the folds of one of the three protocols (see `split`)."""
    small = pictures(slices, constants) if kind == "similarity" else None
    return [replace(s, fold=int(fold)) for s, fold in zip(slices, split(kind, slices, small))]


def split(kind: str, slices: Sequence[data.Slice], small: Floats | None, folds: int = 5, seed: int = 7) -> Ints:
    """Folds of the slices by one of three protocols.

    `patient`: as the data gives them. `similarity`: groups of look-alikes stay together, for data without patients.
    `random`: the old protocol, which leaks patients; stratified by label.
    """
    labels = np.asarray([s.label for s in slices], np.int64)
    if kind == "patient":
        return np.asarray([s.fold for s in slices], np.int64)
    if kind == "similarity":
        if small is None:
            raise ValueError("a split by similarity needs the pictures")
        return split_groups(groups(len(slices), pairs(small, LOOK_ALIKE)), labels, folds, seed)
    if kind == "random":
        random = np.random.default_rng(seed)
        chosen = np.zeros(len(slices), np.int64)
        for label in np.unique(labels):
            rows = random.permutation(np.flatnonzero(labels == label))
            chosen[rows] = np.arange(len(rows)) % folds + 1
        return chosen
    raise ValueError(f"split {kind!r} is not one of {', '.join(SPLITS)}")
