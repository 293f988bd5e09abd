"""From a trained checkpoint to the shipped file: out-of-domain constants, calibration, card, export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import LABELS, NORMAL, calibrate, card, data, export, pooling, pools, recipe, tables, train, volumes
from .model import EARLY, SliceClassifier, early_features

TRAINING, CALIBRATION, TEST = (3, 4, 5), (2,), (1,)
"""The folds of PROTOCOL.md."""
COVERAGE = 0.95
GLIOMA_RECALL = 0.98
"""Of stand-in studies, at the review threshold."""
Floats = npt.NDArray[np.float64]


@dataclass
class Calibration:
    """Everything chosen on the calibration folds."""

    temperature: float
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


def chosen_rule(studies: list[pooling.StandIn], slices: Floats, mirrored: Floats) -> pooling.Pooling:
    """The pooling constants with the fewest other studies flagged where 98 % of glioma studies are; ties: the first."""
    labels = np.asarray([s.label for s in studies], np.int64)
    best, least = pooling.Pooling(), 2.0
    for smooth in (3, 5, 7):
        for fraction in (0.1, 0.05, 0.2, 0.3):
            rule = pooling.Pooling(smooth=smooth, fraction=fraction)
            p = pooling.pooled(studies, slices, mirrored, rule)[:, calibrate.GLIOMA]
            threshold = calibrate.recall_threshold(p[labels == calibrate.GLIOMA], GLIOMA_RECALL)
            flagged = float((p[labels != calibrate.GLIOMA] >= threshold).mean()) if len(p) else 1.0
            if flagged < least:
                best, least = rule, flagged
    return best


def calibrated(part: tables.Part, scores: tables.Scores) -> Calibration:
    """Temperature on slices; pooling rule and operating points on stand-in studies; see PROTOCOL.md."""
    temperature = calibrate.fit_temperature(scores.logits, part.labels)
    slice_p = pooling.softmax(scores.logits, temperature)
    mirrored_p = pooling.softmax(scores.mirrored, temperature) if len(scores.mirrored) else np.zeros((0, len(LABELS)))
    studies = part.studies
    rule = chosen_rule(studies, slice_p, mirrored_p)
    study_p = pooling.pooled(studies, slice_p, mirrored_p, rule)
    study_labels = np.asarray([s.label for s in studies], np.int64)
    glioma = calibrate.GLIOMA
    thresholds = calibrate.Thresholds(
        glioma_review=calibrate.recall_threshold(study_p[study_labels == glioma, glioma], GLIOMA_RECALL),
        glioma_review_slice=calibrate.recall_threshold(slice_p[part.labels == glioma, glioma], 0.99),
        normal_bar=calibrate.normal_bar(study_p[study_labels != NORMAL, NORMAL]),
        out_of_domain=float(np.quantile(scores.ood, 0.995)),
    )
    quantiles = calibrate.conformal_quantiles(study_p, study_labels, COVERAGE)
    return Calibration(temperature, thresholds, quantiles, rule)


def folds(slices: list[data.Slice], wanted: tuple[int, ...]) -> list[data.Slice]:
    return [s for s in slices if s.fold in wanted]


def model_card(
    chosen: Calibration, plan: train.Plan, training: dict[str, Any], evaluation: dict[str, Any]
) -> dict[str, Any]:
    return card.build(
        plan.size,
        plan.recipe,
        chosen.temperature,
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


def exported(model: SliceClassifier, foreign: dict[str, Tensor], size: int) -> tuple[Any, bytes]:
    """The graph, and its bytes without metadata, for calibration."""
    made = export.graph(model, foreign, size)
    return made, made.SerializeToString()
