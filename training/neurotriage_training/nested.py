"""Out-of-fold figures: what is chosen on four folds is reported on the fifth (PROTOCOL-SECOND.md)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, NORMAL, calibrate, metrics, pooling, release, similar, tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DRAWS = 1000


@dataclass
class Fold:
    """One fold with what the network that never saw its labels says of it."""

    number: int
    part: tables.Part
    scores: tables.Scores
    studies: list[pooling.StandIn]

    def slices(self, scaling: calibrate.Scaling) -> Floats:
        return scaling.of(self.scores.logits)

    def pooled(
        self, scaling: calibrate.Scaling, rule: pooling.Pooling, studies: list[pooling.StandIn] | None = None
    ) -> Floats:
        mirrored = scaling.of(self.scores.mirrored)
        return pooling.pooled(studies or self.studies, self.slices(scaling), mirrored, rule)

    @property
    def study_labels(self) -> Ints:
        return np.asarray([s.label for s in self.studies], np.int64)


def calibrated(folds: Sequence[Fold], with_offsets: bool = True) -> release.Calibration:
    """Everything that the card chooses, from these folds together; offsets need a network that can take them over."""
    labels = np.concatenate([f.part.labels for f in folds])
    scaling = calibrate.fit_scaling(np.concatenate([f.scores.logits for f in folds]), labels, with_offsets)
    study_labels = np.concatenate([f.study_labels for f in folds])
    rule = _rule(folds, scaling, study_labels)
    slices = np.concatenate([f.slices(scaling) for f in folds])
    studies = np.concatenate([f.pooled(scaling, rule) for f in folds])
    glioma = calibrate.GLIOMA
    thresholds = calibrate.Thresholds(
        glioma_review=calibrate.recall_threshold(studies[study_labels == glioma, glioma], release.GLIOMA_RECALL),
        glioma_review_slice=calibrate.recall_threshold(slices[labels == glioma, glioma], 0.99),
        normal_bar=calibrate.normal_bar(studies[study_labels != NORMAL, NORMAL]),
        out_of_domain=float(np.quantile(np.concatenate([f.scores.ood for f in folds]), 0.995)),
    )
    quantiles = calibrate.conformal_quantiles(studies, study_labels, release.COVERAGE)
    return release.Calibration(scaling, thresholds, quantiles, rule)


def _rule(folds: Sequence[Fold], scaling: calibrate.Scaling, labels: Ints) -> pooling.Pooling:
    """The pooling constants with the fewest other studies flagged at 98 % of glioma studies; ties: the first."""
    best, least = pooling.Pooling(), 2.0
    for smooth, fraction, least_slices in itertools.product((3, 1, 5, 7), (0.1, 0.05, 0.03, 0.2, 0.3), (3, 2, 5)):
        rule = pooling.Pooling(smooth=smooth, fraction=fraction, min_slices=least_slices)
        p = np.concatenate([f.pooled(scaling, rule) for f in folds])[:, calibrate.GLIOMA]
        threshold = calibrate.recall_threshold(p[labels == calibrate.GLIOMA], release.GLIOMA_RECALL)
        flagged = float((p[labels != calibrate.GLIOMA] >= threshold).mean())
        if flagged < least:
            best, least = rule, flagged
    return best


@dataclass
class Judged:
    """One fold under what the other folds chose."""

    fold: Fold
    chosen: release.Calibration
    slices: Floats
    studies: Floats


def judged(folds: Sequence[Fold]) -> list[Judged]:
    made = []
    for fold in folds:
        chosen = calibrated([f for f in folds if f.number != fold.number])
        made.append(Judged(fold, chosen, fold.slices(chosen.scaling), fold.pooled(chosen.scaling, chosen.rule)))
    return made


def patients(fold: Fold) -> Ints:
    """A number a slice: runs of tumour slices, groups of look-alikes among the others."""
    small = fold.part.x[:, 0, :: max(1, fold.part.x.shape[-1] // 32), :: max(1, fold.part.x.shape[-1] // 32)]
    number = similar.groups(len(small), similar.pairs(small, similar.LOOK_ALIKE)) + len(small)
    for run, rows in enumerate(pooling.runs(fold.part.slices, pooling.thumbnails(fold.part.x))):
        number[rows] = run
    return number


def bootstrap(group: Ints, of: Callable[[Ints], float], seed: int = 11, draws: int = DRAWS) -> dict[str, float]:
    """A figure over all rows, with its 95 % percentile interval over drawn groups; NaN where there is nothing."""
    if len(group) == 0:
        return dict.fromkeys(("mean", "low", "high"), float("nan"))
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(group == g) for g in np.unique(group)]
    values = []
    for _ in range(draws):
        rows = np.concatenate([members[i] for i in random.integers(0, len(members), len(members))])
        values.append(of(rows))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {"mean": of(np.arange(len(group))), "low": float(low), "high": float(high)}


def recall(predicted: Ints, labels: Ints, rows: Ints, only: int | None = None) -> float:
    """Macro recall over the rows, or the recall of one class."""
    wanted = range(len(LABELS)) if only is None else (only,)
    each = [(predicted[rows][labels[rows] == c] == c).mean() for c in wanted if (labels[rows] == c).any()]
    return float(np.mean(each)) if each else float("nan")


def slice_figures(judgements: Sequence[Judged]) -> dict[str, Any]:
    p = np.concatenate([j.slices for j in judgements])
    labels = np.concatenate([j.fold.part.labels for j in judgements])
    predicted = p.argmax(axis=1)
    offset, group = 0, []
    for j in judgements:
        numbers = patients(j.fold)
        group.append(numbers + offset)
        offset += int(numbers.max()) + 1
    together = np.concatenate(group)
    glioma = calibrate.GLIOMA
    flagged = np.concatenate([j.slices[:, glioma] >= j.chosen.thresholds.glioma_review_slice for j in judgements])
    is_glioma = labels == glioma
    sources = np.asarray([s.source for j in judgements for s in j.fold.part.slices])
    away = np.concatenate([j.chosen.scaling.of(j.fold.scores.mirrored) for j in judgements])
    set_in = np.concatenate([j.chosen.scaling.of(j.fold.scores.set_in) for j in judgements]).argmax(axis=1)
    set_in_labels = np.concatenate([j.fold.part.set_in_labels for j in judgements])

    def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> Callable[[Ints], float]:
        return lambda rows: float(hits[rows][of[rows]].mean()) if of[rows].any() else float("nan")

    return {
        "slices": len(labels),
        "patients": len(np.unique(together)),
        "report": metrics.report(p, labels),
        "confusion": metrics.confusion(labels, predicted),
        "ece": calibrate.expected_calibration_error(p, labels),
        "macro_recall": bootstrap(together, lambda rows: recall(predicted, labels, rows)),
        "glioma_recall": bootstrap(together, lambda rows: recall(predicted, labels, rows, glioma)),
        "glioma_recall_at_slice_threshold": bootstrap(together, share(flagged, is_glioma)),
        "others_flagged_at_slice_threshold": bootstrap(together, share(flagged, ~is_glioma)),
        "macro_recall_by_fold": {
            str(j.fold.number): recall(j.slices.argmax(1), j.fold.part.labels, np.arange(len(j.slices)))
            for j in judgements
        },
        "accuracy_by_source": {n: float((predicted == labels)[sources == n].mean()) for n in np.unique(sources)},
        "mirrored_away": {"slices": len(away), "called_normal": calibrate.normal_share(away)},
        "set_in": {
            "slices": len(set_in),
            "called_tumour": metrics.share(set_in != NORMAL),
            "called_right_tumour": metrics.share(set_in == set_in_labels),
        },
        "roc": {name: roc(p[:, i], labels == i) for i, name in enumerate(LABELS)},
    }


def roc(score: Floats, positive: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Area, and the curve at 101 false positive rates, one class against the others."""
    order = np.argsort(-score, kind="stable")
    hits = positive[order]
    true, false = np.cumsum(hits) / hits.sum(), np.cumsum(~hits) / (~hits).sum()
    at = np.linspace(0, 1, 101)
    return {
        "area": calibrate.auroc(score[~positive], score[positive]),
        "true_positive": [float(v) for v in np.interp(at, np.concatenate([[0], false]), np.concatenate([[0], true]))],
    }


