"""Temperature, thresholds, conformal quantiles and the out-of-domain score, from calibration slices and studies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import LABELS, NORMAL
from .model import foreignness
from .pooling import softmax

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
GLIOMA = LABELS.index("glioma")
RIDGE = 1e-3


@dataclass(frozen=True)
class Thresholds:
    """The card's `thresholds`; glioma_review and normal_bar are chosen on studies."""

    glioma_review: float
    glioma_review_slice: float
    normal_bar: float
    out_of_domain: float


def negative_log_likelihood(logits: npt.NDArray[np.float32], labels: Ints, temperature: float) -> float:
    """Mean over classes of the mean in the class, so that few normals count like many gliomas."""
    chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
    losses = -np.log(np.maximum(chosen, 1e-12))
    return float(np.mean([losses[labels == c].mean() for c in np.unique(labels)]))


def fit_temperature(logits: npt.NDArray[np.float32], labels: Ints) -> float:
    """The temperature of least loss, by golden-section search on its logarithm between 1/4 and 4."""
    low, high = math.log(0.25), math.log(4.0)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        at_a = negative_log_likelihood(logits, labels, math.exp(a))
        at_b = negative_log_likelihood(logits, labels, math.exp(b))
        if at_a < at_b:
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def recall_threshold(scores: Floats, recall: float) -> float:
    """The largest value v such that at least `recall` of the scores are >= v. A little is taken off for rounding."""
    if len(scores) == 0:
        return 0.5
    ordered = np.sort(scores)
    missed = math.floor((1 - recall) * len(ordered) + 1e-9)
    return float(max(0.0, ordered[missed] - 1e-6))


def normal_bar(tumour_normal: Floats, passing: float = 0.01) -> float:
    """The least p(normal) that at most `passing` of the tumour studies reach; never below 0.5."""
    if len(tumour_normal) == 0:
        return 0.5
    ordered = np.sort(tumour_normal)[::-1]
    allowed = math.floor(passing * len(ordered) + 1e-9)
    return float(min(0.999, max(0.5, ordered[min(allowed, len(ordered) - 1)] + 1e-6)))


def conformal_quantiles(probabilities: Floats, labels: Ints, coverage: float) -> dict[str, float]:
    """Per class: the ceil((n+1)·coverage)-th smallest 1-p of the true class (Vovk's class-conditional rule)."""
    quantiles = {}
    for index, name in enumerate(LABELS):
        scores = np.sort(1 - probabilities[labels == index, index])
        rank = math.ceil((len(scores) + 1) * coverage)
        quantiles[name] = float(scores[rank - 1]) if 0 < rank <= len(scores) else 1.0
    return quantiles


def prediction_set(probabilities: Floats, quantiles: dict[str, float]) -> list[str]:
    """Labels whose 1-p is within their quantile; the most likely one if there is none."""
    chosen = [name for i, name in enumerate(LABELS) if 1 - probabilities[i] <= quantiles[name]]
    return chosen or [LABELS[int(np.argmax(probabilities))]]


def expected_calibration_error(probabilities: Floats, labels: Ints, bins: int = 15) -> float:
    confidence, chosen = probabilities.max(axis=1), probabilities.argmax(axis=1)
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    total = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            total += inside.mean() * abs((chosen[inside] == labels[inside]).mean() - confidence[inside].mean())
    return float(total)


def fit_foreign(features: Tensor) -> dict[str, Tensor]:
    """The constants of `model.foreignness` from the training slices' early features.

    A thousandth of the mean variance is added to every direction, so that those which hardly vary in training do not
    decide alone.
    """
    x = features.double()
    centre = x.mean(0)
    centred = x - centre
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
    scale = torch.sqrt(values.clamp(min=0) + RIDGE * values.mean())
    return {"centre": centre.float(), "basis": (vectors / scale).float()}


def foreign_scores(features: Tensor, foreign: dict[str, Tensor]) -> npt.NDArray[np.float32]:
    return np.asarray(foreignness(features, foreign).numpy(), dtype=np.float32)


def energy(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Minus the log-sum-exp of the logits: the other candidate for an out-of-domain score."""
    top = logits.max(axis=1)
    return np.asarray(-(top + np.log(np.exp(logits - top[:, None]).sum(axis=1))), dtype=np.float32)


def auroc(inside: npt.ArrayLike, outside: npt.ArrayLike) -> float:
    """Chance that a foreign slice scores above a known one, ties counting half."""
    low, high = np.sort(np.asarray(inside)), np.asarray(outside)
    below = np.searchsorted(low, high, side="left")
    equal = np.searchsorted(low, high, side="right") - below
    return float((below + equal / 2).mean() / len(low))


def normal_share(probabilities: Floats) -> float:
    """Share of slices whose arg-max is normal."""
    return float((probabilities.argmax(axis=1) == NORMAL).mean()) if len(probabilities) else float("nan")


def macro_recall(predicted: Ints, labels: Ints) -> float:
    """Mean over the classes that are there of the share that was named right."""
    return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))
