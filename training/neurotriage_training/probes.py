"""Probes beyond the data: healthy volumes, other bodies and modalities, photographs, noise and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, calibrate, data, export, pooling, recipe, tables, volumes
from .release import Calibration

Floats = npt.NDArray[np.float32]
PLANES = ("sagittal", "coronal", "axial")


def healthy(
    volume: volumes.Volume, content: bytes, chosen: Calibration, constants: recipe.Recipe, size: int
) -> dict[str, Any]:
    """Each plane of a healthy volume as its own series; `content` has the offsets in it."""
    opened = export.session(content)
    found: dict[str, Any] = {}
    for axis, plane in enumerate(PLANES):
        x, _ = tables.volume_tensors(volume, constants, size, axis)
        if len(x) == 0:
            continue
        results = export.run(opened, x)
        p = pooling.softmax(results["logits"], chosen.scaling.temperature)
        pooled = pooling.pool(p, chosen.rule)
        glioma = calibrate.GLIOMA
        found[plane] = {
            "slices": len(x),
            "study_probabilities": {name: float(v) for name, v in zip(LABELS, pooled)},
            "flagged": bool(pooled[glioma] >= chosen.thresholds.glioma_review),
            "called_normal": calibrate.normal_share(p),
            "above_slice_threshold": float((p[:, glioma] >= chosen.thresholds.glioma_review_slice).mean()),
            "mean_glioma": float(p[:, glioma].mean()),
            "median_ood": float(np.median(results["ood"])),
            "out_of_domain": bool(np.median(results["ood"]) > chosen.thresholds.out_of_domain),
        }
    return found


def healthy_volumes(data_root: Path, others: Sequence[Path]) -> dict[str, Path]:
    """Volumes by name: the data's own, where it is there, and those named by hand."""
    own = data_root / "dicom" / "t1-brain" / "t1-brain.zip"
    return ({"t1-brain": own} if own.is_file() else {}) | {path.name.split(".")[0]: path for path in others}


def synthetic(count: int = 60, side: int = 256, seed: int = 3) -> npt.NDArray[np.float32]:
    """Pictures that are no head: noise white and smooth, gradients, stripes, discs."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side].astype(np.float64) / side
    made = []
    for i in range(count):
        kind = i % 5
        if kind == 0:
            picture = random.normal(0.5, 0.2, (side, side))
        elif kind == 1:
            coarse = random.normal(0, 1, (side // 16, side // 16))
            picture = np.kron(coarse, np.ones((16, 16)))
        elif kind == 2:
            a, b = random.normal(0, 1, 2)
            picture = a * x + b * y
        elif kind == 3:
            a, b = random.uniform(3, 40, 2)
            picture = np.sin(a * x + b * y)
        else:
            cx, cy, r = random.uniform(0.3, 0.7), random.uniform(0.3, 0.7), random.uniform(0.1, 0.4)
            picture = ((x - cx) ** 2 + (y - cy) ** 2 < r * r) + random.normal(0, 0.03, (side, side))
        made.append(picture.astype(np.float32))
    return np.stack(made)


def photographs(count: int = 24, side: int = 256, seed: int = 3) -> list[npt.NDArray[np.float32]]:
    """Parts of the photograph that Matplotlib ships, each of another size."""
    import matplotlib
    from PIL import Image

    random = np.random.default_rng(seed)
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as whole:
        grey = whole.convert("L")
    made = []
    for _ in range(count):
        edge = int(random.integers(96, min(grey.size)))
        x, y = (int(random.integers(0, length - edge + 1)) for length in grey.size)
        made.append(np.asarray(grey.crop((x, y, x + edge, y + edge)).resize((side, side)), np.float32))
    return made


def foreign_dicoms(folder: Path, most: int = 12) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Up to `most` frames of each readable DICOM picture below `folder`, by modality and body part."""
    import pydicom

    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        try:
            file = pydicom.dcmread(path, force=True)
            frames = np.asarray(file.pixel_array)
        except Exception:  # whatever a test file is broken by: it is no picture for this probe
            continue
        if frames.ndim == 3 and frames.shape[-1] == 3:
            frames = recipe.luma(frames.astype(np.uint8))
        frames = frames[None] if frames.ndim == 2 else frames
        part = file.get("BodyPartExamined", "") or file.get("SeriesDescription", "")
        name = f"{file.get('Modality', '?')} {part}".strip()
        step = max(1, len(frames) // most)
        for frame in frames[::step][:most]:
            if min(frame.shape) >= 32:
                found.setdefault(name, []).append(frame.astype(np.float32))
    return found


def foreign(
    content: bytes, known: tables.Scores, constants: recipe.Recipe, size: int, bar: float, folders: list[Path]
) -> dict[str, Any]:
    """AUROC of both candidate scores against a part's slices, and the share beyond the bar, per group of pictures."""
    groups: dict[str, list[npt.NDArray[np.float32]]] = {"synthetic": list(synthetic()), "photographs": photographs()}
    for folder in folders:
        groups |= foreign_dicoms(folder)
    opened = export.session(content)
    figures: dict[str, Any] = {}
    distance, energies = [], []
    for name, pictures in groups.items():
        results = export.run(opened, data.tensors(pictures, constants, size))
        energy = calibrate.energy(results["logits"])
        distance.append(results["ood"])
        energies.append(energy)
        figures[name] = {
            "slices": len(pictures),
            "auroc_distance": calibrate.auroc(known.ood, results["ood"]),
            "auroc_energy": calibrate.auroc(calibrate.energy(known.logits), energy),
            "beyond_bar": float((results["ood"] > bar).mean()),
        }
    figures["all"] = {
        "slices": int(sum(len(d) for d in distance)),
        "auroc_distance": calibrate.auroc(known.ood, np.concatenate(distance)),
        "auroc_energy": calibrate.auroc(calibrate.energy(known.logits), np.concatenate(energies)),
        "beyond_bar": float((np.concatenate(distance) > bar).mean()),
    }
    return figures
