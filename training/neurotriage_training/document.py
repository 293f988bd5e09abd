"""docs/MODEL_CARD.md, written from the summary: no number in it is typed by hand."""

from __future__ import annotations

import math
from typing import Any

from . import LABELS

Rows = list[tuple[str, ...]]


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def table(head: tuple[str, ...], rows: Rows) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def interval(value: dict[str, float]) -> str:
    return f"{percent(value['mean'])} ({percent(value['low'])} to {percent(value['high'])})"


def render(summary: dict[str, Any]) -> str:
    parts = [
        _head(summary),
        _slices(summary["evaluation"]["test"]["slices"]),
        _studies(summary),
        _shortcuts(summary["evaluation"]),
        _healthy(summary["evaluation"].get("t1_brain")),
        _foreign(summary["evaluation"]["foreign"]),
        _use(summary["card"]),
        _training(summary["card"]),
    ]
    return "\n\n".join(parts) + "\n"


def _head(summary: dict[str, Any]) -> str:
    head, model_card = summary["headline"], summary["card"]
    return f"""# Model card: {model_card["name"]} {model_card["version"]}

<!-- Written by `python -m neurotriage_training export` from training/results/summary.json. Do not edit. -->

{model_card["intended_use"]["statement"]}

Digest `{head["digest"]}`, {head["bytes"] / 1e6:.1f} MB. All figures are of these weights: trained on folds 3 to 5,
calibrated on fold 2, tested on fold 1, no patient in two of them. One fold is one draw: expect other folds to differ by
several points. The protocol was written before the results: `training/PROTOCOL.md`."""


def _slices(test: dict[str, Any]) -> str:
    report = test["report"]
    rows: Rows = [
        (n, percent(report[n]["recall"]), percent(report[n]["precision"]), str(report[n]["support"])) for n in LABELS
    ]
    rows.append(
        (
            "macro average",
            percent(report["macro avg"]["recall"]),
            percent(report["macro avg"]["precision"]),
            str(test["slices"]),
        )
    )
    sure, other = test["glioma_recall_at_slice_threshold"], test["others_flagged_at_slice_threshold"]
    confusion: Rows = [(n, *(str(c) for c in row)) for n, row in zip(LABELS, test["confusion"])]
    return f"""## Slices, by arg-max, patients never seen

{table(("class", "recall", "precision", "slices"), rows)}

Accuracy {percent(report["accuracy"])}, expected calibration error {test["ece"]:.3f} (15 bins). At the slice threshold
{percent(sure)} of gliomas and {percent(other)} of other slices are above it.

{table(("truth, then predicted", *LABELS), confusion)}"""


def _studies(summary: dict[str, Any]) -> str:
    test, thresholds = summary["evaluation"]["test"]["studies"], summary["card"]["thresholds"]
    counts = ", ".join(f"{v} {k}" for k, v in test["studies"].items())
    return f"""## Studies (stand-ins: {counts})

Runs of slices of one patient padded with tumour-free slices to 20 to 200; thresholds from fold 2, figures from fold 1,
95 % bootstrap intervals over studies.

- glioma studies flagged at {thresholds["glioma_review"]:.3f}: {interval(test["glioma_flagged"])}
- other studies flagged: {interval(test["others_flagged"])}; tumour-free ones: {interval(test["normals_flagged"])}
- tumour studies that would be `not_flagged` (p(normal) at least {thresholds["normal_bar"]:.3f}, set = {{normal}}):
  {interval(test["tumours_not_flagged"])}
- tumour-free studies that would be `not_flagged`: {interval(test["normals_cleared"])}
- coverage of the 95 % prediction sets: {", ".join(f"{k} {percent(v)}" for k, v in test["conformal_coverage"].items())};
  {test["mean_set_size"]:.2f} labels a set"""


def _shortcuts(evaluation: dict[str, Any]) -> str:
    rows: Rows = []
    for name in ("calibration", "test"):
        part = evaluation[name]["slices"]
        away, set_in = part.get("mirrored_away", {}), part.get("set_in", {})
        rows.append(
            (
                name,
                f"{percent(away.get('called_normal'))} of {away.get('slices', 0)}",
                percent(away.get("their_tumours_called_normal")),
                f"{percent(set_in.get('called_tumour'))} of {set_in.get('slices', 0)}",
            )
        )
    head = (
        "fold",
        "tumour mirrored away: called normal",
        "same slices with their tumour: called normal",
        "tumour set into a normal: called tumour",
    )
    sources = evaluation["test"]["slices"]["accuracy_by_source"]
    return f"""## Does it look at the tumour or at the source?

{table(head, rows)}

Accuracy by source (test): {", ".join(f"{k} {percent(v)}" for k, v in sources.items())}."""


def _healthy(planes: dict[str, Any] | None) -> str:
    if planes is None:
        return "## A healthy volume\n\nNot measured: the volume was not there."
    rows: Rows = [
        (
            name,
            str(row["slices"]),
            percent(row["called_normal"]),
            percent(row["above_slice_threshold"]),
            f"{row['study_probabilities']['glioma']:.3f}",
            "yes" if row["flagged"] else "no",
            "yes" if row["out_of_domain"] else "no",
        )
        for name, row in planes.items()
    ]
    head = ("plane", "slices", "called normal", "above slice threshold", "study p(glioma)", "flagged", "out of domain")
    return f"""## A healthy volume that was not trained on

`t1-brain` (T1 without contrast, defaced), central 60 % of each plane, every second slice.

{table(head, rows)}"""


def _foreign(groups: dict[str, Any]) -> str:
    rows: Rows = [
        (name, str(g["slices"]), f"{g['auroc_distance']:.3f}", f"{g['auroc_energy']:.3f}", percent(g["beyond_bar"]))
        for name, g in groups.items()
    ]
    return f"""## What is not a head

Chance that a foreign picture scores above a slice of fold 2, for the score in the model (feature distance) and for the
energy that was tried beside it; and the share beyond the bar.

{table(("pictures", "number", "AUROC distance", "AUROC energy", "beyond the bar"), rows)}"""


def _use(model_card: dict[str, Any]) -> str:
    use = model_card["intended_use"]
    read, raised = ", ".join(use["read"]), ", ".join(use["raise_only"])
    size = model_card["input"]["size"]
    limits = "\n".join(f"- {text}" for text in model_card["limits"])
    return f"""## Use and limits

Reads {use["modality"]} of the {use["body_part"]}: {read} may raise and clear, {raised} may raise only.
Input {size} x {size}, recipe {model_card["recipe"]["kind"]}.

{limits}"""


def _training(model_card: dict[str, Any]) -> str:
    training = model_card["training"]
    rows: Rows = [(s["name"], s["licence"], s["changes"]) for s in training["sources"]]
    versions = ", ".join(f"{k} {v}" for k, v in training["versions"].items())
    seen = training.get("slices_seen", 0)
    return f"""## Training

Seeded stages of {training["epochs"]} epochs in all, {seen} augmented slices; class weights 1.0, 1.0, 1.5, 1.0;
running average of the weights. Temperature {model_card["temperature"]:.3f}. Data digest
`{training["data_digest"]}`, weights digest `{training["weights_digest"]}`. Versions: {versions}.

{table(("source", "licence", "changes"), rows)}"""
