"""One slice, or one folder of them, through recipe and exported model; for comparing with the Go side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LABELS, calibrate, data, export, metrics, pooling, recipe

MODEL = Path(__file__).resolve().parents[2] / "classifier" / "model" / "model.onnx"


def read(path: Path, frame: int = 1) -> tuple[npt.NDArray[np.float32], tuple[float, float]]:
    """Pixels in modality units and (row, column) spacing; pictures have spacing 1, 1. Frames count from 1."""
    if path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
        return data.read_image(path), (1.0, 1.0)
    import pydicom

    file = pydicom.dcmread(path)
    pixels = np.asarray(file.pixel_array)
    if pixels.ndim == 3 and int(file.get("SamplesPerPixel", 1)) == 1:
        pixels = pixels[frame - 1]
    # Modality units: PS3.3 C.11.1, stored value × slope + intercept. No VOI window: the recipe makes its own.
    values = pixels.astype(np.float64) * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0))
    spacing = [float(v) for v in file.get("PixelSpacing", (1, 1))]
    return values.astype(np.float32), (spacing[0], spacing[1])


def opened(model: Path | None) -> tuple[Any, dict[str, Any]]:
    content = (model or MODEL).read_bytes()
    return export.session(content), json.loads(export.metadata(content)["neurotriage.card"])


def constants_of(model_card: dict[str, Any]) -> recipe.Recipe:
    return recipe.Recipe(**model_card["recipe"])


def describe(path: Path, model: Path | None, frame: int) -> dict[str, Any]:
    """Tensor, head and scores of one slice."""
    running, model_card = opened(model)
    pixels, spacing = read(path, frame)
    tensor, head = recipe.apply(pixels, constants_of(model_card), model_card["input"]["size"], spacing)
    results = export.run(running, tensor[None, None])
    p = pooling.softmax(results["logits"], model_card["temperature"])[0]
    return {
        "file": path.name,
        "frame": frame,
        "spacing": list(spacing),
        "box": list(head.box),
        "head_area_mm2": head.area_mm2,
        "crop": [head.crop_x0, head.crop_y0, head.crop_width, head.crop_height],
        "logits": results["logits"][0].tolist(),
        "probabilities": dict(zip(LABELS, p.tolist())),
        "ood": float(results["ood"][0]),
        "size": model_card["input"]["size"],
        "tensor": tensor.reshape(-1).tolist(),
    }


def evaluate(folder: Path, model: Path | None) -> dict[str, Any]:
    """Arg-max over a folder with one sub-folder per class, as `neurotriage evaluate` reports it."""
    running, model_card = opened(model)
    slices = data.load(folder)
    images = (data.read_image(s.path) for s in slices)
    x = data.tensors(images, constants_of(model_card), model_card["input"]["size"])
    p = pooling.softmax(export.run(running, x)["logits"], model_card["temperature"])
    labels = np.asarray([s.label for s in slices], np.int64)
    return metrics.report(p, labels) | {
        "confusion": metrics.confusion(labels, p.argmax(axis=1)),
        "ece": calibrate.expected_calibration_error(p, labels),
    }
