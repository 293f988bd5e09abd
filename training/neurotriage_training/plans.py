"""The plans that make the shipped model, and a tiny one for tests and CI."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from . import augment, pools, pretrain, train

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


LIGHT = augment.Strength(
    gamma=0.2,
    curve=0.05,
    invert=0.0,
    bias=0.12,
    noise=0.12,
    resolution=0.12,
    blur=0.12,
    sharpen=0.1,
    rotation=7.0,
    scale=(0.92, 1.09),
    aspect=0.05,
    shift=0.03,
    cut=0.04,
)


@dataclass(frozen=True)
class Whole:
    """A start without labels (or none), the plan of the networks that each half of the folds gets first, the plans that
    each fold's network and the shipped one go through after it, one after another, and the plan of the original
    protocol's. Seeds are those of the shipped weights; fold k adds k, a half the number of its first fold."""

    start: pretrain.Plan | None
    half: train.Plan
    stages: tuple[train.Plan, ...]
    original: train.Plan
    input_size: int
    """Of the exported file, and of everything that is measured with it; networks take any."""
    twice: bool = False
    """Whether the file reads each slice and its mirror image, which doubles its time."""

    @property
    def last(self) -> train.Plan:
        return self.stages[-1]

    @property
    def epochs(self) -> int:
        return sum(plan.epochs for plan in (self.half, *self.stages))

    @property
    def slices_seen(self) -> int:
        return sum(plan.epochs * plan.steps * plan.batch for plan in (self.half, *self.stages))

    def changed(self, **settings: Any) -> Whole:
        """The same with these settings for every network."""
        return replace(
            self,
            half=replace(self.half, **settings),
            stages=tuple(replace(plan, **settings) for plan in self.stages),
            original=replace(self.original, **settings),
        )

    def told(self) -> dict[str, Any] | None:
        return None if self.start is None else asdict(self.start)


def _mix(**shares: float) -> pools.Shares:
    """What part of a batch each pool gives."""
    return tuple(shares.items())


_NETWORK = train.Plan(
    seed=20,
    epochs=44,
    steps=128,
    batch=16,
    small_size=128,
    size=160,
    small_share=26 / 44,
    restyled=0.12,
    rate=1.2e-3,
    warmup=0.05,
    average=0.998,
    locate=0.7,
    dropout=0.2,
    threads=1,
    shares=_mix(tumour=0.66, normal=0.11, mirrored=0.11, atlas_head=0.04, atlas_brain=0.015, set_in=0.065),
    strength=SOFT,
    light=LIGHT,
    light_share=0.6,
)

_FINE = replace(_NETWORK, small_share=0.0, size=192, light_share=0.8)

SECOND = Whole(
    start=pretrain.Plan(steps=2000, strength=MILD),
    half=replace(
        _NETWORK,
        seed=60,
        epochs=20,
        small_share=1.0,
        rate=1.5e-3,
        shares=_mix(tumour=0.75, normal=0.15, mirrored=0.05, atlas_head=0.035, atlas_brain=0.015),
        light_share=0.85,
    ),
    stages=(
        _NETWORK,
        replace(
            _FINE,
            seed=40,
            epochs=8,
            rate=5e-4,
            average=0.995,
            shares=_mix(tumour=0.70, normal=0.10, mirrored=0.08, atlas_head=0.04, atlas_brain=0.015, set_in=0.065),
        ),
        replace(
            _FINE,
            seed=80,
            epochs=20,
            rate=6e-4,
            average=0.997,
            shares=_mix(tumour=0.67, normal=0.10, mirrored=0.10, atlas_head=0.055, atlas_brain=0.015, set_in=0.06),
        ),
        replace(
            _FINE,
            seed=120,
            epochs=5,
            rate=3e-4,
            average=0.995,
            shares=_mix(tumour=0.63, normal=0.10, mirrored=0.09, atlas_head=0.11, atlas_brain=0.01, set_in=0.06),
        ),
    ),
    original=replace(
        _NETWORK,
        epochs=12,
        small_share=8 / 12,
        rate=1.5e-3,
        restyled=0.0,
        shares=_mix(tumour=0.8, normal=0.2),
        light_share=1.0,
    ),
    input_size=192,
    twice=True,
)
"""The model of PROTOCOL-SECOND.md. The original protocol asks for its own slices only: its plan has no stand-ins."""


def tiny(size: int = 32, epochs: int = 2) -> Whole:
    """Exercises every line in seconds; learns nothing worth having."""
    fold = train.Plan(
        seed=1,
        epochs=epochs,
        steps=2,
        batch=8,
        small_size=size,
        size=size,
        threads=1,
        atlas=False,
        restyled=0.5,
        light_share=0.5,
    )
    return Whole(None, replace(fold, seed=11), (fold, replace(fold, seed=21)), fold, size)
