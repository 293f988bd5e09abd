"""From slices to a study: the pooling rule top-mean.v1 and the stand-in studies it is tuned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import NORMAL, data

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooling:
    """The constants that the model card carries under `pooling`."""

    rule: str = "top-mean.v1"
    smooth: int = 3
    fraction: float = 0.1
    min_slices: int = 3


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def smoothed(probabilities: Floats, width: int) -> Floats:
    """Centred running mean over slices; at the ends the window is cut, not padded."""
    reach, count = width // 2, len(probabilities)
    total, rows = np.zeros_like(probabilities), np.zeros((count, 1))
    for step in range(-reach, reach + 1):
        low, high = max(0, -step), min(count, count - step)
        if low < high:
            total[low:high] += probabilities[low + step : high + step]
            rows[low:high] += 1
    return np.asarray(total / rows)


def pool(probabilities: Floats, rule: Pooling) -> Floats:
    """A series' probabilities from its slices' (in order along the normal): the mean of the most suspicious ones."""
    smooth = smoothed(np.asarray(probabilities, dtype=np.float64), rule.smooth)
    count = len(smooth)
    take = min(count, max(rule.min_slices, math.ceil(rule.fraction * count)))
    suspicious = np.argsort(-(1 - smooth[:, NORMAL]), kind="stable")[:take]
    return np.asarray(smooth[suspicious].mean(axis=0))


@dataclass(frozen=True)
class StandIn:
    """A stand-in study: which rows of the slice table, in order. Negative ones are mirrored-away rows, -1 the first."""

    label: int
    rows: tuple[int, ...]


def runs(slices: Sequence[data.Slice], likeness: npt.NDArray[np.float32], bar: float = 0.5) -> list[list[int]]:
    """Runs of neighbouring slices of one class and source whose pictures resemble each other: stand-ins for patients.

    `likeness` holds one unit-length feature row a slice; slices of the source's neighbouring numbers stay together
    while their correlation is at least `bar`.
    """
    order = sorted(
        (i for i, s in enumerate(slices) if s.label != NORMAL and s.order > 0),
        key=lambda i: (slices[i].label, slices[i].fold, slices[i].order),
    )
    found: list[list[int]] = []
    for i in order:
        if found:
            last = found[-1][-1]
            neighbours = (
                slices[last].label == slices[i].label
                and slices[last].fold == slices[i].fold
                and 0 < slices[i].order - slices[last].order <= 2
            )
            if neighbours and max(float(likeness[i] @ likeness[j]) for j in found[-1][-4:]) >= bar:
                found[-1].append(i)
                continue
        found.append([i])
    return found


def thumbnails(crops: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Unit-length, mean-free 16 × 16 pictures of recipe tensors [N,1,S,S], for likeness."""
    count, _, size, _ = crops.shape
    step = size // 16
    small = crops[:, 0, : 16 * step, : 16 * step].reshape(count, 16, step, 16, step).mean((2, 4)).reshape(count, -1)
    small = small - small.mean(axis=1, keepdims=True)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def stand_ins(
    slices: Sequence[data.Slice],
    groups: list[list[int]],
    mirrored_from: Sequence[str],
    seed: int,
    tumour_free: int = 60,
    one_patient: bool = True,
) -> list[StandIn]:
    """Studies of 20 to 200 slices: each run of at least two slices padded with tumour-free ones, and padding alone.

    `mirrored_from` names the slice that each mirrored-away one was made of; they are referred to as -1, -2 and on.
    Half of the padding is mirrored-away, of one patient: the run's own where it has any, else a run of the same class,
    for a glioma's swelling reaches beyond its box and would make any other study a glioma's. What is drawn stands in
    short blocks, as neighbours in a volume do. Without `one_patient` the padding is of all patients and classes.
    """
    random = np.random.default_rng(seed)
    row_of = {s.name: i for i, s in enumerate(slices)}
    made_of = {row_of[name]: -1 - j for j, name in enumerate(mirrored_from)}
    away = [[made_of[row] for row in group if row in made_of] for group in groups]
    if not one_patient:
        away = [list(made_of.values()) for _ in groups]
    normals = [i for i, s in enumerate(slices) if s.label == NORMAL]
    studies = []
    for group, own in zip(groups, away):
        if len(group) < 2:
            continue
        label = slices[group[0]].label
        donor = own or _any([a for g, a in zip(groups, away) if a and slices[g[0]].label == label], random)
        total = int(random.integers(20, 201))
        padding = _padding(max(total - len(group), 2 * len(group)), normals, donor, random)
        at = int(random.integers(0, len(padding) + 1))
        studies.append(StandIn(label, (*padding[:at], *group, *padding[at:])))
    donors = [a for a in away if a]
    for _ in range(tumour_free if normals else 0):
        donor = _any(donors, random)
        padding = _padding(int(random.integers(20, 201)), normals, donor, random)
        studies.append(StandIn(NORMAL, tuple(padding)))
    return studies


def _any(donors: list[list[int]], random: np.random.Generator) -> list[int]:
    return donors[int(random.integers(len(donors)))] if donors else []


def _padding(count: int, normals: list[int], away: list[int], random: np.random.Generator) -> list[int]:
    rows: list[int] = []
    while len(rows) < count and (normals or away):
        block = int(random.integers(2, 6))
        kind = away if away and (not normals or random.random() < 0.5) else normals
        rows += [kind[int(random.integers(len(kind)))]] * block
    return rows[:count]


def pooled(studies: list[StandIn], slices: Floats, mirrored: Floats, rule: Pooling) -> Floats:
    """Study probabilities [studies, classes] from slice probabilities."""
    table = np.concatenate([slices, mirrored[::-1]]) if len(mirrored) else slices
    return np.stack([pool(table[list(study.rows)], rule) for study in studies])
