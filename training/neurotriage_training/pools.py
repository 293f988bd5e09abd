"""The training pools: which slices a batch is drawn from, and in what shares."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import LABELS, NORMAL, data, recipe, standins, volumes

Shares = tuple[tuple[str, float], ...]
SHARES: Shares = (
    ("tumour", 0.56),
    ("normal", 0.16),
    ("mirrored", 0.10),
    ("atlas_head", 0.07),
    ("atlas_brain", 0.03),
    ("set_in", 0.08),
)
"""What part of an epoch each pool gives. Real normals are a tenth of the slices; stand-ins and the atlas carry the
rest of that class, so that "normal" is not one collection's look."""

GROWTHS = (0.0, 0.25)
"""Each slice is mirrored away twice: its box as drawn, and a larger one, since swelling reaches beyond the box."""

TUMOURS = tuple({"glioma": 0.40, "meningioma": 0.32, "pituitary": 0.28}.get(name, 0.0) for name in LABELS)
"""The mix of tumours in a batch: half-way from the data's (0.47, 0.23, 0.30) to one third each."""

COLIN = Path("/usr/share/mricron/templates/ch2.nii.gz")
"""Colin27, one healthy head scanned 27 times; Debian package mricron-data."""
S1 = Path(sys.prefix) / "heads" / "pycortex-s1.nii.gz"
"""One healthy head, neck and all, out of the source package of pycortex; `setup.sh --atlas` puts it there."""

Pools = dict[str, data.Crops]
_HOSTS = ("normal", "normal", "mirrored", "mirrored", "atlas_head", "atlas_brain")
"""Where tumours are set in; repeated names count twice."""
_SHIFT, _BORDER = data.CACHE_SIZE // 12, data.CACHE_SIZE * 0.2
_CONTROL = (data.CACHE_SIZE * 0.1, data.CACHE_SIZE * 0.3)
"""In pixels of a crop: how far from its place a tumour is set in; a control's distance from the edge, and its side."""


@dataclass(frozen=True)
class Atlas:
    """A healthy volume and the planes to cut it in: axis and the fractions to stay between."""

    name: str
    path: Path
    planes: tuple[tuple[int, float, float, int], ...]


def atlases() -> list[Atlas]:
    """The healthy volumes that this machine has. The heads are cut down to the neck: series begin there, and a network
    that has seen brains only takes a jaw for a tumour."""
    found = []
    if COLIN.is_file():
        found.append(Atlas("colin27", COLIN, ((2, 0.02, 0.96, 2), (1, 0.10, 0.94, 2), (0, 0.14, 0.86, 2))))
    if S1.is_file():
        found.append(Atlas("s1", S1, ((2, 0.02, 0.78, 2), (1, 0.12, 0.84, 2), (0, 0.23, 0.75, 2))))
    template = mni_template()
    if template is not None:
        found.append(Atlas("icbm152", template, ((2, 0.25, 0.85, 2), (1, 0.15, 0.87, 2), (0, 0.2, 0.8, 2))))
    return found


