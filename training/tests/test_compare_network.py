"""The nine backbones, their heads, and what becomes of them in ONNX and in the daemon."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from neurotriage_training import LABELS, export
from neurotriage_training.compare import backbones, heads, measure, network, rows
from neurotriage_training.compare import export as exporting
from neurotriage_training.compare.backbones import BACKBONES, Backbone, Source
from neurotriage_training.compare.rows import ROWS, Row, named

SIZE = 64
# One small member of each family: the same code of the library, a fraction of the weights.
SMALL = {
    "resnet50": Backbone("small ResNet with bottlenecks", "resnet14t"),
    "vgg16": Backbone("small VGG", "vgg11"),
    "mobilenetv3small": Backbone("small MobileNetV3", "mobilenetv3_small_050", hidden=1024),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, one in SMALL.items():
        monkeypatch.setitem(BACKBONES, name, one)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The daemon's program, built if it is not there."""
    built = REPOSITORY / "bin" / "neurotriage"
    if built.is_file():
        return built
    if shutil.which("go") is None:
        pytest.skip("no bin/neurotriage and no go to build it with")
    made = tmp_path_factory.mktemp("bin") / "neurotriage"
    subprocess.run(["go", "build", "-o", made, "./cmd/neurotriage"], cwd=REPOSITORY, check=True)
    return made


def test_the_nine_are_the_published_networks() -> None:
    """Million parameters up to the last maps, with one grey channel, as the papers' networks without their heads."""
    expected = {"mobilenet": 3.21, "mobilenetv2": 2.22, "mobilenetv3small": 0.93, "mobilenetv3large": 2.97}
    for name, millions in expected.items():
        body, said = backbones.body(name, Source())
        assert measure.parameters(body) / 1e6 == pytest.approx(millions, abs=0.01) and said == "from scratch"
    body, _ = backbones.body("resnet50", Source())
    assert measure.parameters(body) / 1e6 == pytest.approx(23.50, abs=0.01)
    assert set(BACKBONES) == {
        *("resnet50", "resnet101", "resnet152", "vgg16", "vgg19"),
        *("mobilenet", "mobilenetv2", "mobilenetv3small", "mobilenetv3large"),
    }


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", [*SMALL, "mobilenet", "mobilenetv2", "mobilenetv3large"])
def test_every_family_trains_in_bf16(name: str) -> None:
    torch.manual_seed(0)
    net, _ = network.build(name, "usual", "centred", 0, 0.0, 32, Source())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(torch.rand(4, 1, 32, 32).to(memory_format=torch.channels_last))
    logits.float().square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_gflop_of_mobilenetv3large_is_the_published_one() -> None:
    """219 million multiplications and additions at 224 (Howard et al. 2019), with three channels and 1000 classes."""
    (row,) = named(["mobilenetv3large"])
    net, _ = network.build("mobilenetv3large", "usual", "centred", 0, 0.2, 224, Source())
    missing = 2 * 2 * 112 * 112 * 9 * 16 + 2 * 1280 * 996
    assert measure.gflop(net, 224) + missing / 1e9 == pytest.approx(2 * 0.219, abs=0.015)
    assert measure.architecture(row, 224) == "mobilenetv3large-usual-224"


@pytest.mark.parametrize("kind", heads.KINDS)
def test_forward_only_cams_equal_autograd(kind: str) -> None:
    torch.manual_seed(0)
    head = heads.head(kind, 12, 3, 20, 16, 0.3)
    for value in head.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) - (0.0 if (value >= 0).all() and value.ndim == 1 else 0.4))
    head.eval()
    maps = torch.rand(5, 12, 3, 3).requires_grad_()
    logits, cams = head.explained(maps)
    assert torch.allclose(logits, head(maps), atol=1e-5)
    for c in range(len(LABELS)):
        (slope,) = torch.autograd.grad(head(maps)[:, c].sum(), maps)
        expected = torch.relu((slope.mean((2, 3), keepdim=True) * maps).sum(1))
        assert torch.allclose(cams[:, c], expected, atol=1e-5)
    assert (cams > 0).any()


def test_weights_from_a_file(tmp_path: Path) -> None:
    """Three-channel weights under timm's names; a file of another network is refused."""
    import timm

    other = timm.create_model("mobilenetv3_small_100", pretrained=False)
    torch.save(other.state_dict(), tmp_path / "mobilenetv3small.pth")
    body, said = backbones.body("mobilenetv3small", Source(folder=tmp_path))
    assert said == "file mobilenetv3small.pth"
    given, taken = other.state_dict(), body.net.state_dict()
    assert torch.equal(taken["blocks.3.0.conv_pw.weight"], given["blocks.3.0.conv_pw.weight"])
    assert torch.allclose(taken["conv_stem.weight"], given["conv_stem.weight"].sum(1, keepdim=True))
    shutil.copy(tmp_path / "mobilenetv3small.pth", tmp_path / "mobilenetv2.pth")
    with pytest.raises(ValueError, match="no MobileNetV2"):
        backbones.body("mobilenetv2", Source(folder=tmp_path))


def test_without_a_network_the_row_says_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    made = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        if pretrained:
            raise OSError("no network")
        return made(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    _, said = backbones.body("mobilenetv3small", Source(library=True))
    assert said.startswith("from scratch") and "OSError" in said


def exported_network(row: Row) -> network.Network:
    torch.manual_seed(0)
    technique = row.technique
    return network.build(row.backbone, technique.head, technique.scale, 512, technique.dropout, SIZE, Source())[0]


def exported(row: Row) -> bytes:
    return exporting.untrained(row, exported_network(row), SIZE)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "mobilenetv3small", "flatten", "ours"])
def test_exported_rows_run_in_the_daemon(name: str, program: Path, tmp_path: Path) -> None:
    flat = Row("flatten", "technique", "", "mobilenetv3small", replace(rows.Technique(), head="flatten"))
    row = flat if name == "flatten" else named([name])[0]
    path = tmp_path / "model.onnx"
    path.write_bytes(exported(row))
    if name == "flatten":  # its dense weights are not stored a second time for the maps
        assert path.stat().st_size < 4 * measure.parameters(exported_network(row)) + 1_300_000
    results = export.run(export.session(path.read_bytes()), np.random.rand(3, 1, SIZE, SIZE).astype(np.float32))
    assert results["logits"].shape == (3, 4) and results["cams"].shape == (3, 4, 2, 2) and (results["ood"] > 0).all()
    verified = subprocess.run([program, "model", "verify", path], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert "golden scores: 4 inputs" in verified.stdout and f"compare-{row.name}" in verified.stdout


def test_the_daemons_runner_is_timed(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(exported(named(["ours"])[0]))
    assert measure.doctor(program, path)["cpu"] > 0
    path.write_bytes(b"no model")
    with pytest.raises(RuntimeError, match="did not run"):
        measure.doctor(program, path)


def test_rows_of_whole_pictures_are_not_exported() -> None:
    for row in ROWS:
        if row.technique.frame == "whole":
            with pytest.raises(ValueError, match="whole pictures"):
                exporting.exportable(row)
    exporting.exportable(named(["head-flatten"])[0])