def study_figures(judgements: Sequence[Judged]) -> dict[str, Any]:
    p = np.concatenate([j.studies for j in judgements])
    labels = np.concatenate([j.fold.study_labels for j in judgements])
    one_each = np.arange(len(labels))
    glioma = labels == calibrate.GLIOMA
    flagged = np.concatenate([j.studies[:, calibrate.GLIOMA] >= j.chosen.thresholds.glioma_review for j in judgements])
    cleared = np.concatenate([j.studies[:, NORMAL] >= j.chosen.thresholds.normal_bar for j in judgements])
    sets = [calibrate.prediction_set(row, j.chosen.quantiles) for j in judgements for row in j.studies]
    covered = np.asarray([LABELS[t] in s for t, s in zip(labels, sets)])
    clear = cleared & np.asarray([s == ["normal"] for s in sets]) & ~flagged

    def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> dict[str, float]:
        inside = hits[of]
        return bootstrap(one_each[: len(inside)], lambda rows: float(inside[rows].mean()))

    return {
        "studies": {name: int((labels == i).sum()) for i, name in enumerate(LABELS)},
        "glioma_flagged": share(flagged, glioma),
        "others_flagged": share(flagged, ~glioma),
        "others_flagged_by_class": {
            name: metrics.share(flagged[labels == i]) for i, name in enumerate(LABELS) if i != calibrate.GLIOMA
        },
        "tumours_not_flagged": share(clear, labels != NORMAL),
        "normals_cleared": share(clear, labels == NORMAL),
        "argmax_recall": {n: metrics.share((p.argmax(1) == i)[labels == i]) for i, n in enumerate(LABELS)},
        "conformal_coverage": {n: metrics.share(covered[labels == i]) for i, n in enumerate(LABELS)},
        "mean_set_size": float(np.mean([len(s) for s in sets])),
        "padding_of_all_patients": _padded_by_all(judgements),
        "thresholds": {str(j.fold.number): j.chosen.thresholds.glioma_review for j in judgements},
        "rules": {str(j.fold.number): [j.chosen.rule.smooth, j.chosen.rule.fraction] for j in judgements},
        "sweep": [
            {
                "threshold": round(float(t), 3),
                "glioma_flagged": metrics.share(p[glioma, calibrate.GLIOMA] >= t),
                "others_flagged": metrics.share(p[~glioma, calibrate.GLIOMA] >= t),
            }
            for t in np.linspace(0, 1, 101)
        ],
    }


def _padded_by_all(judgements: Sequence[Judged]) -> dict[str, float | None]:
    """The same rules and thresholds on the first model's kind of stand-in, whose padding mixes patients and classes."""
    hits, labels = [], []
    for j in judgements:
        studies = j.fold.part.stand_ins(one_patient=False)
        p = j.fold.pooled(j.chosen.scaling, j.chosen.rule, studies)[:, calibrate.GLIOMA]
        hits.append(p >= j.chosen.thresholds.glioma_review)
        labels += [s.label for s in studies]
    flagged, glioma = np.concatenate(hits), np.asarray(labels) == calibrate.GLIOMA
    return {"glioma_flagged": metrics.share(flagged[glioma]), "others_flagged": metrics.share(flagged[~glioma])}
