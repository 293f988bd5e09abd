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
    evaluation = summary["evaluation"]
    parts = [
        _head(summary),
        _wanted(evaluation),
        _slices(evaluation["out_of_fold"]["slices"]),
        _studies(summary),
        _shortcuts(evaluation),
        _original(evaluation["original_protocol"]),
        _sizes(evaluation["input_size"], summary["card"]),
        _healthy(evaluation["these_weights"]["healthy"]),
        _foreign(evaluation["these_weights"]["foreign"]),
        _use(summary["card"]),
        _training(summary["card"]),
    ]
    return "\n\n".join(parts) + "\n"


def _head(summary: dict[str, Any]) -> str:
    head, model_card = summary["headline"], summary["card"]
    return f"""# Model card: {model_card["name"]} {model_card["version"]}

<!-- Written by `python -m neurotriage_training export` from training/results/summary.json. Do not edit. -->

{model_card["intended_use"]["statement"]}

Digest `{head["digest"]}`, {head["bytes"] / 1e6:.1f} MB.

Two things are told apart here. **The procedure, out of fold**: five networks, each trained on four fifths of the patients
and asked about the last fifth once; this is what to expect for a new patient of the same sources. **These weights**: the
same procedure on all patients; no slice of the data is new to them, so only pictures from elsewhere can be asked about.
The protocol was written before the results: `{model_card["training"]["protocol"]}`."""


def _wanted(evaluation: dict[str, Any]) -> str:
    """Every figure that was wanted beside what was reached, so that what was missed cannot be overlooked."""
    slices, studies = evaluation["out_of_fold"]["slices"], evaluation["out_of_fold"]["studies"]
    weights, old = evaluation["these_weights"], evaluation["original_protocol"]
    planes = [row for volume in weights["healthy"].values() for row in volume.values()]
    healthy = (
        []
        if not planes
        else [
            (
                f"healthy volumes: series flagged, of {len(planes)}",
                0.0,
                float(sum(row["flagged"] for row in planes)),
                False,
            ),
            (
                "healthy volume: slices above the slice threshold",
                0.05,
                max(r["above_slice_threshold"] for r in planes),
                False,
            ),
        ]
    )
    figures: list[tuple[str, float, float | None, bool]] = [
        ("macro recall", 0.94, slices["macro_recall"]["mean"], True),
        ("glioma recall at arg-max", 0.94, slices["glioma_recall"]["mean"], True),
        ("glioma slices above the slice threshold", 0.99, slices["glioma_recall_at_slice_threshold"]["mean"], True),
        ("other slices above it", 0.12, slices["others_flagged_at_slice_threshold"]["mean"], False),
        ("glioma studies flagged", 0.98, studies["glioma_flagged"]["mean"], True),
        ("other studies flagged", 0.15, studies["others_flagged"]["mean"], False),
        ("expected calibration error", 0.03, slices["ece"], False),
        ("mirrored-away slices called normal", 0.80, slices["mirrored_away"]["called_normal"], True),
        ("out-of-domain AUROC", 0.98, weights["foreign"]["all"]["auroc_distance"], True),
        ("macro recall, original protocol", 0.975, old and old["macro_recall"]["mean"], True),
        *healthy,
    ]
    rows: Rows = [
        (name, f"{'≥' if more else '≤'} {bar:g}", "–" if value is None else f"{value:.3f}", _met(bar, value, more))
        for name, bar, value, more in figures
    ]
    rows.append(("macro recall on images from other sources", "≥ 0.7", "not measured: no such images at hand", ""))
    return "## Wanted and reached\n\n" + table(("figure", "wanted", "reached", ""), rows)


def _met(bar: float, value: float | None, more: bool) -> str:
    if value is None:
        return "not run"
    return "reached" if (value >= bar if more else value <= bar) else "**missed**"


