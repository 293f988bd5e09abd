"""The training loop: resumable, repeatable for a seed, on two cores or on CUDA."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from . import CLASS_WEIGHTS, LABELS, NORMAL, augment, calibrate, machine, pools, recipe
from .model import Locator, SliceClassifier, asked, follow


@dataclass(frozen=True)
class Plan:
    """Everything that decides the weights, apart from the data. Stored in the checkpoint and the card."""

    seed: int = 7
    epochs: int = 100
    steps: int = 32
    """Steps an epoch; with the batch size this fixes what an epoch is, since pools are drawn with replacement."""
    batch: int = 64
    small_size: int = 128
    size: int = 160
    small_share: float = 0.7
    """Part of the epochs at `small_size`; the network does not care about size, and small is faster."""
    rate: float = 2e-3
    decay: float = 0.03
    warmup: float = 0.08
    smoothing: float = 0.05
    dropout: float = 0.2
    locate: float = 0.0
    """Weight of the cell loss (see model.Locator), 0 for none."""
    average: float = 0.995
    restyled: float = 0.0
    """Share of slices that take the grey levels of another slice, of whatever class and source."""
    bf16: bool = True
    """Where the processor is made for it (machine.bf16_pays)."""
    atlas: bool = True
    """Whether slices of the healthy volumes train as normals."""
    threads: int = 2
    shares: pools.Shares = pools.SHARES
    strength: augment.Strength = field(default_factory=augment.Strength)
    light: augment.Strength = field(default_factory=augment.Strength)
    light_share: float = 0.0
    """Share of the batches that are augmented by `light` instead: what is asked looks like these, and they are learned
    several times as fast."""
    recipe: recipe.Recipe = field(default_factory=recipe.Recipe)

    @property
    def small_epochs(self) -> int:
        return round(self.small_share * self.epochs)

    def size_at(self, epoch: int) -> int:
        return self.small_size if epoch < self.small_epochs else self.size

    def rate_at(self, step: int) -> float:
        """One cycle: linear up, cosine down to a hundredth of a per cent of the peak."""
        total = self.epochs * self.steps
        rising = max(1, int(self.warmup * total))
        if step < rising:
            return self.rate * (0.04 + 0.96 * step / rising)
        return self.rate * max(1e-4, 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising))))


class Trainer:
    """Model, its running average and optimiser; one method trains an epoch, one stores, one restores."""

    def __init__(self, plan: Plan, run: Path, device: str = "cpu") -> None:
        torch.set_num_threads(plan.threads)
        torch.manual_seed(plan.seed)
        self.plan, self.run, self.device = plan, run, device
        self.bf16 = plan.bf16 and machine.bf16_pays(device)
        self.model = SliceClassifier(plan.dropout).to(device=device, memory_format=torch.channels_last)
        self.average = SliceClassifier(plan.dropout).to(device)
        self.average.load_state_dict(self.model.state_dict())
        self.locator = Locator().to(device) if plan.locate > 0 else None
        learned = [*self.model.parameters(), *(self.locator.parameters() if self.locator else ())]
        decayed = [p for p in learned if p.ndim > 1]
        plain = [p for p in learned if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": plan.decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate)
        self.weights = torch.tensor(CLASS_WEIGHTS, device=device)
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    def train_epoch(self, drawn_from: pools.Pools) -> dict[str, float]:
        """One epoch. Its randomness depends on seed and epoch alone, so a resumed run repeats it exactly."""
        plan = self.plan
        seeds = np.random.SeedSequence([plan.seed, self.epoch]).generate_state(3)
        draws = np.random.default_rng(int(seeds[0]))
        random = torch.Generator().manual_seed(int(seeds[1]))
        torch.manual_seed(int(seeds[2]))
        size = plan.size_at(self.epoch)
        self.model.train()
        started, losses, hits = time.monotonic(), 0.0, 0
        for step in range(plan.steps):
            batch = pools.draw(drawn_from, plan.batch, draws, plan.shares, plan.restyled)
            strength = plan.light if draws.random() < plan.light_share else plan.strength
            theta = augment.geometry(plan.batch, plan.recipe.margin, strength, random)
            x = augment.augment(torch.from_numpy(batch.pixels), size, theta, strength, random)
            y = torch.from_numpy(batch.labels).to(self.device)
            where = augment.cells(torch.from_numpy(batch.boxes), theta, size // Locator.STRIDE).to(self.device)
            logits = self._step(x.to(self.device), y, where, self.epoch * plan.steps + step)
            losses += float(F.cross_entropy(logits, y))
            hits += int((logits.argmax(1) == y).sum())
        self.epoch += 1
        record = {
            "epoch": self.epoch,
            "size": size,
            "loss": losses / plan.steps,
            "accuracy": hits / (plan.steps * plan.batch),
            "seconds": time.monotonic() - started,
        }
        self.history.append(record)
        return record

    def _step(self, x: Tensor, y: Tensor, where: Tensor, step: int) -> Tensor:
        plan = self.plan
        for group in self.optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        kind = torch.device(self.device).type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bf16):
            x = x.to(memory_format=torch.channels_last)
            logits, found = self.locator(self.model, x) if self.locator else (self.model(x), None)
        logits = logits.float()
        loss = F.cross_entropy(logits, y, weight=self.weights, label_smoothing=plan.smoothing)
        if found is not None:
            loss = loss + plan.locate * cell_loss(found.float(), y, where)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        # Slowly (quicker at first).
        follow(self.average, self.model, min(plan.average, (1 + step) / (10 + step)))
        return logits.detach()

    def store(self) -> None:
        """Write the checkpoint whole or not at all."""
        self.run.mkdir(parents=True, exist_ok=True)
        temporary = self.run / "checkpoint.pt.new"
        torch.save(
            {
                "plan": asdict(self.plan),
                "epoch": self.epoch,
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "locator": self.locator.state_dict() if self.locator else None,
                "history": self.history,
            },
            temporary,
        )
        os.replace(temporary, self.run / "checkpoint.pt")

    def restore(self) -> bool:
        """Continue from the run folder's checkpoint. A checkpoint of another plan is an error, not a fresh start."""
        path = self.run / "checkpoint.pt"
        if not path.is_file():
            return False
        stored = torch.load(path, map_location=self.device, weights_only=False)
        if stored["plan"] != asdict(self.plan):
            raise ValueError(f"{path} belongs to another plan; choose another --run folder or remove it")
        self.model.load_state_dict(stored["model"])
        self.average.load_state_dict(stored["average"])
        self.optimiser.load_state_dict(stored["optimiser"])
        if self.locator:
            self.locator.load_state_dict(stored["locator"])
        self.epoch, self.history = stored["epoch"], stored["history"]
        return True


