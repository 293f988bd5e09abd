"""Slices as the rows see them: cached pictures to train on, exact tensors to be asked about, splits, probes."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import NORMAL, data, original, pools, recipe, similar, tables
from .rows import TEST_FOLD

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
WIDE = replace(recipe.Recipe(), margin=data.CACHE_MARGIN)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds a lock file; gives False when another process has it and `wait` is off. It goes with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def whole(pixels: npt.NDArray[np.generic], size: int) -> Floats:
    """The picture as it is, squeezed into a square of 0..1: eight-bit values over 255, others over their largest."""
    values = pixels.astype(np.float32)
    top = float(values.max()) if values.size else 0.0
    values = np.clip(values / (255.0 if top <= 255 else top), 0, 1)
    rows, columns = values.shape
    down = recipe.triangle_weights(0.0, rows, size, rows)
    across = recipe.triangle_weights(0.0, columns, size, columns)
    return np.asarray(np.clip(down @ values @ across.T, 0, 1), np.float32)


@dataclass
class Split:
    """Rows of `Shelf.slices`, with the labels of the protocol."""

    train: list[int]
    validation: list[int]
    """Patients (or, under the original protocol, slices) of the training part that early stopping looks at; the
    rows of `train` without them."""
    test: list[int]
    labels: npt.NDArray[np.int64]

    def of(self, rows: Sequence[int]) -> npt.NDArray[np.int64]:
        return self.labels[list(rows)]


@dataclass
class Probes:
    """Tumours mirrored away, and tumours set into normals, of the test fold."""

    mirrored: Floats
    set_in: Floats


class Shelf:
    """All slices of the data, decoded once into `cache`."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.slices, self.cache = data.load(root), cache
        self.digest = data.digest(self.slices)
        self.key = self.digest[7:19]

    def _kept(self, name: str, make: Callable[[], npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        """An array on disk, made by one process however many ask, and shared in memory by all."""
        path = self.cache / f"{name}-{self.key}.npy"
        with locked(path.with_suffix(".lock")):
            if not path.is_file():
                temporary = path.with_suffix(".new")
                with temporary.open("wb") as handle:
                    np.save(handle, make())
                temporary.rename(path)
        return np.load(path, mmap_mode="r")

    def pictures(self, frame: str) -> Bytes:
        """uint8 [N,C,C] to train on: wide head crops, or whole pictures."""

        def make() -> npt.NDArray[np.generic]:
            if frame == "head":
                return data.crops_of_slices(self.slices, recipe.Recipe()).pixels
            images = (whole(data.read_image(s.path), data.CACHE_SIZE) for s in self.slices)
            return np.stack([np.rint(image * 255).astype(np.uint8) for image in images])

        return np.asarray(self._kept(f"pictures-{frame}", make), np.uint8)

    def tensors(self, frame: str, size: int) -> Floats:
        """float32 [N,1,size,size], as serving would compute them."""
        images = (data.read_image(s.path) for s in self.slices)
        return np.asarray(self._kept(f"tensors-{frame}-{size}", lambda: framed(images, frame, size)), np.float32)

    def probes(self, frame: str, size: int) -> Probes:
        fold = [s for s in self.slices if s.fold == TEST_FOLD]

        def away() -> npt.NDArray[np.generic]:
            return framed((image for _, image in pools.mirrored_images(fold, recipe.Recipe())), frame, size)

        def set_in() -> npt.NDArray[np.generic]:
            # Set in on wide head crops; those stand for the whole picture where that is the frame.
            constants, side = (recipe.Recipe(), size) if frame == "head" else (WIDE, data.CACHE_SIZE)
            made, _ = tables.set_in_slices(fold, constants, side)
            return made if frame == "head" else framed((image[0] * 255 for image in made), frame, size)

        return Probes(
            np.asarray(self._kept(f"mirrored-{frame}-{size}", away), np.float32),
            np.asarray(self._kept(f"set-in-{frame}-{size}", set_in), np.float32),
        )

    def pools(self) -> pools.Pools:
        with locked(self.cache / "pools.lock"):
            return pools.build(self.slices, recipe.Recipe(), self.cache, self.key, atlas=False)

    def split(self, protocol: str, seed: int) -> Split:
        """See rows.PROTOCOLS. Validation is a training fold that goes round with the seed, or a random fifth."""
        labels = np.asarray([s.label for s in self.slices], np.int64)
        if protocol == "patient":
            folds = {i: s.fold for i, s in enumerate(self.slices)}
            others = sorted({f for f in folds.values() if f != TEST_FOLD})
            held = others[(seed - 1) % len(others)]
        elif protocol == "original":
            at = {s.name: i for i, s in enumerate(self.slices)}
            drawn = original.of(self.slices, seed)
            if not drawn:  # data without the study's slices: the same split on all of them
                parts = similar.split("random", self.slices, None, seed=seed)
                drawn = [replace(s, fold=int(part)) for s, part in zip(self.slices, parts)]
            folds = {at[s.name]: s.fold for s in drawn}
            for s in drawn:
                labels[at[s.name]] = s.label
            held = original.TEST + 1
        else:
            raise ValueError(f"protocol {protocol!r} is not one of patient, original")
        test = [i for i, fold in folds.items() if fold == TEST_FOLD]
        validation = [i for i, fold in folds.items() if fold == held]
        return Split([i for i, fold in folds.items() if fold not in (TEST_FOLD, held)], validation, test, labels)


def framed(images: Iterator[npt.NDArray[np.generic]] | Sequence[Floats], frame: str, size: int) -> Floats:
    """Tensors [N,1,size,size] of pictures."""
    if frame == "head":
        return data.tensors(images, recipe.Recipe(), size)
    made = [whole(image, size) for image in images]
    return np.stack(made)[:, None] if made else np.zeros((0, 1, size, size), np.float32)


def pools_of(everything: pools.Pools, slices: Sequence[data.Slice], labels: npt.NDArray[np.int64]) -> pools.Pools:
    """The pools less what was not made from these slices; normal and tumour under the labels given for them."""
    known = {s.name: int(label) for s, label in zip(slices, labels)}
    kept = {}
    for name, pool in everything.items():
        rows = [i for i, n in enumerate(pool.names) if n in known]
        own = np.asarray([known[pool.names[i]] for i in rows], np.int64)
        if name == "mirrored":
            own = np.full(len(rows), NORMAL, np.int64)
        kept[name] = data.Crops(pool.pixels[rows], own, pool.boxes[rows], [pool.names[i] for i in rows])
    return {name: pool for name, pool in kept.items() if len(pool)}
