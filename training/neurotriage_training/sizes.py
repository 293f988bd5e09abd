"""What the input size costs and brings, out of fold, with networks that can read any."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import data, export, metrics, pooling, release
from .model import SliceClassifier
from .pooling import Floats
from .recipe import Recipe

SIZES = (144, 160, 192, 224)
WAYS = (False, True)
"""Each slice once, or with its mirror image."""


def measured(
    networks: Sequence[tuple[SliceClassifier, Sequence[data.Slice]]],
    constants: Recipe,
    sizes: Sequence[int] = SIZES,
) -> list[dict[str, Any]]:
    """Each network is asked about its own fold's slices at each size, once and twice; CPU time a slice as exported."""
    foreign = {
        f: release.foreign_constants(network, list(slices)[:64], constants, min(sizes), healthy=False)
        for f, (network, slices) in enumerate(networks)
    }
    rows = []
    for size in sizes:
        asked: dict[bool, list[Floats]] = {twice: [] for twice in WAYS}
        seconds = dict.fromkeys(WAYS, 0.0)
        labels: list[int] = []
        for f, (network, slices) in enumerate(networks):
            x = data.tensors((data.read_image(s.path) for s in slices), constants, size)
            labels += [s.label for s in slices]
            for twice in WAYS:
                opened = export.session(release.exported(network, foreign[f], size, twice)[1])
                export.run(opened, x[:16])
                began = time.process_time()
                asked[twice].append(pooling.softmax(export.run(opened, x)["logits"]))
                seconds[twice] += time.process_time() - began
        for twice in WAYS:
            report = metrics.report(np.concatenate(asked[twice]), np.asarray(labels, np.int64))
            rows.append(
                {
                    "size": size,
                    "twice": twice,
                    "macro_recall": report["macro avg"]["recall"],
                    "glioma_recall": report["glioma"]["recall"],
                    "cpu_ms_a_slice": 1000 * seconds[twice] / len(labels),
                }
            )
    return rows
