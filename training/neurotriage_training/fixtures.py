"""Golden fixtures of the recipe for the Go side: synthetic slices, the tensors they become, and their logits."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import export, inspect_slice, recipe

STEP = 4096
"""Stored tensors are rounded to 1/4096, a sixteenth of the tolerance, which makes them compress."""

README = """# Recipe fixtures

`cases.json` lists synthetic slices and what the recipe head-crop.v1 makes of them; `*.gz` hold their pixels and tensors
(gzip of little-endian float32, row by row). Written by `python -m neurotriage_training golden --out testdata/recipe`.
The Go and Python sides must both reproduce each tensor within 1/255 and the crop within 1e-6 relative; the logits, to
a thousandth, are those of the model whose digest stands in the file. Own work, under the project's licence; no patient
data.
"""


def slice_of(case: dict[str, Any]) -> npt.NDArray[np.int64]:
    """An ellipse with plates, bands and a bright core on a nearly black ground, or a constant; all in integers."""
    y, x = np.mgrid[0 : case["rows"], 0 : case["columns"]].astype(np.int64)
    if "centre" not in case:
        return np.full_like(x, case["offset"])
    (cx, cy), (rx, ry) = case["centre"], case["half"]
    ex, ey = (2 * x + 1 - 2 * cx) * ry, (2 * y + 1 - 2 * cy) * rx
    limit = (2 * rx * ry) ** 2
    d = ex * ex + ey * ey
    plates = 90 * ((x // 12 + y // 9) % 3) + 40 * ((y // 5) % 2)
    core = np.where(9 * d < limit, 300, 0)
    value = np.where(d > limit, 4 * ((x // 16) % 2), 200 + plates + core)
    return np.asarray(case["offset"] + case["scale"] * value, dtype=np.int64)


def cases() -> list[dict[str, Any]]:
    """What can go wrong, one case each. Spacing is (row, column) in mm, centre and half axes are (x, y) in pixels."""

    def head(
        name: str, shape: tuple[int, int], centre: tuple[int, int], half: tuple[int, int], **more: Any
    ) -> dict[str, Any]:
        made = {"name": name, "rows": shape[0], "columns": shape[1], "spacing": [1.0, 1.0], "offset": 0, "scale": 1}
        return made | {"centre": centre, "half": half} | more

    return [
        head("not-square", (225, 150), (70, 120), (55, 80)),
        head("twelve-bit", (128, 128), (64, 60), (40, 50), offset=100, scale=5),
        head("negative-offset", (128, 128), (64, 64), (40, 50), offset=-1024, scale=3),
        head("anisotropic", (60, 160), (80, 30), (50, 26), spacing=[2.5, 0.9]),
        head("small-head", (100, 100), (40, 55), (9, 11)),
        head("cut-by-edge", (120, 120), (10, 60), (40, 45)),
        head("crop-leaves-image", (110, 140), (128, 100), (60, 44)),
        head("large", (400, 384), (190, 210), (130, 160), spacing=[0.6, 0.6]),
        {"name": "flat", "rows": 40, "columns": 50, "spacing": [1.0, 1.0], "offset": 300, "scale": 1},
    ]


def write(folder: Path, model: Path | None = None) -> None:
    """cases.json, the arrays and a README into `folder`, for the recipe, size and logits of this model file."""
    running, model_card = inspect_slice.opened(model)
    constants, size = inspect_slice.constants_of(model_card), int(model_card["input"]["size"])
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for case in cases():
        pixels, name = slice_of(case), case["name"]
        tensor, head = recipe.apply(pixels, constants, size, tuple(case["spacing"]))
        _store(folder / f"{name}.pixels.gz", pixels.astype(np.float32))
        _store(folder / f"{name}.tensor.gz", np.rint(tensor * STEP) / STEP)
        described = {key: case[key] for key in ("name", "rows", "columns", "spacing")}
        described |= {"pixels": f"{name}.pixels.gz", "tensor": f"{name}.tensor.gz", "crop": _crop(head)}
        described["logits"] = export.run(running, tensor[None, None])["logits"][0].tolist()
        made.append(described)
    digest = export.digest((model or inspect_slice.MODEL).read_bytes())
    content = {"size": size, "recipe": constants.card(), "model_digest": digest, "cases": made}
    (folder / "cases.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "README.md").write_text(README)


def _crop(head: recipe.Head) -> dict[str, float]:
    return {
        "low": head.low,
        "high": head.high,
        "row": head.crop_y0,
        "column": head.crop_x0,
        "height": head.crop_height,
        "width": head.crop_width,
        "head_area_mm2": head.area_mm2,
    }


def _store(path: Path, values: npt.NDArray[np.floating[Any]]) -> None:
    # No time in the header: the same values give the same file.
    path.write_bytes(gzip.compress(np.ascontiguousarray(values, dtype="<f4").tobytes(), 9, mtime=0))


def stored(folder: Path, name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """An array of the fixtures, read back."""
    flat = np.frombuffer(gzip.decompress((folder / name).read_bytes()), dtype="<f4")
    return flat.reshape(rows, columns).astype(np.float32)
