"""Every technique of the original study and of the model, switchable: what is done to a slice and to a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import CLASS_WEIGHTS, LABELS, augment, plans, recipe
from ..data import CACHE_MARGIN
from .heads import KINDS
from .network import SCALES

Ints = npt.NDArray[np.int64]
TURN = 0.2
"""Rotation, a fraction of a whole turn to each side, as the original study's library counts it: 72 degrees."""
CONTRAST = 0.2
FRAMES = ("head", "whole")
AUGMENTS = ("flip", "rotation", "contrast", "model")
BALANCES = ("weights", "undersample", "oversample", "none")
SCHEDULES = ("cycle", "plateau")


@dataclass(frozen=True)
class Technique:
    """One setting of everything that can be switched. The defaults are what the ablations start from."""

    frame: str = "head"
    """`head`: the recipe's head crop and window. `whole`: the picture as it is."""
    scale: str = "centred"
    augment: tuple[str, ...] = ("flip", "rotation", "contrast")
    """`model`: the shipped model's geometry, tone, sharpness, resolution and noise, in place of the other three."""
    stand_ins: bool = False
    """Tumours mirrored away and set in, in the shipped model's shares."""
    balance: str = "weights"
    head: str = "usual"
    units: int = 512
    dropout: float = 0.2
    schedule: str = "cycle"
    rate: float = 0.0
    """Peak learning rate; 0: the backbone's."""
    batch: int = 32

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("frame", self.frame, FRAMES),
            ("scale", self.scale, tuple(SCALES)),
            ("balance", self.balance, BALANCES),
            ("head", self.head, KINDS),
            ("schedule", self.schedule, SCHEDULES),
            *(("augment", one, AUGMENTS) for one in self.augment),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        if "model" in self.augment and len(self.augment) > 1:
            raise ValueError("augment: `model` has flips, rotations and tone of its own and stands alone")
        if self.stand_ins and self.frame != "head":
            raise ValueError("stand-ins are made in head crops: frame must be `head`")

    @property
    def class_weights(self) -> tuple[float, ...]:
        return CLASS_WEIGHTS if self.balance == "weights" else (1.0,) * len(LABELS)


def geometry(technique: Technique, n: int, random: torch.Generator) -> Tensor:
    """Affine maps [n,2,3] from output to cached picture: the plain frame, flipped and turned as the technique says."""
    margin = recipe.Recipe().margin
    if "model" in technique.augment:
        return augment.geometry(n, margin, plans.SOFT, random)
    # Cached head crops reach further than the recipe's; whole pictures are cached as they are.
    side = (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN) if technique.frame == "head" else 1.0
    flip, angle = torch.ones(n), torch.zeros(n)
    if "flip" in technique.augment:
        flip = torch.where(torch.rand(n, generator=random) < 0.5, -flip, flip)
    if "rotation" in technique.augment:
        angle = (torch.rand(n, generator=random) * 2 - 1) * (2 * math.pi * TURN)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = torch.cos(angle) * side * flip
    theta[:, 0, 1] = -torch.sin(angle) * side
    theta[:, 1, 0] = torch.sin(angle) * side * flip
    theta[:, 1, 1] = torch.cos(angle) * side
    return theta


def contrast(x: Tensor, random: torch.Generator) -> Tensor:
    """Each slice's distance from its mean, times 0.8 to 1.2."""
    factor = 1 + (torch.rand(len(x), generator=random) * 2 - 1) * CONTRAST
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * factor.view(-1, 1, 1, 1) + mean).clamp(0, 1)


def prepared(pixels: npt.NDArray[np.uint8], size: int, technique: Technique, random: torch.Generator) -> Tensor:
    """Cached pictures uint8 [N,C,C] as the network is fed them in training: float32 [N,1,size,size] in 0..1."""
    crops = torch.from_numpy(pixels)
    theta = geometry(technique, len(crops), random)
    if "model" in technique.augment:
        return augment.augment(crops, size, theta, plans.SOFT, random)
    x = augment.sample(crops.unsqueeze(1).float() / 255, theta, size)
    return contrast(x, random) if "contrast" in technique.augment else x.clamp(0, 1)


def order(labels: Ints, balance: str, seed: int, epoch: int) -> Ints:
    """The rows of one epoch, shuffled: all of them, or as many of every class as the rarest or the commonest has."""
    random = np.random.default_rng([seed, epoch])
    rows = np.arange(len(labels))
    if balance in {"undersample", "oversample"}:
        classes = [rows[labels == c] for c in np.unique(labels)]
        counts = [len(c) for c in classes]
        wanted = min(counts) if balance == "undersample" else max(counts)
        rows = np.concatenate([_so_many(c, wanted, random) for c in classes])
    return np.asarray(random.permutation(rows), np.int64)


def _so_many(rows: Ints, count: int, random: np.random.Generator) -> Ints:
    """`count` of the rows; each at least once where there are too few."""
    if count <= len(rows):
        return np.asarray(random.choice(rows, count, replace=False), np.int64)
    return np.concatenate([rows, random.choice(rows, count - len(rows), replace=True)])
