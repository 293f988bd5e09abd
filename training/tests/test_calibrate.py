"""Calibration and thresholds keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurotriage_training import LABELS, calibrate, pooling


def drawn(temperature: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are over-confident by `temperature`."""
    random = np.random.default_rng(2)
    logits = random.normal(0, 1.5, (count, 4))
    p = pooling.softmax(logits)
    labels = np.asarray([random.choice(4, p=row) for row in p])
    return (logits * temperature).astype(np.float32), labels


def balanced_loss(logits: np.ndarray, labels: np.ndarray, scaling: calibrate.Scaling) -> float:
    """Mean over classes of the mean negative log-likelihood in the class."""
    losses = -np.log(scaling.of(logits)[np.arange(len(labels)), labels])
    return float(np.mean([losses[labels == c].mean() for c in np.unique(labels)]))


@pytest.mark.parametrize("true", [0.6, 1.0, 2.5])
def test_temperature_and_offsets_are_found(true: float) -> None:
    logits, labels = drawn(true)
    offsets = np.asarray([0.8, -0.5, 0.1, -0.4], np.float32)
    found = calibrate.fit_scaling(logits - offsets, labels)
    assert found.temperature == pytest.approx(true, rel=0.1)
    # The classes of `drawn` are equally frequent, so that weighing them changes nothing.
    assert np.allclose(found.offsets, offsets, atol=0.15 * true)
    shifted = logits - offsets
    assert balanced_loss(shifted, labels, found) <= balanced_loss(shifted, labels, calibrate.Scaling(true))


def test_offsets_of_absent_classes_stay_small() -> None:
    logits, labels = drawn(1.0)
    found = calibrate.fit_scaling(logits[labels < 3], labels[labels < 3])
    assert np.abs(found.offsets).max() < 10


def test_temperature_lowers_the_calibration_error() -> None:
    logits, labels = drawn(3.0)
    before = calibrate.expected_calibration_error(pooling.softmax(logits), labels)
    after = calibrate.expected_calibration_error(pooling.softmax(logits, 3.0), labels)
    assert after < 0.03 < before


@pytest.mark.parametrize("recall,missed", [(1.0, 0), (0.98, 2), (0.9, 10)])
def test_recall_threshold(recall: float, missed: int) -> None:
    scores = np.random.default_rng(1).permutation(np.linspace(0.01, 1, 100))
    threshold = calibrate.recall_threshold(scores, recall)
    assert (scores < threshold).sum() == missed


def test_normal_bar_lets_one_in_a_hundred_pass() -> None:
    scores = np.linspace(0, 0.99, 200)
    assert (scores >= calibrate.normal_bar(scores)).mean() <= 0.01
    assert calibrate.normal_bar(np.asarray([0.1, 0.2])) == 0.5


def test_conformal_sets_cover() -> None:
    logits, labels = drawn(1.0, 8000)
    p = pooling.softmax(logits)
    quantiles = calibrate.conformal_quantiles(p[:4000], labels[:4000], 0.95)
    for index, name in enumerate(LABELS):
        mine = p[4000:][labels[4000:] == index]
        covered = np.mean([name in calibrate.prediction_set(row, quantiles) for row in mine])
        assert covered > 0.92


def test_too_few_examples_mean_every_label() -> None:
    p = np.eye(4)
    assert calibrate.conformal_quantiles(p, np.arange(4), 0.95) == dict.fromkeys(LABELS, 1.0)


def test_foreign_features_score_higher() -> None:
    random = torch.Generator().manual_seed(0)
    known = torch.randn(400, 40, generator=random) * torch.linspace(0.1, 3, 40)
    constants = calibrate.fit_foreign(known[:300])
    strange = torch.randn(100, 40, generator=random) * 3
    scores = [calibrate.foreign_scores(x, constants) for x in (known[300:], strange)]
    assert calibrate.auroc(*scores) > 0.99


@pytest.mark.parametrize("inside,outside,expected", [([1, 2], [3, 4], 1.0), ([1, 2], [1, 2], 0.5), ([3], [1], 0.0)])
def test_auroc(inside: list[float], outside: list[float], expected: float) -> None:
    assert calibrate.auroc(inside, outside) == expected
