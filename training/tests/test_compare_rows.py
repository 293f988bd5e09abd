"""Rows are run, resumed, kept and told; tiny networks on synthetic slices."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurotriage_training import LABELS, __main__, export
from neurotriage_training.compare import document, pictures, rows, runner, search, store, table
from neurotriage_training.compare.backbones import Source
from neurotriage_training.compare.learner import Budget, Machine
from neurotriage_training.compare.rows import Run, named
from neurotriage_training.compare.runner import Setting
from neurotriage_training.compare.slices import Shelf, locked
from neurotriage_training.model import SliceClassifier

SETTING = Setting(32, Budget(steps=3), Machine("cpu", 1, True), Source())
TINY = ("--from-scratch", "--size", "32", "--minutes", "0.005", "--epochs", "0.5")


@pytest.fixture(scope="module")
def shelf(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(small_data, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """With a start without labels, as `make train` leaves one."""
    path = tmp_path_factory.mktemp("start") / "start.pt"
    torch.save({"average": SliceClassifier().state_dict()}, path)
    return replace(SETTING, source=Source(start=path))


def at(folder: Path) -> store.Places:
    return store.Places(folder / "run", folder / "results", folder / "COMPARISON.md")


def run_of(name: str, protocol: str = "patient", seed: int = 1) -> Run:
    return Run(named([name])[0], protocol, seed)


def test_splits_keep_patients_apart_or_repeat_the_original(shelf: Shelf) -> None:
    for seed in (1, 2, 3, 4):
        split = shelf.split("patient", seed)
        folds = [{shelf.slices[i].fold for i in part} for part in (split.train, split.validation, split.test)]
        assert folds[2] == {1} and folds[1] == {1 + seed} and folds[0] == {2, 3, 4, 5} - folds[1]
    known = {i for i, s in enumerate(shelf.slices) if s.seed_label is not None}
    one, two = shelf.split("original", 1), shelf.split("original", 2)
    assert set(one.train) | set(one.validation) | set(one.test) == known and 0 < len(known) < len(shelf.slices)
    assert set(one.test) != set(two.test) and not set(one.test) & set(one.train)
    assert abs(len(one.test) - len(known) / 5) <= 2


def test_an_interrupted_run_ends_as_an_uninterrupted_one(shelf: Shelf, tmp_path: Path) -> None:
    run = run_of("schedule-plateau")

    def weights(places: store.Places, cut_at: int = 0) -> dict[str, torch.Tensor]:
        if cut_at:
            cut_off(runner.prepare(run, shelf, SETTING, places)[0], cut_at)
        learner, _ = runner.prepare(run, shelf, SETTING, places)
        assert learner.train(Budget(steps=6)).steps == 6
        return learner.network.state_dict()

    whole, cut = weights(at(tmp_path / "a")), weights(at(tmp_path / "b"), cut_at=2)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    other = Run(run.row, run.protocol, 2)
    checkpoint = at(tmp_path / "b").of(run) / "checkpoint.pt"
    into = at(tmp_path / "b").of(other)
    into.mkdir(parents=True)
    checkpoint.rename(into / "checkpoint.pt")
    with pytest.raises(ValueError, match="other settings"):
        runner.prepare(other, shelf, SETTING, at(tmp_path / "b"))[0].train(Budget(steps=6))


def cut_off(learner: runner.Learner, steps: int) -> None:
    """Six steps are planned; the process ends after `steps` of them and a checkpoint."""
    take = learner._step

    def step(number: int) -> float:
        if number == steps:
            learner.store()
            raise KeyboardInterrupt
        return take(number)

    learner._step = step
    with pytest.raises(KeyboardInterrupt):
        learner.train(Budget(steps=6))


def test_what_is_kept_of_a_run(shelf: Shelf, started: Setting, tmp_path: Path) -> None:
    places, run = at(tmp_path), run_of("stand-ins")
    assert runner.run_all([run], shelf, started, places) == 0
    figures = json.loads(places.figures(run).read_text())
    assert figures["steps"] == 3 and figures["ended"] == "planned" and figures["weights"] == "the start without labels"
    assert figures["epochs"] == pytest.approx(3 * 32 / 48, abs=1e-5) and figures["slices"]["test"] == 12
    with places.predictions(run).open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    right = [np.mean([x["predicted"] == x["label"] for x in lines if x["label"] == name]) for name in LABELS]
    assert figures["macro_recall"] == pytest.approx(np.mean(right), abs=1e-5)
    assert {x["file"] for x in lines} == {s.name for s in shelf.slices if s.fold == 1}
    assert figures["mirrored_away"]["slices"] > 0 and 0 <= figures["set_in"]["called_tumour"] <= 1
    before = places.figures(run).stat().st_mtime_ns
    assert runner.run_all([run], shelf, started, places) == 0 and places.figures(run).stat().st_mtime_ns == before
    assert not (places.of(run) / "checkpoint.pt").exists()


def test_what_another_process_is_at_is_left_to_it(shelf: Shelf, tmp_path: Path) -> None:
    places, run = at(tmp_path), run_of("mobilenetv3small")
    with locked(places.of(run) / "lock") as mine:
        assert mine and runner.run_all([run], shelf, SETTING, places) == 0
    assert not places.figures(run).exists()
    assert runner.run_all([run], shelf, SETTING, places, piece=0) == 0 and not places.figures(run).exists()


def test_a_row_without_its_start_is_not_run_and_not_invented(shelf: Shelf, tmp_path: Path) -> None:
    assert runner.run_all([run_of("ours")], shelf, SETTING, at(tmp_path)) == 0
    row = next(r for r in table.summarise(at(tmp_path))["rows"] if r["row"] == "ours")
    assert row["patient"] is None and "not run" in document.render(table.summarise(at(tmp_path)))


def test_a_kept_network_is_exported_with_figures_of_its_own(shelf: Shelf, started: Setting, tmp_path: Path) -> None:
    places, run = at(tmp_path), run_of("head-flatten")
    with pytest.raises(FileNotFoundError, match="run the row first"):
        runner.kept(run, places)
    runner.run_all([run], shelf, started, places)
    from neurotriage_training.compare import export as exporting

    path = exporting.export(run.row, shelf, places, tmp_path / "out")
    content = path.read_bytes()
    made = json.loads(export.metadata(content)["neurotriage.card"])
    assert made["name"] == "compare-head-flatten" and made["input"]["size"] == 32 and made["training"]["seed"] == 1
    test = [i for i, s in enumerate(shelf.slices) if s.fold == 1]
    logits = export.run(export.session(content), np.array(shelf.tensors("head", 32)[test]))["logits"]
    with places.predictions(run).open(newline="") as handle:
        said = [line["predicted"] for line in csv.DictReader(handle)]
    assert [LABELS[i] for i in logits.argmax(1)] == said


@pytest.fixture(scope="module")
def compared(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`compare run`, two processes side by side, then the search and the table."""
    out = tmp_path_factory.mktemp("compared")
    where = ["--run", out / "run", "--results", out / "results", "--document", out / "COMPARISON.md"]
    words = ["--data", small_data, *where, *TINY, "--only", "mobilenetv3small", "study", "--seeds", "1", "2"]
    for what, more in (("run", ["--jobs", "2"]), ("search", ["--trials", "3", "--slices", "64"]), ("table", [])):
        assert __main__.main(["compare", what, *map(str, words), *more]) == 0
    return out