def _original(found: dict[str, Any] | None) -> str:
    head = "## The original study's protocol, for comparison only"
    if found is None:
        return f"{head}\n\nNot run."
    macro, counts = found["macro_recall"], found["slices"]
    each = ", ".join(percent(v) for v in macro["seeds"])
    return f"""{head}

Its slices and labels, a random 80/20 split ({counts["trained"]} and {counts["tested"]} slices): slices of one patient stand on both sides, so this says
little about new patients. Macro recall {percent(macro["mean"])} ± {percent(macro["spread"])} over {len(macro["seeds"])} seeds ({each}); glioma {percent(found["glioma_recall"])}.
Reported originally: 92.2 % and 88 %. {found["epochs"]} epochs from the same start, on those slices alone."""


def _sizes(found: list[dict[str, Any]], model_card: dict[str, Any]) -> str:
    shipped = (model_card["input"]["size"], model_card["training"].get("asked_twice", False))
    rows: Rows = [
        (
            f"{row['size']}²"
            + (", twice" if row["twice"] else "")
            + (" (shipped)" if (row["size"], row["twice"]) == shipped else ""),
            percent(row["macro_recall"]),
            percent(row["glioma_recall"]),
            f"{row['cpu_ms_a_slice']:.1f}",
        )
        for row in found
    ]
    return f"""## Input size

The same networks, out of fold, asked at other sizes than they were trained for last, and twice: the mean of a slice's and its mirror
image's logits. CPU time a slice in batches of 16, on the
machine that wrote this; only the ratios carry over.

{table(("size", "macro recall", "glioma recall", "ms CPU"), rows)}"""


def _slices(found: dict[str, Any]) -> str:
    report = found["report"]
    rows: Rows = [
        (
            n,
            percent(report[n]["recall"]),
            percent(report[n]["precision"]),
            f"{found['roc'][n]['area']:.3f}",
            str(report[n]["support"]),
        )
        for n in LABELS
    ]
    average = report["macro avg"]
    rows.append(("macro average", percent(average["recall"]), percent(average["precision"]), "", str(found["slices"])))
    sure, other = found["glioma_recall_at_slice_threshold"], found["others_flagged_at_slice_threshold"]
    confusion: Rows = [(n, *(str(c) for c in row)) for n, row in zip(LABELS, found["confusion"])]
    folds = ", ".join(f"{k}: {percent(v)}" for k, v in found["macro_recall_by_fold"].items())
    return f"""## Slices by arg-max, out of fold

{table(("class", "recall", "precision", "area under ROC", "slices"), rows)}

Macro recall {interval(found["macro_recall"])}, recall of glioma {interval(found["glioma_recall"])}: 95 % intervals by bootstrap
over {found["patients"]} patients (runs of neighbouring slices, groups of look-alikes). By fold: {folds}.
Expected calibration error {found["ece"]:.3f} (15 bins). At the slice threshold chosen on the other folds {interval(sure)} of
gliomas and {interval(other)} of other slices are above it.

{table(("truth, then predicted", *LABELS), confusion)}"""


def _studies(summary: dict[str, Any]) -> str:
    found, thresholds = summary["evaluation"]["out_of_fold"]["studies"], summary["card"]["thresholds"]
    mixed = found["padding_of_all_patients"]
    counts = ", ".join(f"{v} {k}" for k, v in found["studies"].items())
    others = ", ".join(f"{name} {percent(v)}" for name, v in found["others_flagged_by_class"].items())
    return f"""## Studies, out of fold (stand-ins: {counts})

Runs of slices of one patient padded with normals and one patient's mirrored-away slices to 20 to 200. Threshold and pooling rule are chosen on four
folds and reported on the fifth; 95 % bootstrap intervals. The card's own threshold, {thresholds["glioma_review"]:.3f}, is chosen in
the same way on all five.

- glioma studies flagged: {interval(found["glioma_flagged"])}
- other studies flagged: {interval(found["others_flagged"])} ({others})
- tumour studies that would be `not_flagged` (p(normal) at the bar, set = {{normal}}): {interval(found["tumours_not_flagged"])}
- tumour-free studies that would be `not_flagged`: {interval(found["normals_cleared"])}
- coverage of the 95 % prediction sets: {", ".join(f"{k} {percent(v)}" for k, v in found["conformal_coverage"].items())};
  {found["mean_set_size"]:.2f} labels a set
- with padding that mixes patients and classes, as for the first model: {percent(mixed["glioma_flagged"])} of glioma studies and
  {percent(mixed["others_flagged"])} of the others flagged"""


