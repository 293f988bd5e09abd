"""Slices as the model sees them in calibration and test: exact recipe tensors, labels, and stand-in studies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, NORMAL, data, export, pooling, pools, recipe, standins, volumes

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass
class Part:
    """One part of the protocol (a set of folds) with everything that is measured on it."""

    slices: list[data.Slice]
    x: Floats
    labels: Ints
    mirrored: Floats
    """Mirrored-away stand-ins made from this part's tumour slices."""
    mirrored_from: list[str]
    set_in: Floats
    set_in_labels: Ints

    @property
    def studies(self) -> list[pooling.StandIn]:
        return self.stand_ins(True)

    def stand_ins(self, one_patient: bool) -> list[pooling.StandIn]:
        groups = pooling.runs(self.slices, pooling.thumbnails(self.x))
        return pooling.stand_ins(self.slices, groups, self.mirrored_from, seed=2026, one_patient=one_patient)


@dataclass
class Scores:
    """What the exported model says about a Part."""

    logits: Floats
    ood: Floats
    mirrored: Floats
    set_in: Floats


def part(slices: list[data.Slice], constants: recipe.Recipe, size: int) -> Part:
    """Recipe tensors of the slices and their stand-ins."""
    x = data.tensors((data.read_image(s.path) for s in slices), constants, size)
    away = list(pools.mirrored_images(slices, constants))
    set_in, set_in_labels = set_in_slices(slices, constants, size)
    return Part(
        slices,
        x,
        np.asarray([s.label for s in slices], np.int64),
        data.tensors((image for _, image in away), constants, size),
        [s.name for s, _ in away],
        set_in,
        set_in_labels,
    )


def set_in_slices(slices: list[data.Slice], constants: recipe.Recipe, size: int, seed: int = 5) -> tuple[Floats, Ints]:
    """One glioma or meningioma set into each normal slice, where one of ten tries fits."""
    random = np.random.default_rng(seed)
    hosts = data.crops_of_slices([s for s in slices if s.label == NORMAL], constants)
    pituitary = LABELS.index("pituitary")
    donors = data.crops_of_slices(
        [s for s in slices if s.box is not None and s.label not in (NORMAL, pituitary)][::3], constants
    )
    made, labels = [], []
    for host in hosts.pixels if len(donors) else []:
        for _ in range(10):
            at = int(random.integers(len(donors)))
            result = standins.set_in(host, donors.pixels[at], donors.boxes[at], (0, 0))
            if result is not None:
                made.append(result)
                labels.append(int(donors.labels[at]))
                break
    return data.tensors(made, constants, size), np.asarray(labels, np.int64)


def score(content: bytes, of: Part) -> Scores:
    """Run the exported file, as serving would."""
    opened = export.session(content)
    main = export.run(opened, of.x)
    empty = np.zeros((0, len(LABELS)), np.float32)
    return Scores(
        main["logits"],
        main["ood"],
        export.run(opened, of.mirrored)["logits"] if len(of.mirrored) else empty,
        export.run(opened, of.set_in)["logits"] if len(of.set_in) else empty,
    )


def volume_tensors(
    volume: volumes.Volume, constants: recipe.Recipe, size: int, axis: int, step: int = 2
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Recipe tensors of the central 60 % of a plane, those with too small a head left out; and the head areas."""
    made, areas = [], []
    for image, spacing in volume.plane(axis, 0.2, 0.8, step):
        tensor, head = recipe.apply(image, constants, size, spacing)
        if head.area_mm2 >= constants.min_head_area_mm2:
            made.append(tensor)
            areas.append(head.area_mm2)
    stacked = np.stack(made)[:, None] if made else np.zeros((0, 1, size, size), np.float32)
    return stacked, np.asarray(areas, np.float32)


def load_part(cache: Path, slices: list[data.Slice], constants: recipe.Recipe, size: int, key: str) -> Part:
    """`part`, kept in the run's folder under a key that names data, recipe and size."""
    path = cache / f"part-{key}.npz"
    names = ("x", "labels", "mirrored", "mirrored_from", "set_in", "set_in_labels")
    if path.is_file():
        with np.load(path) as stored:
            x, labels, mirrored, origin, set_in, set_in_labels = (stored[name] for name in names)
            return Part(slices, x, labels, mirrored, [str(v) for v in origin], set_in, set_in_labels)
    made = part(slices, constants, size)
    cache.mkdir(parents=True, exist_ok=True)
    values = (
        made.x,
        made.labels,
        made.mirrored,
        np.asarray(made.mirrored_from, dtype=str),
        made.set_in,
        made.set_in_labels,
    )
    arrays: dict[str, Any] = dict(zip(names, values))
    np.savez(path, **arrays)
    return made
