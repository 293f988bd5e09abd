"""Healthy volumes: the atlas that trains (NIfTI) and the probes (NIfTI, zipped DICOM)."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2"}


@dataclass(frozen=True)
class Volume:
    """Voxels by (x right to left, y back to front, z upwards), as in an atlas; spacing in mm along them."""

    voxels: npt.NDArray[np.float32]
    spacing: tuple[float, float, float]

    def plane(
        self, axis: int, low: float, high: float, step: int
    ) -> Iterator[tuple[npt.NDArray[np.float32], tuple[float, float]]]:
        """Slices across `axis` between the fractions `low` and `high`, with (row, column) spacing.

        The way radiologists see them: the front on top across z, the crown on top across x and y.
        """
        count = self.voxels.shape[axis]
        others = [a for a in range(3) if a != axis]
        for index in range(int(low * count), int(high * count), step):
            flat = np.take(self.voxels, index, axis=axis)
            yield np.ascontiguousarray(flat.T[::-1]), (self.spacing[others[1]], self.spacing[others[0]])


def read_nifti(path: Path) -> Volume:
    """A NIfTI-1 file, plain or gzipped, turned as its sform says where it has one; scaling is left out, the recipe
    windows each slice anyway."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    order = "<" if struct.unpack("<i", raw[:4])[0] == 348 else ">"
    dims = struct.unpack(order + "8h", raw[40:56])
    code = struct.unpack(order + "h", raw[70:72])[0]
    steps = struct.unpack(order + "8f", raw[76:108])
    offset = int(struct.unpack(order + "f", raw[108:112])[0])
    shape = tuple(dims[1:4])
    voxels = np.frombuffer(raw, dtype=order + _NIFTI_TYPES[code], count=int(np.prod(shape)), offset=offset)
    volume = Volume(voxels.reshape(shape, order="F").astype(np.float32), (steps[1], steps[2], steps[3]))
    known = struct.unpack(order + "h", raw[254:256])[0] > 0
    return turned(volume, np.frombuffer(raw, order + "f4", 12, 280).reshape(3, 4)[:, :3]) if known else volume


def turned(volume: Volume, directions: npt.NDArray[np.floating[Any]]) -> Volume:
    """Axes put into a Volume's order by what they are nearest to; column i of [3,3] is axis i, in x to the right, y to
    the front and z upwards, as NIfTI has them."""
    order = [int(np.abs(row).argmax()) for row in directions]
    if sorted(order) != [0, 1, 2]:
        raise ValueError(f"the sform's axes are too oblique to tell apart: {directions.tolist()}")
    signs = [directions[world, axis] * (-1 if world == 0 else 1) for world, axis in enumerate(order)]
    flips = tuple(slice(None, None, 1 if sign > 0 else -1) for sign in signs)
    x, y, z = (volume.spacing[axis] for axis in order)
    return Volume(np.ascontiguousarray(volume.voxels.transpose(order)[flips]), (x, y, z))


def read_dicom_zip(path: Path) -> Volume:
    """One axial series in a zip (columns to the left, rows to the back), stacked by position along the normal."""
    import pydicom

    slices = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/"):
                continue
            file = pydicom.dcmread(io.BytesIO(archive.read(name)), force=True)
            if "PixelData" not in file:
                continue
            along = np.cross(file.ImageOrientationPatient[:3], file.ImageOrientationPatient[3:])
            slices.append((float(np.dot(along, file.ImagePositionPatient)), file))
    slices.sort(key=lambda pair: pair[0])
    step = abs(slices[1][0] - slices[0][0])
    row, column = (float(v) for v in slices[0][1].PixelSpacing)
    stack = np.stack([file.pixel_array.astype(np.float32) for _, file in slices])
    return Volume(np.ascontiguousarray(stack.transpose(2, 1, 0)[:, ::-1]), (column, row, step))


def read_brainbrowser(header: Path) -> Volume:
    """A volume as BrainBrowser ships its examples: bytes in NAME.mnc.raw.gz, axes in NAME.mnc.header.gz (JSON)."""
    axes = json.loads(gzip.decompress(header.read_bytes()))
    raw = gzip.decompress(header.with_name(header.name.replace(".header.", ".raw.")).read_bytes())
    order = [str(name) for name in axes["order"]]
    voxels = np.frombuffer(raw, np.uint8).reshape([int(axes[name]["space_length"]) for name in order])
    # MINC counts x to the right, y to the front and z upwards, as NIfTI does.
    steps = {name: float(axes[name]["step"]) for name in order}
    directions = np.asarray([[steps[n] * (n == world) for n in order] for world in ("xspace", "yspace", "zspace")])
    first, second, third = (abs(steps[name]) for name in order)
    return turned(Volume(voxels.astype(np.float32), (first, second, third)), directions)


def read(path: Path) -> Volume:
    """NIfTI, zipped DICOM or one of BrainBrowser's examples, by the name's end."""
    if path.name.endswith((".nii", ".nii.gz")):
        return read_nifti(path)
    if path.suffix == ".zip":
        return read_dicom_zip(path)
    if path.name.endswith(".mnc.header.gz"):
        return read_brainbrowser(path)
    raise ValueError(f"{path} is no volume that can be read: .nii, .nii.gz, .zip of DICOM, or .mnc.header.gz")
