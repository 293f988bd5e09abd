"""`neurotriage evaluate` and the Python side give the same figures for the same files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

from neurotriage_training import LABELS, data, inspect_slice


@pytest.fixture
def folder(real_data: Path, tmp_path: Path) -> Path:
    """Every fifteenth slice, in one folder per class."""
    for item in data.load(real_data)[::15]:
        to = tmp_path / LABELS[item.label]
        to.mkdir(exist_ok=True)
        shutil.copy(item.path, to / item.path.name)
    return tmp_path


def test_go_and_python_agree_to_three_decimals(folder: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    ran = subprocess.run(
        ["go", "run", "./cmd/neurotriage", "evaluate", str(folder), "--json"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=600,
    )
    there, here = json.loads(ran.stdout), inspect_slice.evaluate(folder, None)
    assert there["macro avg"]["support"] == here["macro avg"]["support"] > 200
    for name in (*LABELS, "macro avg", "weighted avg"):
        assert there[name] == pytest.approx(here[name], abs=5e-4), name
    assert there["accuracy"] == pytest.approx(here["accuracy"], abs=5e-4)
    # JPEG decoders differ by a grey level, so a slice may stand in the next of the 15 bins.
    assert there["ece"] == pytest.approx(here["ece"], abs=1 / here["macro avg"]["support"])
    assert there["confusion_matrix"] == here["confusion"]
