"""Volumes come out upright, whichever file they are in."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neurotriage_training import volumes

SHAPE = (10, 12, 14)
"""x right to left, y back to front, z upwards."""


def marked() -> np.ndarray:
    """A head whose front is 50, whose crown is 100 and whose left is 20."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:, -1, :], voxels[:, :, -1], voxels[-1, 1:-1, 1:-1] = 50, 100, 20
    return voxels


def as_nifti(path: Path) -> volumes.Volume:
    header = bytearray(352)
    header[0:4] = struct.pack("<i", 348)
    header[40:56] = struct.pack("<8h", 3, *SHAPE, 1, 1, 1, 1)
    header[70:72] = struct.pack("<h", 4)
    header[76:108] = struct.pack("<8f", 1, 0.5, 0.75, 2, 0, 0, 0, 0)
    header[108:112] = struct.pack("<f", 352)
    path.write_bytes(bytes(header) + marked().tobytes(order="F"))
    return volumes.read_nifti(path)


def as_turned_nifti(path: Path) -> volumes.Volume:
    """As FreeSurfer keeps heads: axes to the left, downwards and to the front, and an sform that says so."""
    header = bytearray(352)
    header[0:4] = struct.pack("<i", 348)
    header[40:56] = struct.pack("<8h", 3, SHAPE[0], SHAPE[2], SHAPE[1], 1, 1, 1, 1)
    header[70:72] = struct.pack("<h", 4)
    header[76:108] = struct.pack("<8f", 1, 0.5, 2, 0.75, 0, 0, 0, 0)
    header[108:112] = struct.pack("<f", 352)
    header[254:256] = struct.pack("<h", 1)
    header[280:328] = struct.pack("<12f", -0.5, 0, 0.1, 0, 0.1, 0, 0.75, 0, 0, -2, 0, 0)
    path.write_bytes(bytes(header) + marked().transpose(0, 2, 1)[:, ::-1].tobytes(order="F"))
    return volumes.read_nifti(path)


def as_dicom(path: Path) -> volumes.Volume:
    """Axial slices, stored from the crown downwards: rows go to the back, columns to the left."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    with zipfile.ZipFile(path, "w") as archive:
        for z in reversed(range(SHAPE[2])):
            file = Dataset()
            file.file_meta = FileMetaDataset()
            file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            file.Rows, file.Columns = SHAPE[1], SHAPE[0]
            file.BitsAllocated = file.BitsStored = 16
            file.HighBit, file.PixelRepresentation, file.SamplesPerPixel = 15, 1, 1
            file.PhotometricInterpretation = "MONOCHROME2"
            file.ImageOrientationPatient, file.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.0 * z]
            file.PixelSpacing = [0.75, 0.5]
            file.PixelData = np.ascontiguousarray(marked()[:, ::-1, z].T).tobytes()
            buffer = io.BytesIO()
            file.save_as(buffer, enforce_file_format=False, little_endian=True, implicit_vr=False)
            archive.writestr(f"{z}.dcm", buffer.getvalue())
    return volumes.read_dicom_zip(path)


def as_brainbrowser(folder: Path) -> volumes.Volume:
    folder.mkdir()
    stored = marked()[:, ::-1, ::-1].transpose(0, 2, 1).astype(np.uint8)
    steps = dict(zip(("xspace", "zspace", "yspace"), (-0.5, -2.0, -0.75)))
    lengths = dict(zip(steps, stored.shape))
    header = {"order": list(steps)} | {n: {"space_length": lengths[n], "step": s} for n, s in steps.items()}
    (folder / "a.mnc.header.gz").write_bytes(gzip.compress(json.dumps(header).encode()))
    (folder / "a.mnc.raw.gz").write_bytes(gzip.compress(stored.tobytes()))
    return volumes.read(folder / "a.mnc.header.gz")


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no volume"):
        volumes.read(tmp_path / "a.txt")


def test_axes_between_two_directions_are_refused() -> None:
    with pytest.raises(ValueError, match="too oblique"):
        volumes.turned(volumes.Volume(np.zeros(SHAPE, np.float32), (1, 1, 1)), np.ones((3, 3), np.float32))


@pytest.mark.parametrize("make", [as_nifti, as_turned_nifti, as_dicom, as_brainbrowser])
def test_slices_are_upright(tmp_path: Path, make) -> None:
    volume = make(tmp_path / "volume")
    assert volume.voxels.shape == SHAPE and volume.spacing == (0.5, 0.75, 2.0)
    axial, spacing = next(iter(volume.plane(2, 0.5, 1, 1)))
    assert spacing == (0.75, 0.5) and (axial[0] == 50).all() and (axial[1:-1, -1] == 20).all()
    coronal, spacing = next(iter(volume.plane(1, 0.5, 1, 1)))
    assert spacing == (2.0, 0.5) and (coronal[0] == 100).all()
    sagittal, spacing = next(iter(volume.plane(0, 0.5, 1, 1)))
    assert spacing == (2.0, 0.75) and (sagittal[0] == 100).all() and (sagittal[1:, -1] == 50).all()
