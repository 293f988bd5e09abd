"""The trained network as one ONNX file that is whole in itself: graph with its digest, card and golden tensors."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor

from . import card
from .model import ExportedClassifier, SliceClassifier, asked

OPSET = 17
OUTPUTS = ("logits", "cams", "ood")
AGREEMENT = 2e-3
"""Largest difference of logits between PyTorch and ONNX Runtime that passes; float32 sums in another order."""

Arrays = dict[str, npt.NDArray[np.float32]]


def graph(model: SliceClassifier, foreign: dict[str, Tensor], size: int, twice: bool = False) -> onnx.ModelProto:
    """The graph with a batch axis of any length."""
    whole = ExportedClassifier(model.cpu().to(memory_format=torch.contiguous_format), foreign, twice).eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        whole,
        (torch.rand(2, 1, size, size),),
        buffer,
        opset_version=OPSET,
        input_names=["input"],
        output_names=list(OUTPUTS),
        dynamic_axes={name: {0: "N"} for name in ("input", *OUTPUTS)},
    )
    made = onnx.load_from_string(buffer.getvalue())
    made.producer_name = "neurotriage"
    onnx.checker.check_model(made)
    return made


def session(content: bytes) -> onnxruntime.InferenceSession:
    """As serving runs it: one thread, highest optimisation, no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(opened: onnxruntime.InferenceSession, x: npt.NDArray[np.float32], batch: int = 4) -> Arrays:
    """All three outputs of [N,1,S,S], in batches as serving makes them."""
    parts = [opened.run(list(OUTPUTS), {"input": x[i : i + batch]}) for i in range(0, len(x), batch)]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(OUTPUTS)}


def finish(made: onnx.ModelProto, model_card: dict[str, Any]) -> bytes:
    """Put card, golden tensors and the graph's digest into the metadata; the golden ones are ONNX Runtime's results."""
    size = int(model_card["input"]["size"])
    results = run(session(made.SerializeToString()), card.golden_inputs(size))
    for key, value in (
        ("neurotriage.card", card.compact(model_card)),
        ("neurotriage.golden", json.dumps(card.golden(results["logits"], results["ood"]), separators=(",", ":"))),
        ("neurotriage.graph", digest(made.graph.SerializeToString())),
    ):
        while any(entry.key == key for entry in made.metadata_props):
            made.metadata_props.remove(next(entry for entry in made.metadata_props if entry.key == key))
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    return made.SerializeToString()


def agree(model: SliceClassifier, content: bytes, x: npt.NDArray[np.float32], twice: bool = False) -> float:
    """Largest difference of logits between PyTorch and ONNX Runtime; above AGREEMENT the export is refused."""
    with torch.no_grad():
        expected = asked(model.eval(), torch.from_numpy(x), twice).numpy()
    difference = float(np.abs(expected - run(session(content), x)["logits"]).max())
    if not difference <= AGREEMENT:
        raise ValueError(f"exported logits differ from PyTorch's by {difference:.2e}, allowed {AGREEMENT:.0e}")
    return difference


def write(folder: Path, content: bytes, model_card: dict[str, Any]) -> None:
    """model.onnx, and card.json and golden.json beside it for people to read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "card.json").write_text(json.dumps(card.rounded(model_card), indent=2, ensure_ascii=False) + "\n")
    stored = metadata(content)["neurotriage.golden"]
    (folder / "golden.json").write_text(json.dumps(json.loads(stored), indent=2) + "\n")


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def metadata(content: bytes) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
