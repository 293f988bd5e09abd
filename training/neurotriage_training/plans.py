"""The plans that make the shipped model, and a tiny one for tests and CI."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from . import augment, pretrain, train

MILD = augment.Strength(gamma=0.45, curve=0.25, noise=0.3, resolution=0.25, blur=0.25, sharpen=0.2, rotation=10.0)

SOFT = augment.Strength(
    gamma=0.3,
    curve=0.12,
    invert=0.01,
    bias=0.2,
    noise=0.2,
    resolution=0.2,
    blur=0.2,
    sharpen=0.15,
    rotation=9.0,
    scale=(0.88, 1.14),
    aspect=0.09,
    shift=0.045,
    cut=0.07,
)


@dataclass(frozen=True)
class Whole:
    """A start without labels (or none), and the one cycle that each fold's network and the shipped one get."""

    start: pretrain.Plan | None
    fold: train.Plan
    """Its seed is that of the shipped weights; fold k adds k."""

    def told(self) -> dict[str, Any] | None:
        return None if self.start is None else asdict(self.start)


SECOND = Whole(
    pretrain.Plan(strength=MILD),
    train.Plan(
        seed=20,
        epochs=26,
        steps=64,
        batch=32,
        small_size=128,
        size=160,
        small_share=0.77,
        rate=1.5e-3,
        warmup=0.05,
        average=0.995,
        locate=0.7,
        dropout=0.15,
        threads=1,
        strength=SOFT,
    ),
)
"""The model of PROTOCOL-SECOND.md."""


def tiny(size: int = 32, epochs: int = 2) -> Whole:
    """Exercises every line in seconds; learns nothing worth having."""
    fold = train.Plan(seed=1, epochs=epochs, steps=2, batch=8, small_size=size, size=size, threads=1, atlas=False)
    return Whole(None, fold)
