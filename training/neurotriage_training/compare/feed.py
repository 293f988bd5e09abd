"""The batches of one network. Batch k depends on seed and k alone, so that a resumed run repeats itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import pools
from . import techniques
from .slices import Bytes, Ints
from .techniques import Technique


class Feed:
    """Draws from pictures by rows, each once an epoch; with stand-ins, from pools in the shipped model's shares."""

    def __init__(
        self,
        pictures: Bytes,
        rows: list[int],
        labels: Ints,
        technique: Technique,
        size: int,
        seed: int,
        drawn_from: pools.Pools | None = None,
    ) -> None:
        self.pictures, self.rows, self.labels = pictures, np.asarray(rows, np.int64), labels
        self.technique, self.size, self.seed, self.pools = technique, size, seed, drawn_from
        self._epoch, self._order = -1, self.rows
        self.slices = len(rows)
        in_epoch = len(rows) if drawn_from else len(techniques.order(labels, technique.balance, seed, 0))
        self.batch = min(technique.batch, in_epoch)
        self.steps = in_epoch // self.batch
        """Of one epoch; batches are always full, which batch normalisation needs."""

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: pictures [N,1,size,size] in 0..1 and labels."""
        seeds: Any = np.random.SeedSequence([self.seed, step]).generate_state(2)
        random = torch.Generator().manual_seed(int(seeds[0]))
        if self.pools:
            drawn = pools.draw(self.pools, self.batch, np.random.default_rng(int(seeds[1])))
            pixels, labels = drawn.pixels, drawn.labels
        else:
            chosen = self._chosen(step)
            pixels, labels = self.pictures[self.rows[chosen]], self.labels[chosen]
        x = techniques.prepared(np.array(pixels), self.size, self.technique, random)
        return x, torch.from_numpy(np.array(labels, np.int64))

    def _chosen(self, step: int) -> npt.NDArray[np.int64]:
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = techniques.order(self.labels, self.technique.balance, self.seed, epoch)
        return self._order[place * self.batch : (place + 1) * self.batch]
