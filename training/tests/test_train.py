"""Training is repeatable, resumable, and ends in a file that serving can open."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from neurotriage_training import (
    LABELS,
    __main__,
    calibrate,
    card,
    data,
    export,
    inspect_slice,
    metrics,
    plans,
    pools,
    release,
    train,
)
from neurotriage_training.model import Depthwise, ExportedClassifier, Locator, SliceClassifier, asked, foreignness

PLAN = replace(plans.tiny(epochs=3).last, locate=0.5)


@pytest.fixture(scope="module")
def drawn_from(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pools.Pools:
    slices = data.load(small_data)
    return pools.build(slices, PLAN.recipe, tmp_path_factory.mktemp("cache"), "t", atlas=False)


def trained(plan: train.Plan, run: Path, drawn_from: pools.Pools, epochs: int) -> train.Trainer:
    trainer = train.Trainer(plan, run)
    trainer.restore()
    while trainer.epoch < epochs:
        trainer.train_epoch(drawn_from)
        trainer.store()
    return trainer


def test_same_seed_same_weights(tmp_path: Path, drawn_from: pools.Pools) -> None:
    digests = {train.weights_digest(trained(PLAN, tmp_path / n, drawn_from, 2).average) for n in ("a", "b")}
    other = train.weights_digest(trained(replace(PLAN, seed=2), tmp_path / "c", drawn_from, 2).average)
    assert len(digests) == 1 and other not in digests


def test_resumed_is_the_same_as_uninterrupted(tmp_path: Path, drawn_from: pools.Pools) -> None:
    whole = trained(PLAN, tmp_path / "whole", drawn_from, 3)
    trained(PLAN, tmp_path / "cut", drawn_from, 1)
    resumed = trained(PLAN, tmp_path / "cut", drawn_from, 3)
    assert train.weights_digest(whole.model) == train.weights_digest(resumed.model)
    assert train.weights_digest(whole.average) == train.weights_digest(resumed.average)


def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path, drawn_from: pools.Pools) -> None:
    trained(PLAN, tmp_path, drawn_from, 1)
    with pytest.raises(ValueError, match="another plan"):
        train.Trainer(replace(PLAN, seed=3), tmp_path).restore()


def test_rate_rises_then_falls_to_nothing() -> None:
    plan = train.Plan(epochs=10, steps=10)
    rates = [plan.rate_at(step) for step in range(100)]
    top = int(np.argmax(rates))
    assert top == 8 and rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True) and rates[-1] < 1e-5


def test_batches_hold_all_kinds(drawn_from: pools.Pools) -> None:
    batch = pools.draw(drawn_from, 64, np.random.default_rng(0))
    assert set(batch.labels) == {0, 1, 2, 3}
    assert np.isnan(batch.boxes[batch.labels == 2]).all() and not np.isnan(batch.boxes[batch.labels != 2]).any()


def test_network_is_mobilenet_v3_large() -> None:
    """The reference network has 4,207,156 parameters with four classes and three channels."""
    count = sum(p.numel() for p in SliceClassifier().parameters())
    assert count == 4_207_156 - 2 * 144


def test_locator_gives_the_models_own_logits() -> None:
    torch.manual_seed(0)
    model, x = SliceClassifier(0.0).eval(), torch.rand(2, 1, 64, 64)
    logits, cells = Locator()(model, x)
    assert torch.allclose(logits, model(x)) and cells.shape == (2, 4, 4, 4)


def constants(model: SliceClassifier, x: torch.Tensor) -> dict[str, torch.Tensor]:
    return calibrate.fit_foreign(release.features_of(model, x.numpy()))


def test_forward_only_cams_equal_autograd() -> None:
    torch.manual_seed(0)
    model, x = SliceClassifier(0.0).eval(), torch.rand(12, 1, 64, 64)
    whole = ExportedClassifier(model, constants(model, x))
    with torch.no_grad():
        _, cams, _ = whole(x)
    maps = model.maps(x).detach().requires_grad_()
    logits = model.output(torch.nn.functional.hardswish(model.hidden(maps.mean((2, 3)))))
    for c in range(len(LABELS)):
        (slope,) = torch.autograd.grad(logits[:, c].sum(), maps, retain_graph=True)
        expected = torch.relu((slope.mean((2, 3), keepdim=True) * maps).sum(1))
        assert torch.allclose(cams[:, c], expected, atol=1e-6)


def test_asked_twice_a_slice_and_its_mirror_image_get_the_same_answer() -> None:
    torch.manual_seed(0)
    model, x = SliceClassifier(0.0).eval(), torch.rand(4, 1, 64, 64)
    whole = ExportedClassifier(model, constants(model, torch.rand(12, 1, 64, 64)), twice=True)
    with torch.no_grad():
        logits, cams, _ = whole(x)
        turned, turned_cams, _ = whole(x.flip(3))
        once, once_cams, _ = ExportedClassifier(model, {"centre": whole.centre, "basis": whole.basis})(x)
        assert torch.allclose(logits, asked(model, x, twice=True), atol=1e-6)
    assert torch.allclose(logits, turned, atol=1e-6) and torch.allclose(cams, turned_cams.flip(3), atol=1e-6)
    assert not torch.equal(logits, once) and not torch.equal(cams, once_cams)


def test_foreignness_is_the_exported_one() -> None:
    torch.manual_seed(0)
    model, x = SliceClassifier(0.0).eval(), torch.rand(24, 1, 64, 64)
    fitted = constants(model, x)
    with torch.no_grad():
        expected = foreignness(release.features_of(model, x.numpy()), fitted)
        assert torch.allclose(ExportedClassifier(model, fitted)(x)[2], expected, rtol=1e-3)


@pytest.fixture(scope="module")
def shipped(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole command line, tiny."""
    out = tmp_path_factory.mktemp("out")
    options = [
        "--run",
        out / "run",
        "--model",
        out / "model",
        "--results",
        out / "results",
        "--document",
        out / "CARD.md",
    ]
    assert __main__.main(["ship", "--tiny", "--data", str(small_data), *map(str, options)]) == 0
    return out


