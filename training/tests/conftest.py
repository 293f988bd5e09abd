"""Shared pieces of the tests: where real data is, and small synthetic data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neurotriage_training import LABELS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("NEUROTRIAGE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "brainmri" / "manifest.csv").is_file():
        pytest.skip(f"no data at {folder}: set NEUROTRIAGE_DATA")
    return folder


def head_picture(random: np.random.Generator, label: int, side: int = 64) -> np.ndarray:
    """A grey ellipse with a spot whose brightness and place depend on the label."""
    y, x = np.mgrid[0:side, 0:side]
    cx, cy = side / 2 + random.uniform(-3, 3, 2)
    inside = ((x - cx) / (0.36 * side)) ** 2 + ((y - cy) / (0.42 * side)) ** 2 < 1
    picture = np.where(inside, 110, 3) + random.integers(0, 12, (side, side))
    if label != 2:
        sx, sy = cx + (-10, 10, 0, 0)[label], cy + (-6, -6, 0, 14)[label]
        picture = np.where((x - sx) ** 2 + (y - sy) ** 2 < 36, 230, picture)
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 synthetic slices with a manifest like brainmri's, 12 a fold."""
    root = tmp_path_factory.mktemp("small")
    random = np.random.default_rng(0)
    lines = ["file,label,source,cheng_index,fold,box,seed_label"]
    for i in range(60):
        label, fold = i % 4, 1 + i // 12
        name = f"images/{i:03d}.png"
        (root / "images").mkdir(exist_ok=True)
        Image.fromarray(head_picture(random, label)).save(root / name)
        tumour = label != 2
        order, box = (str(100 * label + i // 4), "0.34 0.40 0.20 0.20") if tumour else ("", "")
        seed_label = LABELS[label] if i % 3 else ""
        lines.append(f"{name},{LABELS[label]},{'cheng2017' if tumour else 'br35h'},{order},{fold},{box},{seed_label}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root
