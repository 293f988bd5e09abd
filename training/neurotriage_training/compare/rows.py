"""The catalogue: what is compared with what.

Written before any row was run, but for one change: the technique rows began from scratch at first. When the backbones
had been run with patients apart (MobileNetV3Large from scratch far below the same with the start without labels), and
no technique had, these were moved to the start: of a network that has hardly learned, differences say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .backbones import BACKBONES, OURS
from .techniques import Technique

PROTOCOLS = ("patient", "original")
"""`patient`: fold 1 is the test, patients kept apart. `original`: the original study's slices and labels, random
80/20 drawn by the seed, so that slices of one patient stand on both sides."""
SEEDS = (1, 2, 3)
TEST_FOLD = 1


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    group: str
    title: str
    backbone: str
    technique: Technique = field(default_factory=Technique)
    reported: float | None = None
    """The macro recall that the original study reports for it, on its leaking split."""

    def told(self) -> dict[str, Any]:
        return {"backbone": self.backbone, "technique": asdict(self.technique)}


@dataclass(frozen=True)
class Run:
    """One network of a row: a protocol and a seed."""

    row: Row
    protocol: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.protocol}-seed{self.seed}"

    @property
    def key(self) -> str:
        return f"{self.row.name}/{self.name}"


STUDY = Technique(
    frame="whole", scale="rescaled", head="flatten", units=512, dropout=0.5, schedule="plateau", rate=1e-3
)
"""All that the original study did, together."""
MODEL = Technique(augment=("model",), stand_ins=True)
"""The shipped model's preprocessing and stand-ins."""


def _ablation(name: str, title: str, **changed: Any) -> Row:
    return Row(name, "technique", title, OURS, replace(Technique(), **changed))


def _catalogue() -> tuple[Row, ...]:
    backbones = [Row(name, "backbone", one.title, name) for name, one in BACKBONES.items()]
    return (
        *backbones,
        Row("ours", "backbone", "MobileNetV3Large, ours, the start without labels", OURS),
        Row("study-resnet50", "original", "ResNet50, flatten, dense 512: the base case", "resnet50", STUDY, 0.9052),
        Row("study", "original", "MobileNetV3Large, flatten, dense 512", "mobilenetv3large", STUDY, 0.9216),
        _ablation("augment-none", "no augmentation", augment=()),
        _ablation("augment-flip", "horizontal flip only", augment=("flip",)),
        _ablation("augment-rotation", "rotation 0.2 only", augment=("rotation",)),
        _ablation("augment-contrast", "contrast 0.2 only", augment=("contrast",)),
        _ablation("scale-rescaled", "rescaling to 0..1 in place of centring", scale="rescaled"),
        _ablation("scale-raw", "no rescaling: 0..255", scale="raw"),
        _ablation("balance-none", "no class weights", balance="none"),
        _ablation("balance-undersample", "undersampling in place of class weights", balance="undersample"),
        _ablation("balance-oversample", "oversampling in place of class weights", balance="oversample"),
        _ablation("head-flatten", "flatten, dense 512, normalisation, dropout 0.5", head="flatten", dropout=0.5),
        _ablation("head-linear", "pooled, no dense layer", head="linear"),
        _ablation("schedule-plateau", "rate reduced on a plateau, early stopping", schedule="plateau", rate=1e-3),
        _ablation("frame-whole", "the whole picture, no head crop", frame="whole"),
        _ablation("augment-model", "the shipped model's tone and geometry", augment=("model",)),
        _ablation("stand-ins", "set-in and mirrored-away tumours", stand_ins=True),
        Row("model", "technique", "both: the shipped model's preprocessing", OURS, MODEL),
    )


ROWS = _catalogue()
REFERENCE = OURS
"""The row that every ablation differs from in one thing."""


def named(names: Iterable[str]) -> tuple[Row, ...]:
    """The rows of these names in the catalogue's order; all when none is given."""
    wanted = set(names)
    unknown = wanted - {row.name for row in ROWS}
    if unknown:
        raise ValueError(f"no row is called {', '.join(sorted(unknown))}; `compare rows` lists them")
    return tuple(row for row in ROWS if not wanted or row.name in wanted)


def runs(rows: Iterable[Row], protocols: Iterable[str] = PROTOCOLS, seeds: Iterable[int] = SEEDS) -> tuple[Run, ...]:
    """Every network of the rows, seed by seed, so that what an interrupted comparison has can be compared."""
    chosen, ways = tuple(rows), tuple(protocols)
    return tuple(Run(row, protocol, seed) for seed in seeds for protocol in ways for row in chosen)
