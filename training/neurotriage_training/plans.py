"""The plans that make the shipped model, and a tiny one for tests and CI."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
    """A start without labels (or none), and the cycles that each fold's network and the shipped one get."""

    start: pretrain.Plan | None
    cycles: tuple[train.Plan, ...]
    """Their seeds are those of the shipped weights; fold k adds k."""

    @property
    def fold(self) -> train.Plan:
        """The last cycle: what decides size, recipe and everything after training."""
        return self.cycles[-1]

    @property
    def slices_seen(self) -> int:
        return sum(cycle.last * cycle.steps * cycle.batch for cycle in self.cycles)

    def changed(self, **settings: Any) -> Whole:
        """The same with these settings in every cycle."""
        return replace(self, cycles=tuple(replace(cycle, **settings) for cycle in self.cycles))

    def told(self) -> dict[str, Any] | None:
        return None if self.start is None else asdict(self.start)


_FIRST = train.Plan(
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
)

SECOND = Whole(
    pretrain.Plan(strength=MILD),
    (
        _FIRST,
        replace(
            _FIRST,
            seed=40,
            epochs=54,
            small_share=0.81,
            rate=1.2e-3,
            average=0.997,
            shares=(
                ("tumour", 0.50),
                ("normal", 0.13),
                ("mirrored", 0.17),
                ("atlas_head", 0.07),
                ("atlas_brain", 0.03),
                ("set_in", 0.10),
            ),
        ),
    ),
)
"""The model of PROTOCOL-SECOND.md."""


def tiny(size: int = 32, epochs: int = 2) -> Whole:
    """Exercises every line in seconds; learns nothing worth having."""
    fold = train.Plan(seed=1, epochs=epochs, steps=2, batch=8, small_size=size, size=size, threads=1, atlas=False)
    return Whole(None, (fold, replace(fold, seed=11)))
