"""Temperature, thresholds, conformal quantiles and the out-of-domain score, from calibration slices and studies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

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


@dataclass(frozen=True)
class Scaling:
    """From logits to probabilities: an offset a class, then one temperature (Guo et al. 2017, without scales a class).

    The offsets go into the exported network's output layer, so serving knows the temperature only.
    """

    temperature: float = 1.0
    offsets: tuple[float, ...] = (0.0,) * len(LABELS)

    def of(self, logits: npt.NDArray[np.float32]) -> Floats:
        """Calibrated probabilities, a row a slice."""
        return softmax(np.asarray(logits, np.float64) + self.offsets, self.temperature)


def fit_scaling(logits: npt.NDArray[np.float32], labels: Ints, with_offsets: bool = True) -> Scaling:
    """The temperature (between 1/4 and 4) and the offsets (of mean 0, or none) of least loss.

    The loss is the mean over classes of the mean in the class, so that few normals count like many gliomas.
    """
    x, y = torch.from_numpy(np.asarray(logits, np.float64)), torch.from_numpy(labels)
    present, counts = np.unique(labels, return_counts=True)
    weight = torch.zeros(len(LABELS), dtype=torch.float64)
    weight[present] = torch.from_numpy(1 / counts)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(len(LABELS), dtype=torch.float64, requires_grad=with_offsets)
    fitted = [log_temperature, offsets] if with_offsets else [log_temperature]
    search = torch.optim.LBFGS(fitted, max_iter=100, line_search_fn="strong_wolfe")

    def temperature() -> Tensor:
        return torch.exp(log_temperature.clamp(math.log(0.25), math.log(4.0)))

    def loss() -> Tensor:
        search.zero_grad()
        # Lightly held, since a class that is not there would let its offset run away.
        found = F.cross_entropy((x + offsets) / temperature(), y, weight=weight) + 1e-4 * (offsets * offsets).sum()
        found.backward()
        return found

    search.step(loss)
    centred = offsets.detach() - offsets.detach().mean()
    return Scaling(float(temperature().detach()), tuple(float(v) for v in centred))


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
