"""What a row's network costs: parameters, GFLOP, file size, ms a slice in the daemon's own runner.

None of it depends on the weights, so that rows which were not run can be measured too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import export, runner, store
from .backbones import Source
from .network import Network
from .rows import Row

MILLIS = re.compile(r"^([0-9.]+) ms a slice")
ROUNDS = 3
"""Openings of the runner; the fastest counts, as others may be at work on the machine."""


def architecture(row: Row, size: int) -> str:
    """Rows of one architecture cost the same."""
    technique = row.technique
    head = f"flatten{technique.units}" if technique.head == "flatten" else technique.head
    return f"{row.backbone}-{head}-{size}"


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@torch.no_grad()
def gflop(network: Network, size: int) -> float:
    """Of one slice: convolutions and dense layers, a multiplication and its addition counted as two."""
    total = 0

    def count(layer: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        each = layer.in_features if isinstance(layer, nn.Linear) else layer.weight[0].numel()
        total += 2 * each * out.numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    network.eval()(torch.zeros(1, 1, size, size))
    for hook in hooks:
        hook.remove()
    return total / 1e9


def doctor(binary: Path, model: Path) -> dict[str, float]:
    """ms a slice by runtime (cpu, cuda, webgpu) as `neurotriage doctor` finds them for a model file."""
    with tempfile.TemporaryDirectory() as state:  # the state of a daemon on this machine stays out of it
        command = [str(binary), "doctor", "--json", "--set", f"model.file={model}"]
        environment = os.environ | {"XDG_STATE_HOME": state}
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    try:
        checks = json.loads(done.stdout)["checks"]
    except (json.JSONDecodeError, KeyError) as error:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or 'no answer'}") from error
    found = {c["name"]: float(m[1]) for c in checks if (m := MILLIS.match(c["detail"]))}
    if not found:
        wrong = [c["detail"] for c in checks if c["name"] in {"model", "runtime", "library"} and c["level"] != "OK"]
        raise RuntimeError(f"{binary} did not run {model}: {'; '.join(wrong) or 'no speed was told'}")
    return found


def measure(row: Row, size: int, binary: Path | None) -> dict[str, Any]:
    """All costs of a row's architecture; ms only with the program."""
    torch.manual_seed(1)
    network, _ = runner.build(row.backbone, row.technique, size, Source())
    figures: dict[str, Any] = {"size": size, "parameters": parameters(network), "gflop": gflop(network, size)}
    content = export.untrained(row, network, size)
    figures["bytes"] = len(content)
    if binary is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(content)
            rounds = [doctor(binary, path) for _ in range(ROUNDS)]
        figures["ms"] = {name: min(r[name] for r in rounds if name in r) for name in rounds[0]}
    return figures


def measure_all(rows: tuple[Row, ...], size: int, binary: Path | None, places: store.Places) -> dict[str, Any]:
    """Measures what is not measured yet, and what was measured without the program when it is there now."""
    kept: dict[str, Any] = store.read(places.measures) or {}
    for row in rows:
        name = architecture(row, size)
        if name in kept and (binary is None or "ms" in kept[name]):
            continue
        runner.say(f"measuring {name}")
        kept[name] = measure(row, size, binary)
        store.write(places.measures, kept)
    return kept