def mni_template() -> Path | None:
    """The ICBM 152 average that the package nilearn ships; the package itself is not imported."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    path = folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return path if path.is_file() else None


def tissue_contrasts(template: Path) -> list[npt.NDArray[np.float32]]:
    """The average in other contrasts, mixed from its grey and white matter maps: white-bright and grey-bright."""
    grey = volumes.read_nifti(template.with_name(template.name.replace("_t1_", "_gm_"))).voxels / 255
    white = volumes.read_nifti(template.with_name(template.name.replace("_t1_", "_wm_"))).voxels / 255
    brain = (volumes.read_nifti(template).voxels > 0).astype(np.float32)
    fluid = np.clip(brain - grey - white, 0, 1)
    return [
        0.8 * white + 0.55 * grey + 0.15 * fluid,
        0.45 * white + 0.65 * grey + 0.95 * fluid,
        0.55 * white + 0.8 * grey + 0.12 * fluid,
    ]


def atlas_crops(constants: recipe.Recipe, name: str) -> data.Crops:
    """Slices of one healthy volume in three planes, as normals."""

    def images() -> Iterator[tuple[npt.NDArray[np.generic], int, None, str]]:
        for atlas in atlases():
            if atlas.name != name:
                continue
            volume = volumes.read_nifti(atlas.path)
            variants = [volume]
            if atlas.name == "icbm152":
                variants += [volumes.Volume(v, volume.spacing) for v in tissue_contrasts(atlas.path)]
            for number, variant in enumerate(variants):
                for axis, low, high, step in atlas.planes:
                    for index, (image, _) in enumerate(variant.plane(axis, low, high, step)):
                        yield image, NORMAL, None, f"{atlas.name}/{number}/{axis}/{index}"

    return data.crops_of(images(), constants)


def mirrored_crops(slices: list[data.Slice], constants: recipe.Recipe) -> data.Crops:
    """Mirrored-away stand-ins of all tumour slices that allow it."""

    def images() -> Iterator[tuple[npt.NDArray[np.generic], int, None, str]]:
        for item, image in mirrored_images(slices, constants, GROWTHS):
            yield image, NORMAL, None, item.name

    return data.crops_of(images(), constants)


def mirrored_images(
    slices: list[data.Slice], constants: recipe.Recipe, growths: Sequence[float] = (0.0,)
) -> Iterator[tuple[data.Slice, npt.NDArray[np.float32]]]:
    """Slices with their tumour box, made larger by each of `growths`, replaced by the mirrored other side."""
    for item in slices:
        if item.box is None or item.label == NORMAL:
            continue
        image = data.read_image(item.path)
        head = recipe.find_head(image, constants)
        box = data.box_pixels(item, (image.shape[0], image.shape[1]))
        if head.flat or box is None:
            continue
        axis = standins.symmetry_axis(image, head.box, box)
        for growth in growths:
            away = standins.mirrored_away(image, axis, grown(box, growth))
            if away is not None:
                yield item, away


def grown(box: standins.Box, growth: float) -> standins.Box:
    """The box with its sides longer by `growth` about the same centre."""
    x, y = (box[2] - box[0]) * growth / 2, (box[3] - box[1]) * growth / 2
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def build(slices: list[data.Slice], constants: recipe.Recipe, cache: Path, key: str, atlas: bool = True) -> Pools:
    """All pools of these training slices, decoded once into `cache`; `key` names data and recipe."""
    tumours = [s for s in slices if s.label != NORMAL]
    normals = [s for s in slices if s.label == NORMAL]
    key = f"{key}-{data.CACHE_SIZE}"
    pools = {
        "tumour": data.cached(cache / f"tumour-{key}.npz", lambda: data.crops_of_slices(tumours, constants)),
        "normal": data.cached(cache / f"normal-{key}.npz", lambda: data.crops_of_slices(normals, constants)),
        "mirrored": data.cached(cache / f"mirrored-{key}.npz", lambda: mirrored_crops(slices, constants)),
    }
    if atlas:
        for pool, names in (("atlas_head", ("colin27", "s1")), ("atlas_brain", ("icbm152",))):
            pools[pool] = data.joined(
                [data.cached(cache / f"{n}-{key}.npz", partial(atlas_crops, constants, n)) for n in names]
            )
    return {name: pool for name, pool in pools.items() if len(pool)}


@dataclass
class Batch:
    """Crops, labels, and tumour boxes in crop pixels (NaN where there is no tumour)."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]


Drawn = tuple[npt.NDArray[np.uint8], int, npt.NDArray[np.float32]]


def draw(
    pools: Pools, count: int, random: np.random.Generator, shares: Shares = SHARES, restyled: float = 0.0
) -> Batch:
    """One batch. Missing pools give their share to the others; a share is `restyled` after slices of any pool."""
    there = [(n, share) for n, share in shares if n in pools or (n == "set_in" and _can_set_in(pools))]
    names, parts = [n for n, _ in there], np.asarray([share for _, share in there])
    chosen = random.choice(len(names), size=count, p=parts / parts.sum())
    drawn = [_one(pools, names[int(which)], random) for which in chosen]
    if restyled > 0:
        drawn = [_restyled(one, pools, names, random) if random.random() < restyled else one for one in drawn]
    return Batch(
        np.stack([one[0] for one in drawn]),
        np.asarray([one[1] for one in drawn], np.int64),
        np.stack([one[2] for one in drawn]),
    )


