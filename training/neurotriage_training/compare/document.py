"""docs/COMPARISON.md, written from the summary: no figure in it is typed by hand, but those that others reported."""

from __future__ import annotations

from typing import Any

from .. import document
from . import pictures
from .rows import PROTOCOLS, REFERENCE

NOT_RUN = "not run"
PICTURES = "../training/results/compare"
Found = dict[str, Any] | None


def share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def spread(value: dict[str, float], seeds: int) -> str:
    return share(value["mean"]) + (f" ± {share(value['spread'])}" if seeds > 1 else "")


def figure(found: Found, name: str, missing: str = NOT_RUN) -> str:
    return missing if not found else spread(found[name], len(found["seeds"]))


def probe(found: Found, name: str, what: str) -> str:
    return "–" if not found else share(found[name][what])


def seeds(row: dict[str, Any]) -> str:
    counts = [str(len(row[p]["seeds"])) if row[p] else "0" for p in ("patient", "original")]
    return " + ".join(counts)


def epochs(row: dict[str, Any]) -> str:
    found = row["patient"] or row["original"]
    if not found:
        return "–"
    ended = {"early": ", early stop", "time": ", out of time", "diverged": ", diverged"}
    return f"{found['epochs']['mean']:.1f}" + "".join(ended.get(e, "") for e in found["ended"])


def weights(row: dict[str, Any]) -> str:
    found = row["patient"] or row["original"]
    return "; ".join(found["weights"]) if found else "–"


def millis(cost: Found, runtime: str) -> str:
    value = (cost or {}).get("ms", {}).get(runtime)
    return "–" if value is None else f"{value:.2f}"


def recalls(row: dict[str, Any]) -> tuple[str, ...]:
    patient, original = row["patient"], row["original"]
    return (
        figure(patient, "macro_recall"),
        figure(patient, "glioma_recall", "–"),
        figure(original, "macro_recall"),
        figure(original, "glioma_recall", "–"),
        probe(patient, "mirrored_away", "called_normal"),
        probe(patient, "set_in", "called_tumour"),
    )


RECALLS = (
    "macro, patients apart",
    "glioma, patients apart",
    "macro, original protocol",
    "glioma, original protocol",
    "mirrored away called normal",
    "set in called tumour",
)


def render(summary: dict[str, Any]) -> str:
    parts = [_head(summary), _shared(summary), _backbones(summary), _original(summary), _techniques(summary)]
    parts += [_search(summary["search"]), _again()]
    return "\n\n".join(parts) + "\n"


def _head(summary: dict[str, Any]) -> str:
    networks, planned = summary["networks"], summary["planned"]
    if networks == 0:
        state = "**No row has been run yet**: costs are measured, every recall below says so. None is invented."
    elif networks < planned:
        state = f"{networks} of {planned} networks have been trained; what is missing says *{NOT_RUN}*."
    else:
        state = f"All {planned} networks have been trained."
    most = max((len(row[p]["seeds"]) for row in summary["rows"] for p in PROTOCOLS if row[p]), default=0)
    caution = " **One seed so far**: of rows that are less than two points apart it says nothing." if most == 1 else ""
    return f"""# The comparison: backbones and techniques

<!-- Written by `python -m neurotriage_training compare table` from training/results/compare. Do not edit. -->

Which backbone and which technique of the original study earn their place, measured with patients kept apart beside the
original, leaking protocol. {state} Recalls are per cent, mean ± standard deviation over seeds.{caution}"""


def _shared(summary: dict[str, Any]) -> str:
    ran = [row[p] for row in summary["rows"] for p in ("patient", "original") if row[p]]

    def every(name: str) -> str:
        return ", ".join(f"{v}" for v in sorted({v for found in ran for v in found[name]}))

    budget = "10 minutes by default"
    if ran:
        budget = f"{every('minutes')} minutes a network on {every('devices')}, threads {every('threads')}, input {every('sizes')}"

    patient = next((row["patient"] for row in summary["rows"] if row["patient"]), None)
    probes = (
        f" ({patient['mirrored_away']['slices']} mirrored away, {patient['set_in']['slices']} set in)"
        if patient
        else ""
    )
    return f"""## What all rows share

- **Patients apart**: trained on folds 2 to 5, asked about fold 1 once. **Original protocol**: the original study's slices under its
  labels, random 80/20 drawn by the seed; slices of one patient stand on both sides, so its figures flatter.
- A budget of minutes, not of epochs: {budget}. Large networks see
  fewer epochs; the column says how many. This compares what a researcher gets for the same wait, not what each network could reach in the
  end.
- AdamW (weight decay 0.03), label smoothing 0.05, gradients clipped at 5, batches of 32, the last weights. On a plateau (from a rate of
  0.001) the best on validation patients, a training fold that is then not trained on; the test fold is never looked at.
- Unless the row says otherwise: head crop, flip, rotation 0.2, contrast 0.2, class weights 1/1/1.5/1, the network's own pooled head,
  one cycle. Every technique row differs from `{REFERENCE}` in that one thing.
- `ours` and the technique rows are the project's MobileNetV3Large, which begins with the start without labels (`training/README.md`). The start
  has seen the pixels of all folds, no label of any; the other backbones' weights are what the last column says.
- Probes, on fold 1{probes}: slices whose tumour was replaced by the mirrored other side should be called normal, normals
  with a tumour set in should be called tumour. A network that looks at the source fails them."""