def _shortcuts(evaluation: dict[str, Any]) -> str:
    found = evaluation["out_of_fold"]["slices"]
    away, set_in = found["mirrored_away"], found["set_in"]
    sources = ", ".join(f"{k} {percent(v)}" for k, v in found["accuracy_by_source"].items())
    rows: Rows = []
    for name, leak in evaluation["leakage"].items():
        near, control = leak["near_duplicates"], leak["control_without_anatomy"]
        rows.append(
            (
                name,
                percent(leak["nearest_neighbour"]["across_the_split"]),
                f"{near['slices_with_one_across']} of {leak['slices']}",
                percent(control["macro_recall"]),
                percent(control["normal_told_from_tumour"]),
            )
        )
    head = (
        "split",
        "nearest neighbour on raw pixels",
        "slices with a near-duplicate across",
        "control without anatomy: macro recall",
        "the same: normal told from tumour",
    )
    return f"""## Does it look at the tumour or at the source?

- slices whose tumour was replaced by the mirrored other side, called normal: {percent(away["called_normal"])} of {away["slices"]}
- normal slices with a tumour set in, called tumour: {percent(set_in["called_tumour"])} of {set_in["slices"]}
- accuracy by source: {sources}

What the split and the sources give away by themselves. The control sees borders, tones, sharpness and noise, and no
anatomy: what it reaches could be reached without looking at a tumour.

{table(head, rows)}"""


def _healthy(volumes: dict[str, Any]) -> str:
    head = "## Healthy volumes that were not trained on, these weights"
    if not volumes:
        return f"{head}\n\nNot measured: no volume was there."
    rows: Rows = [
        (
            f"{name}, {plane}",
            str(row["slices"]),
            percent(row["called_normal"]),
            percent(row["above_slice_threshold"]),
            f"{row['study_probabilities']['glioma']:.3f}",
            "yes" if row["flagged"] else "no",
            "yes" if row["out_of_domain"] else "no",
        )
        for name, planes in volumes.items()
        for plane, row in planes.items()
    ]
    columns = (
        "volume, plane",
        "slices",
        "called normal",
        "above slice threshold",
        "p(glioma)",
        "flagged",
        "out of domain",
    )
    return f"""{head}

Each plane as a series of its own: the central 60 %, every second slice. `t1-brain` is T1 without contrast, defaced; `structural1`
and `structural2` are T1 heads with face and neck, examples of the package BrainBrowser.

{table(columns, rows)}"""


def _foreign(groups: dict[str, Any]) -> str:
    rows: Rows = [
        (name, str(g["slices"]), f"{g['auroc_distance']:.3f}", f"{g['auroc_energy']:.3f}", percent(g["beyond_bar"]))
        for name, g in groups.items()
    ]
    return f"""## What is not a head, these weights

Chance that a foreign picture scores above a slice out of fold, for the score in the model (feature distance) and for the
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
    start = training.get("start")
    told = (
        "From scratch."
        if start is None
        else (
            f"Started from {start['steps'] * start['batch']} slices without labels, on which it learned to tell the feature maps of an "
            "EfficientNet-Lite0 trained on ImageNet."
        )
    )
    return f"""## Training

{told} Then {training["epochs"]} epochs, {training["slices_seen"]} augmented slices; class weights 1.0, 1.0, 1.5, 1.0; running
average of the weights; seed {training["seed"]}. Temperature {model_card["temperature"]:.3f}, after offsets to the logits of
{", ".join(f"{value:+.2f} {name}" for name, value in training["offsets"].items())}, which stand in the output layer. Data digest `{training["data_digest"]}`, weights
digest `{training["weights_digest"]}`. Versions: {versions}.

{table(("source", "licence", "changes"), rows)}"""
