"""What stands between the last maps and the four logits; each explains itself without a backward pass.

Grad-CAM weighs map k for class c by the mean slope of logit c over the map's cells, alpha_ck, and shows
relu(sum_k alpha_ck A_k). For the three heads here the slopes can be written down, so the maps are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import LABELS

KINDS = ("usual", "linear", "flatten")


def _small(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, 0, 0.01)
    nn.init.zeros_(layer.bias)
    return layer


def _shown(alpha: Tensor, maps: Tensor) -> Tensor:
    return torch.relu(torch.einsum("nck,nkhw->nchw", alpha, maps))


class Linear(nn.Module):
    """Pool, dropout, logits."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = _small(nn.Linear(channels, len(LABELS)))

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.output(self.dropout(maps.mean((2, 3))))
        return out

    def explained(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.output.weight / (maps.shape[2] * maps.shape[3])
        return self(maps), torch.relu(torch.einsum("ck,nkhw->nchw", alpha, maps))


class Hidden(nn.Module):
    """Pool, dense with hard-swish, dropout, logits: MobileNetV3's own."""

    def __init__(self, channels: int, units: int, dropout: float) -> None:
        super().__init__()
        self.hidden = _small(nn.Linear(channels, units))
        self.dropout = nn.Dropout(dropout)
        self.output = _small(nn.Linear(units, len(LABELS)))

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.output(self.dropout(F.hardswish(self.hidden(maps.mean((2, 3))))))
        return out

    def explained(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        z = self.hidden(maps.mean((2, 3)))
        # hard-swish is x·relu6(x+3)/6: slope 0 below -3, 1 above 3, (2x+3)/6 between.
        slope = torch.where(z >= 3, torch.ones_like(z), torch.where(z <= -3, torch.zeros_like(z), (2 * z + 3) / 6))
        alpha = torch.matmul(self.output.weight.unsqueeze(0) * slope.unsqueeze(1), self.hidden.weight)
        return self.output(F.hardswish(z)), _shown(alpha / (maps.shape[2] * maps.shape[3]), maps)


class Flatten(nn.Module):
    """Flatten, dense with ReLU, batch normalisation, dropout, logits: the original study's. It fixes the input size."""

    def __init__(self, channels: int, side: int, units: int, dropout: float) -> None:
        super().__init__()
        self.channels = channels
        self.dense = nn.Linear(channels * side * side, units)
        self.norm = nn.BatchNorm1d(units)
        self.dropout = nn.Dropout(dropout)
        self.output = _small(nn.Linear(units, len(LABELS)))

    def forward(self, maps: Tensor) -> Tensor:
        # reshape, not flatten: maps may lie channels last in memory.
        z = torch.relu(self.dense(maps.reshape(len(maps), -1)))
        out: Tensor = self.output(self.dropout(self.norm(z)))
        return out

    def cell_means(self) -> Tensor:
        """The mean over cells of each dense weight: [units, channels], the same for every slice."""
        weight = self.dense.weight.detach()
        return weight.view(weight.shape[0], self.channels, -1).mean(2)

    def explained(self, maps: Tensor, means: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Of a head in evaluation: its normalisation is then a factor a unit."""
        means = self.cell_means() if means is None else means
        z = self.dense(maps.reshape(maps.shape[0], -1))
        factor = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        logits = self.output(torch.relu(z) * factor + (self.norm.bias - self.norm.running_mean * factor))
        alpha = torch.matmul((self.output.weight * factor).unsqueeze(0) * (z > 0).to(z.dtype).unsqueeze(1), means)
        return logits, _shown(alpha, maps)


def head(kind: str, channels: int, side: int, usual_units: int, units: int, dropout: float) -> nn.Module:
    """`usual` is the network's own pooled head, with or without a dense layer; `linear` never has one."""
    if kind == "flatten":
        return Flatten(channels, side, units, dropout)
    if kind == "usual" and usual_units:
        return Hidden(channels, usual_units, dropout)
    if kind in KINDS:
        return Linear(channels, dropout)
    raise ValueError(f"head {kind!r} is not one of {', '.join(KINDS)}")
