"""A backbone with a head: what a row trains, and what of it goes into ONNX."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .. import LABELS
from ..model import early_features, foreignness
from . import backbones, heads

SCALES = {"centred": (4.0, -1.0), "rescaled": (1.0, 0.0), "raw": (255.0, 0.0)}
"""Gain and offset on 0..1. `rescaled` is the original study's 0..1, `raw` the same without it (0..255); `centred` is
the shipped model's, within a tenth of what pretrained weights expect of grey pictures."""


class Network(nn.Module):
    """One slice in 0..1, four logits. Scales its input itself, so that serving applies the recipe only."""

    def __init__(self, body: nn.Module, head: nn.Module, scale: str) -> None:
        super().__init__()
        self.body, self.head = body, head
        self.gain, self.offset = SCALES[scale]

    def scaled(self, x: Tensor) -> Tensor:
        return x * self.gain + self.offset

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(self.scaled(x)))
        return out


class Exported(nn.Module):
    """Logits, forward-only Grad-CAM of every class, foreignness: the three outputs of the shipped file."""

    def __init__(self, network: Network, foreign: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centre", foreign["centre"])
        self.register_buffer("basis", foreign["basis"])
        # Not in the graph, where the dense weights would be stored a second time for it.
        self.constants = [network.head.cell_means()] if isinstance(network.head, heads.Flatten) else []

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        early, maps = self.network.body.both(self.network.scaled(x))
        logits, cams = self.network.head.explained(maps, *self.constants)
        return logits, cams, foreignness(early_features(early), {"centre": self.centre, "basis": self.basis})


def build(
    backbone: str, head: str, scale: str, units: int, dropout: float, size: int, source: backbones.Source
) -> tuple[Network, str]:
    """The network, and where its weights came from."""
    body, weights = backbones.body(backbone, source)
    side = maps_side(body, size) if head == "flatten" else 0
    made = heads.head(head, body.channels, side, backbones.hidden_units(backbone), units, dropout)
    return Network(body, made, scale), weights


@torch.no_grad()
def maps_side(body: nn.Module, size: int) -> int:
    return int(body.eval()(torch.zeros(1, 1, size, size)).shape[-1])


@torch.no_grad()
def predict(network: Network, x: npt.NDArray[np.float32], batch: int = 32) -> npt.NDArray[np.float32]:
    """Logits of tensors [N,1,S,S], in float32."""
    network.eval()
    device = next(network.parameters()).device
    parts = []
    for i in range(0, len(x), batch):
        # Copied: the tensors may be a read-only file in memory.
        one = torch.from_numpy(np.array(x[i : i + batch])).to(device=device, memory_format=torch.channels_last)
        parts.append(network(one).float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)), np.float32)


@torch.no_grad()
def early(network: Network, x: npt.NDArray[np.float32], batch: int = 32) -> Tensor:
    """The features that the out-of-domain score looks at."""
    network.eval()
    parts = []
    for i in range(0, len(x), batch):
        found, _ = network.body.both(network.scaled(torch.from_numpy(np.array(x[i : i + batch]))))
        parts.append(early_features(found))
    return torch.cat(parts)