def _restyled(one: Drawn, pools: Pools, names: list[str], random: np.random.Generator) -> Drawn:
    stored = [name for name in names if name in pools]
    other = pools[stored[int(random.integers(len(stored)))]].pixels
    return standins.restyled(one[0], other[int(random.integers(len(other)))]), one[1], one[2]


def _can_set_in(pools: Pools) -> bool:
    return "tumour" in pools and any(name in pools for name in _HOSTS)


def _one(pools: Pools, name: str, random: np.random.Generator) -> Drawn:
    if name == "set_in":
        made = _set_in(pools, random)
        if made is not None:
            return made
        name = "tumour"
    pool = pools[name]
    at = _tumour(pool, random) if name == "tumour" else int(random.integers(len(pool)))
    crop = pool.pixels[at]
    if name != "mirrored" and random.random() < 0.15:
        crop = _control(crop, pool.boxes[at], pools, random)
    return crop, int(pool.labels[at]), pool.boxes[at]


def _tumour(pool: data.Crops, random: np.random.Generator) -> int:
    label = random.choice(len(LABELS), p=TUMOURS)
    rows = np.flatnonzero(pool.labels == label)
    return int(rows[random.integers(len(rows))] if len(rows) else random.integers(len(pool)))


def _set_in(pools: Pools, random: np.random.Generator) -> Drawn | None:
    """A glioma or meningioma set into a tumour-free crop. Pituitary tumours are left out: their place defines them."""
    hosts = [name for name in _HOSTS if name in pools]
    host = pools[hosts[int(random.integers(len(hosts)))]]
    target = host.pixels[int(random.integers(len(host)))]
    tumours = pools["tumour"]
    for _ in range(6):
        at = int(random.integers(len(tumours)))
        label = int(tumours.labels[at])
        if label == LABELS.index("pituitary") or np.isnan(tumours.boxes[at]).any():
            continue
        shift = (int(random.integers(-_SHIFT, _SHIFT + 1)), int(random.integers(-_SHIFT, _SHIFT + 1)))
        made = standins.set_in(target, tumours.pixels[at], tumours.boxes[at], shift)
        if made is not None:
            return made, label, tumours.boxes[at] + np.asarray([*shift, *shift], dtype=np.float32)
    return None


def _control(
    crop: npt.NDArray[np.uint8],
    tumour: npt.NDArray[np.float32],
    pools: Pools,
    random: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """The same surgery without a change of label: a healthy box mirrored over, or set in from another slice."""
    side = float(random.uniform(*_CONTROL))
    x, y = (float(v) for v in random.uniform(_BORDER, data.CACHE_SIZE - _BORDER - side, 2))
    x0, y0, x1, y1 = (float(v) for v in tumour)  # comparisons with NaN, where there is no tumour, are false
    if x < x1 + 8 and x0 - 8 < x + side and y < y1 + 8 and y0 - 8 < y + side:
        return crop
    if random.random() < 0.5:
        middle = standins.Axis(data.CACHE_SIZE / 2, data.CACHE_SIZE / 2, 0.0, 1.0)
        other = standins.replace_by_mirror(crop.astype(np.float32), middle, (x, y, x + side, y + side))
        return np.asarray(np.rint(np.clip(other, 0, 255)), dtype=np.uint8)
    donors = pools["mirrored" if "mirrored" in pools else "normal"] if "normal" in pools else None
    if donors is None:
        return crop
    donor = donors.pixels[int(random.integers(len(donors)))]
    box = np.asarray([x, y, x + side, y + side], dtype=np.float32)
    made = standins.set_in(crop, donor, box, (0, 0))
    return crop if made is None else made
