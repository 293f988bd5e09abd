"""The peer: what a careful Python engineer would write with pydicom, numpy and onnxruntime.

Same files, same model, same recipe and the same canonical orientation as the daemon. It times itself from the first file
opened to the last score, without the interpreter's start, imports and the session's creation.

    python pipeline.py --model model.onnx --setting default|tuned FOLDER

prints one JSON object: slices, seconds, and the mean logits, by which the caller sees that the same work was done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
from neurotriage_training import recipe  # noqa: E402

BATCH = 4


def canonical(pixels: np.ndarray, spacing: tuple[float, float], orientation: list[float]) -> tuple[np.ndarray, tuple[float, float]]:
    """Radiological orientation: rows run to the patient's feet (axial: to the back), columns to the left (sagittal: to the back)."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = int(np.argmax(np.abs(np.cross(row, column))))
    across, down = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[normal]
    down_sign = -1 if down == 2 else 1
    if abs(row[across]) < abs(column[across]):
        pixels, spacing, row, column = pixels.T, spacing[::-1], column, row
    if row[across] < 0:
        pixels = pixels[:, ::-1]
    if column[down] * down_sign < 0:
        pixels = pixels[::-1]
    return pixels, spacing


def tensor(path: Path, constants: recipe.Recipe, size: int) -> np.ndarray:
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.astype(np.float32) * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    spacing = (float(data.PixelSpacing[0]), float(data.PixelSpacing[1]))
    pixels, spacing = canonical(pixels, spacing, [float(v) for v in data.ImageOrientationPatient])
    return recipe.apply(pixels, constants, size, spacing)[0]


def session(model: str, setting: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if setting == "tuned":
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(folder: Path, model: str, setting: str) -> dict[str, object]:
    network = session(model, setting)
    card = json.loads(network.get_modelmeta().custom_metadata_map["neurotriage.card"])
    constants, size = recipe.Recipe(**card["recipe"]), card["input"]["size"]
    name, logits = card["input"]["name"], card["outputs"]["logits"]
    paths = sorted(folder.rglob("*.dcm"))

    def score(part: list[Path]) -> np.ndarray:
        batch = np.stack([tensor(path, constants, size) for path in part])[:, None]
        return np.asarray(network.run([logits], {name: batch})[0])

    score(paths[:1])  # warm-up, as the daemon's runner has had
    start = time.perf_counter()
    parts = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    if setting == "tuned":
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            scores = list(pool.map(score, parts))
    else:
        scores = [score(part) for part in parts]
    seconds = time.perf_counter() - start
    return {"setting": setting, "slices": len(paths), "seconds": seconds, "mean_logits": np.concatenate(scores).mean(axis=0).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--setting", choices=["default", "tuned"], default="default")
    given = parser.parse_args()
    print(json.dumps(run(given.folder, given.model, given.setting)))


if __name__ == "__main__":
    main()