def test_the_table_says_what_was_run_and_what_was_not(compared: Path) -> None:
    summary = json.loads((compared / "results" / "summary.json").read_text())
    assert summary["networks"] == 8 and summary["planned"] == len(rows.ROWS) * 6
    with (compared / "results" / "table.csv").open(newline="") as handle:
        lines = {line["row"]: line for line in csv.DictReader(handle)}
    assert set(lines) == {row.name for row in rows.ROWS}
    done = [json.loads(p.read_text()) for p in (compared / "results" / "rows" / "study").glob("patient-*.json")]
    mean = np.mean([one["macro_recall"] for one in done])
    assert len(done) == 2 and float(lines["study"]["patient_macro_recall"]) == pytest.approx(mean, abs=1e-4)
    assert lines["vgg19"]["patient_macro_recall"] == "" and lines["vgg19"]["epochs"] == "not run"
    text = (compared / "COMPARISON.md").read_text()
    assert f"8 of {summary['planned']} networks have been trained" in text and "| VGG19 | not run |" in text
    assert text == document.render(summary)


def test_the_search_is_resumed_from_its_storage(compared: Path, small_data: Path) -> None:
    kept = json.loads((compared / "results" / "search.json").read_text())
    first = {name: one["trials"] for name, one in kept["samplers"].items()}
    assert {name: len(trials) for name, trials in first.items()} == {"tpe": 3, "random": 3}
    for trials in first.values():
        assert all(t["rate"] in search.RATES and t["units"] in search.UNITS for t in trials)
        assert all(t["batch"] in search.BATCHES and 0 <= t["dropout"] <= 0.5 and 0 <= t["value"] <= 1 for t in trials)
    assert (compared / "results" / pictures.HISTORY).is_file()
    places = store.Places(compared / "run", compared / "results", compared / "COMPARISON.md")
    search.search(search.Plan(trials=4, slices=64), Shelf(small_data, places.cache), SETTING, places)
    more = json.loads(places.search.read_text())
    assert {name: one["trials"][:3] for name, one in more["samplers"].items()} == first
    assert all(len(one["trials"]) == 4 for one in more["samplers"].values())


def test_the_committed_document_is_the_committed_summary() -> None:
    places = store.Places()
    summary = json.loads((places.results / "summary.json").read_text())
    assert places.document.read_text() == document.render(summary)
    for row in summary["rows"]:
        for protocol in rows.PROTOCOLS:
            there = list((places.results / "rows" / row["row"]).glob(f"{protocol}-seed*.json"))
            assert len(there) == (len(row[protocol]["seeds"]) if row[protocol] else 0)
