"""How the learning rate moves, and when training ends."""

from __future__ import annotations

import math
from typing import Any, Protocol

WARMUP = 0.08


class Schedule(Protocol):
    """A rate for each step; `looks` schedules are told the validation loss now and then."""

    looks: bool
    stopped: bool

    def rate(self, step: int) -> float: ...

    def told(self, loss: float) -> bool:
        """After a look at the validation slices; True when these are the best weights so far."""

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> None: ...


class Cycle:
    """One cycle, as the shipped model is trained: linear up, cosine down. The last weights count."""

    looks = False
    stopped = False

    def __init__(self, peak: float, total: int) -> None:
        self.peak, self.total = peak, total

    def rate(self, step: int) -> float:
        rising = max(1, int(WARMUP * self.total))
        if step < rising:
            return self.peak * (0.04 + 0.96 * step / rising)
        return self.peak * max(1e-4, 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.total - rising))))

    def told(self, loss: float) -> bool:
        return True

    def state(self) -> dict[str, Any]:
        return {}

    def resume(self, state: dict[str, Any]) -> None:
        pass


class Plateau:
    """Halved after two looks without a better loss, never below 1e-5; ended after five. The best weights count."""

    looks = True
    FACTOR, FLOOR, PATIENCE, STOP = 0.5, 1e-5, 2, 5

    def __init__(self, start: float) -> None:
        self.now = start
        self.best = math.inf
        self.waited = 0
        self.without = 0
        self.stopped = False

    def rate(self, step: int) -> float:
        return self.now

    def told(self, loss: float) -> bool:
        if loss < self.best:
            self.best, self.waited, self.without = loss, 0, 0
            return True
        self.waited += 1
        self.without += 1
        if self.waited >= self.PATIENCE:
            self.now, self.waited = max(self.FLOOR, self.now * self.FACTOR), 0
        self.stopped = self.without >= self.STOP
        return False

    def state(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def resume(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def schedule(kind: str, rate: float, total: int) -> Schedule:
    return Plateau(rate) if kind == "plateau" else Cycle(rate, total)
