"""Slices with their labels: from a manifest like brainmri/manifest.csv, or from one folder per class."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import LABELS, recipe

ByteArray = npt.NDArray[np.uint8]
CACHE_SIZE = 256
CACHE_MARGIN = 0.14
"""Training crops reach further than the recipe's, so that shifts and rotations find real pixels there; 256 samples
over 1.28 head sides carry what 216 over 1.08 can show."""


@dataclass(frozen=True)
class Slice:
    """One labelled slice on disk."""

    path: Path
    name: str
    label: int
    source: str
    fold: int
    order: int = 0
    """The source's own number; neighbours are often one patient."""
    box: tuple[float, float, float, float] | None = None
    """The tumour: x centre, y centre, width, height as fractions."""
    seed_label: int | None = None
    """What the original study called the slice, where it was part of it."""


@dataclass
class Crops:
    """Windowed head crops in memory, uint8, CACHE_SIZE square."""

    pixels: ByteArray
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    """Tumour box in crop pixels, x0 y0 x1 y1; NaN where there is none."""
    names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)


def load(root: Path) -> list[Slice]:
    """All slices below `root`: a manifest.csv wins over class folders."""
    manifest = find_manifest(root)
    if manifest is not None:
        return _from_manifest(manifest)
    slices = [
        Slice(path, str(path.relative_to(root)), label, "folder", _fold_of(path.name))
        for label, name in enumerate(LABELS)
        for path in sorted((root / name).glob("*"))
        if path.suffix.lower() in {".png", ".jpg", ".jpeg"}
    ]
    if not slices:
        raise FileNotFoundError(
            f"no slices under {root}: expected manifest.csv (or brainmri/manifest.csv), "
            f"or the folders {', '.join(LABELS)} with PNG or JPEG files"
        )
    return slices


def _fold_of(name: str) -> int:
    """Folds 1 to 5 by name, where no patient is known: such a split leaks patients, and its figures flatter."""
    return 1 + hashlib.sha256(name.encode()).digest()[0] % 5


def find_manifest(root: Path) -> Path | None:
    """`root` may be the manifest's own folder or the data folder above it."""
    for candidate in (root / "manifest.csv", root / "brainmri" / "manifest.csv"):
        if candidate.is_file():
            return candidate
    return None


def _from_manifest(manifest: Path) -> list[Slice]:
    slices = []
    with manifest.open(newline="") as handle:
        for row in csv.DictReader(handle):
            numbers = [float(value) for value in row["box"].split()]
            box = (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None
            slices.append(
                Slice(
                    manifest.parent / row["file"],
                    row["file"],
                    LABELS.index(row["label"]),
                    row["source"],
                    int(row["fold"]),
                    int(row["cheng_index"] or 0),
                    box,
                    LABELS.index(row["seed_label"]) if row.get("seed_label") else None,
                )
            )
    return slices


def digest(slices: Iterable[Slice]) -> str:
    """SHA-256 over names, labels, folds and file bytes, in name order."""
    total = hashlib.sha256()
    for item in sorted(slices, key=lambda s: s.name):
        inner = hashlib.sha256(item.path.read_bytes()).hexdigest()
        total.update(f"{item.name}\0{item.label}\0{item.fold}\0{inner}\n".encode())
    return "sha256:" + total.hexdigest()


def read_image(path: Path) -> recipe.FloatArray:
    """A picture's grey values; colour goes through luma, 16-bit stays as it is."""
    with Image.open(path) as image:
        if image.mode in {"L", "I", "I;16", "I;16B", "F"}:
            return np.asarray(image).astype(np.float32)
        return recipe.luma(np.asarray(image.convert("RGB")))


def box_pixels(item: Slice, shape: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """The tumour box in source pixels: x0, y0, x1, y1."""
    if item.box is None:
        return None
    x, y, width, height = item.box
    rows, columns = shape
    return (
        (x - width / 2) * columns,
        (y - height / 2) * rows,
        (x + width / 2) * columns,
        (y + height / 2) * rows,
    )


def training_crop(
    pixels: npt.NDArray[np.generic],
    constants: recipe.Recipe,
    box: tuple[float, float, float, float] | None = None,
) -> tuple[ByteArray, npt.NDArray[np.float32]]:
    """The wide head crop as bytes, and the tumour box in its pixels."""
    wide = recipe.Recipe(**{**constants.__dict__, "margin": CACHE_MARGIN})
    tensor, head = recipe.apply(pixels, wide, CACHE_SIZE)
    placed = np.full(4, np.nan, dtype=np.float32)
    if box is not None and not head.flat:
        scale_x, scale_y = CACHE_SIZE / head.crop_width, CACHE_SIZE / head.crop_height
        placed[:] = (
            (box[0] - head.crop_x0) * scale_x,
            (box[1] - head.crop_y0) * scale_y,
            (box[2] - head.crop_x0) * scale_x,
            (box[3] - head.crop_y0) * scale_y,
        )
    return np.rint(tensor * 255).astype(np.uint8), placed


def crops_of(
    images: Iterable[tuple[npt.NDArray[np.generic], int, tuple[float, float, float, float] | None, str]],
    constants: recipe.Recipe,
) -> Crops:
    """Training crops of (pixels, label, box, name)."""
    pixels, labels, boxes, names = [], [], [], []
    for image, label, box, name in images:
        crop, placed = training_crop(image, constants, box)
        pixels.append(crop)
        labels.append(label)
        boxes.append(placed)
        names.append(name)
    if not labels:
        empty = np.zeros((0, CACHE_SIZE, CACHE_SIZE), np.uint8)
        return Crops(empty, np.zeros(0, np.int64), np.zeros((0, 4), np.float32), [])
    return Crops(np.stack(pixels), np.asarray(labels, np.int64), np.stack(boxes), names)


def crops_of_slices(slices: list[Slice], constants: recipe.Recipe) -> Crops:
    def images() -> Iterable[tuple[npt.NDArray[np.generic], int, tuple[float, float, float, float] | None, str]]:
        for item in slices:
            image = read_image(item.path)
            yield image, item.label, box_pixels(item, (image.shape[0], image.shape[1])), item.name

    return crops_of(images(), constants)


def tensors(
    images: Iterable[npt.NDArray[np.generic]],
    constants: recipe.Recipe,
    size: int,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> recipe.FloatArray:
    """Exact recipe tensors [N,1,size,size], as serving computes them."""
    made = [recipe.apply(image, constants, size, spacing)[0] for image in images]
    return np.stack(made)[:, None] if made else np.zeros((0, 1, size, size), np.float32)


def cached(path: Path, make: Callable[[], Crops]) -> Crops:
    """`make()`, kept beside the run so that a restart does not decode again. The caller's file name carries the key."""
    if path.is_file():
        with np.load(path) as stored:
            return Crops(stored["pixels"], stored["labels"], stored["boxes"], [str(name) for name in stored["names"]])
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, pixels=made.pixels, labels=made.labels, boxes=made.boxes, names=np.asarray(made.names, dtype=str))
    return made


def joined(parts: Sequence[Crops]) -> Crops:
    """All crops in one."""
    return Crops(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        [name for part in parts for name in part.names],
    )