def test_shipped_file_is_whole_in_itself(shipped: Path) -> None:
    content = (shipped / "model" / "model.onnx").read_bytes()
    stored = export.metadata(content)
    model_card, golden = json.loads(stored["neurotriage.card"]), json.loads(stored["neurotriage.golden"])
    assert model_card == json.loads((shipped / "model" / "card.json").read_text())
    graph = onnx.load_from_string(content).graph.SerializeToString()
    assert stored["neurotriage.graph"] == f"sha256:{hashlib.sha256(graph).hexdigest()}"
    assert model_card["schema"] == "model.v1" and model_card["labels"] == list(LABELS)
    results = export.run(export.session(content), card.golden_inputs(model_card["input"]["size"]))
    assert np.allclose(results["logits"], golden["logits"], atol=1e-4)
    assert np.allclose(results["ood"], golden["ood"], rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shipped_file_takes_any_batch(shipped: Path, count: int) -> None:
    running = onnxruntime.InferenceSession(str(shipped / "model" / "model.onnx"), providers=["CPUExecutionProvider"])
    size = plans.tiny().last.size
    logits, cams, ood = running.run(list(export.OUTPUTS), {"input": card.golden_inputs(size, count)})
    assert logits.shape == (count, 4) and cams.shape[:2] == (count, 4) and ood.shape == (count,)
    assert (cams >= 0).all()


def test_results_are_complete(shipped: Path) -> None:
    summary = json.loads((shipped / "results" / "summary.json").read_text())
    rows = []
    for fold in range(1, 6):
        with (shipped / "results" / f"predictions-fold{fold}.csv").open(newline="") as handle:
            of_fold = list(csv.DictReader(handle))
        assert len(of_fold) == 12 and {row["fold"] for row in of_fold} == {str(fold)}
        rows += of_fold
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert summary["headline"]["accuracy"] == pytest.approx(right, abs=1e-6)
    assert {p.name for p in (shipped / "results").glob("*.png")} == {
        "confusion.png",
        "reliability.png",
        "roc.png",
        "threshold-sweep.png",
        "training-curves.png",
    }
    words = (shipped / "CARD.md").read_text()
    assert summary["headline"]["digest"] in words and "## Wanted and reached" in words
    assert len(summary["evaluation"]["original_protocol"]["macro_recall"]["seeds"]) == 3
    tried = [(row["size"], row["twice"]) for row in summary["evaluation"]["input_size"]]
    assert tried == [(32, False), (32, True), (64, False), (64, True)]
    assert summary["evaluation"]["leakage"]["patient"]["slices"] == 60


def test_export_again_gives_the_same_file(shipped: Path, small_data: Path, tmp_path: Path) -> None:
    before = (shipped / "model" / "model.onnx").read_bytes()
    places = ["--run", shipped / "run", "--model", tmp_path, "--results", tmp_path, "--document", tmp_path / "CARD.md"]
    assert __main__.main(["export", "--tiny", "--data", str(small_data), *map(str, places)]) == 0
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_one_slice_as_json(shipped: Path, small_data: Path) -> None:
    described = inspect_slice.describe(small_data / "images" / "000.png", shipped / "model" / "model.onnx", 1)
    assert len(described["tensor"]) == described["size"] ** 2
    assert sum(described["probabilities"].values()) == pytest.approx(1)


def test_report_has_scikit_learns_keys() -> None:
    p = np.eye(4)[[0, 1, 2, 3, 0]]
    report = metrics.report(p, np.asarray([0, 1, 2, 3, 1]))
    assert set(report) == {*LABELS, "macro avg", "weighted avg", "accuracy"}
    assert report["glioma"] == {"precision": 0.5, "recall": 1.0, "f1-score": pytest.approx(2 / 3), "support": 1}
    assert report["macro avg"]["recall"] == pytest.approx(0.875) and report["accuracy"] == 0.8


def test_image_folders_are_read(tmp_path: Path) -> None:
    from PIL import Image

    for name in LABELS:
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name / "a.png")
    assert [s.label for s in data.load(tmp_path)] == [0, 1, 2, 3]
    with pytest.raises(FileNotFoundError, match="manifest"):
        data.load(tmp_path / "glioma")


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_gradients_in_bf16_are_those_of_float32(stride: int) -> None:
    torch.manual_seed(0)
    layer = Depthwise(48, 48, 5, stride, 2, groups=48, bias=False)
    x = torch.randn(8, 48, 16, 16, requires_grad=True)
    found = []
    for bf16 in (False, True):
        layer.zero_grad()
        x.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = layer(x)
        (out.float() ** 2).sum().backward()
        found.append([layer.weight.grad.clone(), x.grad.clone()])
    for exact, fast in zip(*found):
        assert (exact - fast).norm() < 0.01 * exact.norm()