def cell_loss(found: Tensor, y: Tensor, where: Tensor) -> Tensor:
    """Cross-entropy over cells; tumour cells, few as they are, weigh as much as all the others."""
    truth = torch.where(where, y.view(-1, 1, 1), torch.full_like(y, NORMAL).view(-1, 1, 1))
    losses = F.cross_entropy(found, truth, reduction="none")
    inside = where.float()
    outside = 1 - inside
    return (losses * inside).sum() / inside.sum().clamp(min=1) * 0.5 + (losses * outside).sum() / outside.sum() * 0.5


def fit(trainer: Trainer, drawn_from: pools.Pools, watch: tuple[Tensor, npt.NDArray[np.int64]] | None = None) -> None:
    """Train to the plan's end, storing each epoch and saying how long it will take."""
    plan = trainer.plan
    while trainer.epoch < plan.epochs:
        record = trainer.train_epoch(drawn_from)
        if watch is not None and (trainer.epoch % 10 == 0 or trainer.epoch == plan.epochs):
            record["watched_macro_recall"] = calibrate.macro_recall(
                predict(trainer.average, watch[0]).argmax(1), watch[1]
            )
        trainer.store()
        print(progress(trainer), file=sys.stderr, flush=True)
    (trainer.run / "history.json").write_text(json.dumps(trainer.history, indent=1) + "\n")


def progress(trainer: Trainer) -> str:
    """One line: epoch, loss, speed and time left, the later epochs being larger."""
    plan, record = trainer.plan, trainer.history[-1]
    cost = record["seconds"] / plan.size_at(trainer.epoch - 1) ** 2
    left = sum(cost * plan.size_at(e) ** 2 for e in range(trainer.epoch, plan.epochs))
    watched = record.get("watched_macro_recall")
    return (
        f"epoch {trainer.epoch}/{plan.epochs} size {int(record['size'])} loss {record['loss']:.3f} "
        f"accuracy {record['accuracy']:.3f} {plan.steps * plan.batch / record['seconds']:.0f} slices/s "
        f"left {int(left // 60)} min {int(left % 60):02d} s"
        + (f" watched {watched:.4f}" if watched is not None else "")
    )


@torch.no_grad()
def predict(model: SliceClassifier, x: Tensor, batch: int = 32, twice: bool = False) -> npt.NDArray[np.float32]:
    """Logits of recipe tensors [N,1,S,S], in float32."""
    model.eval()
    device = next(model.parameters()).device
    parts = [asked(model, x[i : i + batch].to(device), twice).float().cpu() for i in range(0, len(x), batch)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32) if parts else np.zeros((0, len(LABELS)), np.float32)


def weights_digest(model: SliceClassifier) -> str:
    """SHA-256 over the parameters and statistics in name order."""
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(value.cpu().contiguous().numpy().tobytes())
    return "sha256:" + total.hexdigest()