def _backbones(summary: dict[str, Any]) -> str:
    rows = [row for row in summary["rows"] if row["group"] == "backbone"]
    lines = [(row["title"], *recalls(row), seeds(row), epochs(row), weights(row)) for row in rows]
    plot = ""
    if any(pictures.timed(row) for row in rows):
        plot = f"\n\n![Macro recall against ms a slice]({PICTURES}/{pictures.SPEED})"
    return f"""## Backbones

{document.table(("backbone", *RECALLS, "seeds", "epochs", "weights"), lines)}

{_costs([row for row in rows if row["row"] != "ours"])}{plot}"""


def _costs(rows: list[dict[str, Any]]) -> str:
    lines: document.Rows = []
    for row in rows:
        cost = row["cost"]
        numbers = (
            (f"{cost['parameters'] / 1e6:.2f}", f"{cost['gflop']:.3f}", f"{cost['bytes'] / 1e6:.1f}")
            if cost
            else ("not measured",) * 3
        )
        lines.append((row["title"], str(row["size"]), *numbers, millis(cost, "cpu"), millis(cost, "cuda")))
    head = (
        "network",
        "input",
        "million parameters",
        "GFLOP a slice",
        "file, MB",
        "ms a slice, CPU",
        "ms a slice, CUDA",
    )
    return f"""{document.table(head, lines)}

Parameters and GFLOP (a multiplication and its addition count as two) with the row's head, without what is cut off; the file as
exported, with card and out-of-domain constants; ms as `neurotriage doctor` times the daemon's own runner, best of three openings, one
caller. A dash is not measured."""


def _original(summary: dict[str, Any]) -> str:
    rows = [row for row in summary["rows"] if row["group"] == "original"]
    lines = [(row["title"], share(row["reported"]), *recalls(row), epochs(row), weights(row)) for row in rows]
    return f"""## The original study's settings

Whole picture rescaled to 0..1, flip, rotation and contrast, class weights, flatten, dense 512, batch normalisation, dropout 0.5, rate
reduced on a plateau with early stopping. The reported figures are the study's own, on its own split: 90.5 for the base case, 92.2 for
the class-weighted MobileNetV3Large that it ended with, whose other settings may have been others than these.

{document.table(("network", "reported macro", *RECALLS, "epochs", "weights"), lines)}"""


def _techniques(summary: dict[str, Any]) -> str:
    rows = [row for row in summary["rows"] if row["group"] == "technique"]
    base = next(row for row in summary["rows"] if row["row"] == REFERENCE)
    lines = [(f"*{base['title']}, the reference*", "", *recalls(base), seeds(base), epochs(base))]
    lines += [(row["title"], _against(row, base), *recalls(row), seeds(row), epochs(row)) for row in rows]
    return f"""## Techniques, on MobileNetV3Large with the start without labels

{document.table(("change", "macro, patients apart, less the reference", *RECALLS, "seeds", "epochs"), lines)}"""


def _against(row: dict[str, Any], base: dict[str, Any]) -> str:
    if not row["patient"] or not base["patient"]:
        return "–"
    difference = row["patient"]["macro_recall"]["mean"] - base["patient"]["macro_recall"]["mean"]
    return f"{100 * difference:+.1f}"


def _search(found: Found) -> str:
    if not found:
        return "## Bayesian optimisation\n\nNot run."
    lines: document.Rows = []
    for name, one in found["samplers"].items():
        if not one["trials"]:
            lines.append((name, "0", NOT_RUN, "–", "–", "–", "–", "–"))
            continue
        best = max(one["trials"], key=lambda t: t["value"])
        mean = sum(t["value"] for t in one["trials"]) / len(one["trials"])
        settings = (f"{best['rate']:g}", f"{best['dropout']:.2f}", str(best["batch"]), str(best["units"]))
        lines.append((name, str(len(one["trials"])), share(best["value"]), share(mean), *settings))
    head = ("sampler", "trials", "best macro", "mean of trials", "its rate", "dropout", "batch", "dense units")
    folds = found["folds"]
    shares = [
        f"{sampler}: " + ", ".join(f"{name} {share(value)}" for name, value in one["importances"].items())
        for sampler, one in found["samplers"].items()
        if one["importances"]
    ]
    told = f" Importances (PED-ANOVA, per cent): {'; '.join(shares)}." if shares else ""
    plots = f"![History]({PICTURES}/{pictures.HISTORY})"
    if shares:
        plots += f"\n![Importances]({PICTURES}/{pictures.IMPORTANCES})"
    start = "from the start without labels" if found["start"] else "from scratch"
    return f"""## Bayesian optimisation

MobileNetV3Large {start} with the flattened head; each trial sees {found["slices"]} slices of folds {folds["train"]} at {found["size"]}² and is judged on
the patients of fold {folds["validation"]}; the test fold is not looked at. TPE against as many random trials.{told}

{document.table(head, lines)}

{plots}"""


def _again() -> str:
    return """## Again

`make compare DATA=../shared/data` runs what is not run yet, the search, the measurements and this table; `ROWS="mobilenetv2 vgg16"`
narrows it, `MINUTES=10` is the budget a network. `python -m neurotriage_training compare export ROW` makes any row that looks at head
crops a file for the daemon's `--model`; its card says that it is a network of the comparison. Predictions of every network are in
`training/results/compare/rows/`."""
