"""From a trained checkpoint to the shipped file: out-of-domain constants, calibration, card, export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import calibrate, card, data, export, pooling, pools, recipe, train, volumes
from .model import EARLY, SliceClassifier, early_features

COVERAGE = 0.95
GLIOMA_RECALL = 0.98
"""Of stand-in studies, at the review threshold."""
Floats = npt.NDArray[np.float64]


@dataclass
class Calibration:
    """Everything chosen on the calibration folds."""

    scaling: calibrate.Scaling
    thresholds: calibrate.Thresholds
    quantiles: dict[str, float]
    rule: pooling.Pooling


@torch.no_grad()
def features_of(model: SliceClassifier, x: npt.NDArray[np.float32]) -> Tensor:
    """Early features of recipe tensors."""
    early = model.eval().features[:EARLY]
    parts = [early_features(early(model.centred(torch.from_numpy(x[i : i + 32])))) for i in range(0, len(x), 32)]
    return torch.cat(parts)


def foreign_constants(
    model: SliceClassifier, slices: list[data.Slice], constants: recipe.Recipe, size: int, healthy: bool = True
) -> dict[str, Tensor]:
    """The out-of-domain score's constants from the training slices and the healthy head that trained with them."""
    x = data.tensors((data.read_image(s.path) for s in slices), constants, size)
    for atlas in pools.atlases() if healthy else []:
        if atlas.name != "colin27":
            continue
        volume = volumes.read_nifti(atlas.path)
        for axis, low, high, step in atlas.planes:
            more = data.tensors((image for image, _ in volume.plane(axis, low, high, step)), constants, size)
            x = np.concatenate([x, more])
    return calibrate.fit_foreign(features_of(model, x))


@torch.no_grad()
def shift(model: SliceClassifier, offsets: Sequence[float]) -> None:
    """Put the calibration's offsets into the output layer."""
    model.output.bias += torch.tensor(offsets, dtype=model.output.bias.dtype)


def folds(slices: list[data.Slice], wanted: tuple[int, ...]) -> list[data.Slice]:
    return [s for s in slices if s.fold in wanted]


def model_card(
    chosen: Calibration, size: int, constants: recipe.Recipe, training: dict[str, Any], evaluation: dict[str, Any]
) -> dict[str, Any]:
    return card.build(
        size,
        constants,
        chosen.scaling.temperature,
        chosen.rule,
        chosen.thresholds,
        chosen.quantiles,
        training,
        evaluation,
    )


def training_record(plan: train.Plan, slices: list[data.Slice], weights: str, protocol: str) -> dict[str, Any]:
    """The card's `training`."""
    return {
        "seed": plan.seed,
        "data_digest": data.digest(slices),
        "weights_digest": weights,
        "epochs": plan.epochs,
        "slices_per_epoch": plan.steps * plan.batch,
        "versions": card.versions(),
        "protocol": protocol,
        "sources": list(card.SOURCES),
    }


def exported(model: SliceClassifier, foreign: dict[str, Tensor], size: int, twice: bool = False) -> tuple[Any, bytes]:
    """The graph, and its bytes without metadata, for calibration."""
    made = export.graph(model, foreign, size, twice)
    return made, made.SerializeToString()
