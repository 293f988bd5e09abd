"""Any row's network as a file that the daemon runs with --model: graph, card and golden tensors as in ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from .. import LABELS, calibrate, card, nested, pooling, recipe, release, tables
from .. import export as shipped
from . import network, runner, store
from .rows import TEST_FOLD, Row, Run
from .slices import Shelf

FEATURE_SLICES = 1000
"""Training slices that the out-of-domain constants are made from."""


def graph(net: network.Network, foreign: dict[str, Tensor], size: int) -> onnx.ModelProto:
    """The graph with a batch axis of any length."""
    whole = network.Exported(net.cpu().to(memory_format=torch.contiguous_format), foreign).eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        whole,
        (torch.rand(2, 1, size, size),),
        buffer,
        opset_version=shipped.OPSET,
        input_names=["input"],
        output_names=list(shipped.OUTPUTS),
        dynamic_axes={name: {0: "N"} for name in ("input", *shipped.OUTPUTS)},
    )
    made = onnx.load_from_string(buffer.getvalue())
    made.producer_name = "neurotriage"
    onnx.checker.check_model(made)
    return made


def checked(net: network.Network, made: onnx.ModelProto, x: npt.NDArray[np.float32]) -> bytes:
    """The file without metadata; refused when its logits are not PyTorch's."""
    content = made.SerializeToString()
    difference = np.abs(network.predict(net, x) - shipped.run(shipped.session(content), x)["logits"]).max()
    if not difference <= shipped.AGREEMENT:
        raise ValueError(f"exported logits differ from PyTorch's by {difference:.2e}, allowed {shipped.AGREEMENT:.0e}")
    return content


def exportable(row: Row) -> None:
    """Refuses a row whose pictures the daemon cannot make."""
    if row.technique.frame != "head":
        raise ValueError(f"{row.name} looks at whole pictures; the daemon's recipe is {recipe.Recipe().kind}")


def row_card(
    row: Row, size: int, chosen: release.Calibration, training: dict[str, Any], evaluation: dict[str, Any]
) -> dict[str, Any]:
    """The shipped card's keys, under the row's own name."""
    made = card.build(
        size,
        recipe.Recipe(),
        chosen.scaling.temperature,
        chosen.rule,
        chosen.thresholds,
        chosen.quantiles,
        training,
        evaluation,
    )
    limits = [
        "A network of the comparison, not the shipped model: its constants were chosen on the one fold that it was "
        "tested on, so no figure is known for slices that nothing was chosen on.",
        *made["limits"],
    ]
    return made | {"name": f"compare-{row.name}", "version": f"{card.VERSION}-{row.name}", "limits": limits}


def export(row: Row, shelf: Shelf, places: store.Places, folder: Path) -> Path:
    """model.onnx with card.json and golden.json, from the row's kept network."""
    exportable(row)
    run = Run(row, *runner.KEPT)
    net, size = runner.kept(run, places)
    figures = store.read(places.figures(run))
    if figures is None:
        raise FileNotFoundError(f"{row.name} has no figures: run the row first")
    tensors = shelf.tensors(row.technique.frame, size)
    trained = np.asarray([i for i, s in enumerate(shelf.slices) if s.fold != TEST_FOLD])
    some = np.sort(np.random.default_rng(1).permutation(trained)[:FEATURE_SLICES])
    foreign = calibrate.fit_foreign(network.early(net, tensors[some]))
    made = graph(net, foreign, size)
    test = [s for s in shelf.slices if s.fold == TEST_FOLD]
    part = tables.load_part(places.cache, test, recipe.Recipe(), size, f"fold{TEST_FOLD}-{size}-{shelf.key}")
    content = checked(net, made, part.x[:8])
    scored = nested.Fold(TEST_FOLD, part, tables.score(content, part), part.studies)
    training = {key: figures[key] for key in ("row", "weights", "seed", "epochs", "data_digest", "versions")}
    training |= {"sources": list(card.SOURCES[:3])}
    evaluation = {"fold": TEST_FOLD, "macro_recall": figures["macro_recall"], "recall": figures["recall"]}
    model_card = row_card(row, size, nested.calibrated([scored], with_offsets=False), training, evaluation)
    shipped.write(folder, shipped.finish(made, model_card), model_card)
    return folder / "model.onnx"


def untrained(row: Row, net: network.Network, size: int) -> bytes:
    """A file to time and weigh: the row's graph with weights as drawn, and a card that lets nothing pass."""
    random = np.random.default_rng(1)
    x = random.random((16, 1, size, size), np.float32)
    # Fresh normalisation has factors of 0 and 1 and has seen nothing: equal weights would be stored once only, and maps
    # grow without bounds.
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.0)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.from_numpy(x))
    net.eval()
    made = graph(net, calibrate.fit_foreign(network.early(net, x)), size)
    checked(net, made, x[:2])
    thresholds = calibrate.Thresholds(0.5, 0.5, 1.0, 1e6)
    nothing = release.Calibration(calibrate.Scaling(), thresholds, dict.fromkeys(LABELS, 1.0), pooling.Pooling())
    return shipped.finish(made, row_card(row, size, nothing, {"row": row.name, "weights": "untrained"}, {}))
