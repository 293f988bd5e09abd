"""The loop that trains one network of a row: within a budget, resumable from its checkpoint at any step."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .feed import Feed
from .network import Network, predict
from .schedules import Schedule, schedule

DECAY, SMOOTHING, CLIP = 0.03, 0.05, 5.0
OVERRUN = 1.5
"""A row that takes this many times its budget ends where it is: the machine was slower than at its first steps."""
STORE_EVERY = 60.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class Budget:
    """How long a network may train: minutes of this machine (on a processor with one thread those of its core, so that
    what else runs there takes none away), epochs at most; or `steps` exactly, when not 0."""

    minutes: float = 10.0
    epochs: float = 60.0
    steps: int = 0


@dataclass(frozen=True)
class Machine:
    """What a network trains on."""

    device: str = "cpu"
    threads: int = 1
    bf16: bool = True

    def clock(self) -> float:
        """Seconds of the core where the network has one to itself, of the clock on the wall otherwise."""
        return time.process_time() if self.device == "cpu" and self.threads == 1 else time.monotonic()


@dataclass
class Outcome:
    """How far the training came, and why it ended there."""

    steps: int = 0
    planned: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    ended: str = ""
    """`planned`, `early` (stopping), `time` (over the budget) or `diverged` (the loss is no number)."""
    weights: str = ""
    """What the network began with."""
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Learner:
    """One network in training. `identity` names everything else that decides the weights."""

    network: Network
    feed: Feed
    identity: dict[str, Any]
    folder: Path
    rate: float
    machine: Machine
    look: Callable[[Network], float] | None = None
    """The validation loss, for schedules that look."""

    def __post_init__(self) -> None:
        torch.set_num_threads(self.machine.threads)
        self.network.to(device=self.machine.device, memory_format=torch.channels_last)
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=self.rate)
        self.weights = torch.tensor(self.feed.technique.class_weights, device=self.machine.device)
        self.done = Outcome()
        self.schedule: Schedule = schedule(self.feed.technique.schedule, self.rate, 1)
        self.best: dict[str, Tensor] | None = None

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def train(self, budget: Budget, say: Callable[[str], None] = lambda _: None) -> Outcome:
        """To the end of the budget; what a checkpoint holds is not repeated."""
        if not self._restore():
            self.done.planned = budget.steps or self._planned(budget)
            self.schedule = schedule(self.feed.technique.schedule, self.rate, self.done.planned)
        done, stored = self.done, time.monotonic()
        limit = math.inf if budget.steps else OVERRUN * 60 * budget.minutes
        # A schedule that looks does so each epoch, or eight times where not even eight epochs fit.
        every = max(1, min(self.feed.steps, done.planned // 8))
        losses: list[float] = []
        while not done.ended:
            began = self.machine.clock()
            last = self._step(done.steps)
            losses.append(last)
            done.steps += 1
            if done.steps % every == 0 or done.steps == done.planned:
                self._look(losses)
                losses = []
                say(f"step {done.steps} of {done.planned}, loss {done.history[-1]['loss']:.3f}, {done.seconds:.0f} s")
            done.seconds += self.machine.clock() - began
            done.epochs = done.steps * self.feed.batch / self.feed.slices
            done.ended = self._ended(last, limit)
            if done.ended or time.monotonic() - stored > STORE_EVERY:
                self.store()
                stored = time.monotonic()
        if self.best is not None:
            self.network.load_state_dict(self.best)
        return done

    def _ended(self, last: float, limit: float) -> str:
        if not math.isfinite(last):
            return "diverged"
        if self.schedule.stopped:
            return "early"
        if self.done.steps >= self.done.planned:
            return "planned"
        return "time" if self.done.seconds > limit else ""

    def _step(self, step: int) -> float:
        """One batch; a loss that is no number leaves the weights as they are."""
        torch.manual_seed(int(np.random.SeedSequence([self.feed.seed, step, 1]).generate_state(1)[0]))  # dropout's
        x, y = self.feed.at(step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(step)
        self.network.train()
        device = self.machine.device
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=self.machine.bf16):
            logits = self.network(x.to(device=device, memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), y.to(device), weight=self.weights, label_smoothing=SMOOTHING)
        value = float(loss)
        if math.isfinite(value):
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimiser.step()
        return value

    def _look(self, losses: list[float]) -> None:
        record = {"step": float(self.done.steps), "loss": float(np.mean(losses))}
        record["rate"] = self.schedule.rate(self.done.steps)
        if self.schedule.looks and self.look is not None:
            record["validation_loss"] = self.look(self.network)
            if self.schedule.told(record["validation_loss"]):
                self.best = copy.deepcopy(self.network.state_dict())
        self.done.history.append(record)

    def _planned(self, budget: Budget) -> int:
        """Steps that fit the budget, by the time of three of them, which are then undone."""
        before = copy.deepcopy((self.network.state_dict(), self.optimiser.state_dict()))
        self._step(0)
        began = self.machine.clock()
        for step in range(1, 4):
            self._step(step)
        each = (self.machine.clock() - began) / 3
        self.network.load_state_dict(before[0])
        self.optimiser.load_state_dict(before[1])
        most = round(budget.epochs * self.feed.steps)
        return max(1, min(most, int(60 * budget.minutes / each)))

    def store(self) -> None:
        """Write the checkpoint whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "checkpoint.pt.new"
        torch.save(
            {
                "identity": self.identity,
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state(),
                "best": self.best,
                "done": self.done.__dict__,
            },
            temporary,
        )
        os.replace(temporary, self.checkpoint)

    def _restore(self) -> bool:
        if not self.checkpoint.is_file():
            return False
        # Loads pickled data: only files of one's own.
        kept = torch.load(self.checkpoint, map_location=self.machine.device, weights_only=False)
        if kept["identity"] != self.identity:
            raise ValueError(f"{self.checkpoint} was begun with other settings; remove it, or use the same again")
        self.done = Outcome(**kept["done"])
        self.schedule = schedule(self.feed.technique.schedule, self.rate, self.done.planned)
        self.schedule.resume(kept["schedule"])
        self.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.best = kept["best"]
        return True


def validation_loss(x: Any, labels: Any, weights: tuple[float, ...]) -> Callable[[Network], float]:
    """Cross-entropy on tensors, by the class weights that train."""
    y, w = torch.from_numpy(np.array(labels)), torch.tensor(weights)

    def of(network: Network) -> float:
        return float(F.cross_entropy(torch.from_numpy(predict(network, x)), y, weight=w))

    return of
