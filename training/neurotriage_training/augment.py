"""Augmentation of whole batches in torch: geometry first, then what scanners and viewers do to a slice.

The data's classes come from different collections; tone, sharpness, resolution, noise and framing are therefore
varied far beyond what one collection shows, so that none of them can stand for a class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import CACHE_MARGIN, CACHE_SIZE


@dataclass(frozen=True)
class Strength:
    """How far each step may go; probabilities are per slice."""

    rotation: float = 12.0
    """Standard deviation in degrees."""
    scale: tuple[float, float] = (0.84, 1.18)
    aspect: float = 0.13
    shift: float = 0.06
    """Fraction of the crop side."""
    gamma: float = 0.6
    """Natural logarithm of the largest exponent."""
    curve: float = 0.4
    invert: float = 0.04
    bias: float = 0.35
    blur: float = 0.35
    sharpen: float = 0.25
    resolution: float = 0.3
    noise: float = 0.4
    cut: float = 0.10


def _uniform(n: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return torch.rand(n, generator=random) * (high - low) + low


def _chance(n: int, probability: float, random: torch.Generator) -> Tensor:
    return torch.rand(n, generator=random) < probability


def geometry(n: int, margin: float, strength: Strength, random: torch.Generator) -> Tensor:
    """Affine maps [n,2,3] from output to wide crop: rotation, flip, scale, aspect, shift around the recipe's crop."""
    base = (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN)
    angle = torch.randn(n, generator=random).clamp(-2.5, 2.5) * (strength.rotation * math.pi / 180)
    side = base * _uniform(n, *strength.scale, random)
    stretch = torch.exp(_uniform(n, -strength.aspect, strength.aspect, random))
    flip = torch.where(_chance(n, 0.5, random), -torch.ones(n), torch.ones(n))
    across, down = side * stretch * flip, side / stretch
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = torch.cos(angle) * across
    theta[:, 0, 1] = -torch.sin(angle) * down
    theta[:, 1, 0] = torch.sin(angle) * across
    theta[:, 1, 1] = torch.cos(angle) * down
    theta[:, :, 2] = (torch.rand(n, 2, generator=random) * 2 - 1) * (2 * strength.shift)
    return theta


def sample(crops: Tensor, theta: Tensor, size: int) -> Tensor:
    """Wide crops [N,1,C,C] → [N,1,size,size]."""
    # Where the step exceeds one cached sample, area averaging comes first: grid_sample itself does not filter.
    if size < crops.shape[-1] * 0.7:
        crops = F.interpolate(crops, size=int(size * 1.28), mode="bilinear", align_corners=False, antialias=True)
    grid = F.affine_grid(theta, [len(crops), 1, size, size], align_corners=False)
    return F.grid_sample(crops, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _smooth(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one sigma a slice, in pixels."""
    n = x.shape[0]
    reach = 4
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at[None] / sigma[:, None].clamp(min=0.05)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    as_channels = x.transpose(0, 1)
    out = F.conv2d(as_channels, kernel.view(n, 1, -1, 1), padding=(reach, 0), groups=n)
    return F.conv2d(out, kernel.view(n, 1, 1, -1), padding=(0, reach), groups=n).transpose(0, 1)


def tone(x: Tensor, strength: Strength, random: torch.Generator) -> Tensor:
    """Gamma, gain, a random rising curve, seldom another tissue contrast, and a slow bias field."""
    n = x.shape[0]
    exponent = torch.exp(_uniform(n, -strength.gamma, strength.gamma, random)).view(n, 1, 1, 1)
    x = x.clamp(0, 1) ** exponent
    bent = _curve(x, random)
    x = torch.where(_chance(n, strength.curve, random).view(n, 1, 1, 1), bent, x)
    inverted = (1 - x) * (x > 0.12)
    x = torch.where(_chance(n, strength.invert, random).view(n, 1, 1, 1), inverted, x)
    field = F.interpolate(
        torch.randn(n, 1, 3, 3, generator=random), size=x.shape[-2:], mode="bicubic", align_corners=True
    )
    x = x * torch.exp(strength.bias * _uniform(n, 0, 1, random).view(n, 1, 1, 1) * field)
    return (x * _uniform(n, 0.8, 1.25, random).view(n, 1, 1, 1)).clamp(0, 1)


def _curve(x: Tensor, random: torch.Generator) -> Tensor:
    """A piecewise linear curve through 0 that rises, with five random steps."""
    n, knots = x.shape[0], 5
    steps = torch.rand(n, knots, generator=random) ** 2 + 0.05
    steps = steps / steps.sum(1, keepdim=True)
    out = torch.zeros_like(x)
    for i in range(knots):
        out = out + (x * knots - i).clamp(0, 1) * steps[:, i].view(n, 1, 1, 1)
    return out


def sharpness(x: Tensor, strength: Strength, random: torch.Generator) -> Tensor:
    """Blur, unsharp mask and lost resolution."""
    n = x.shape[0]
    scale = x.shape[-1] / 128
    blurred = _smooth(x, _uniform(n, 0.4, 1.4, random) * scale)
    choice = torch.rand(n, generator=random).view(n, 1, 1, 1)
    amount = _uniform(n, 0.4, 1.8, random).view(n, 1, 1, 1)
    sharp = (x + amount * (x - blurred)).clamp(0, 1)
    x = torch.where(choice < strength.blur, blurred, torch.where(choice > 1 - strength.sharpen, sharp, x))
    coarse = int(x.shape[-1] * float(_uniform(1, 0.4, 0.85, random)))
    small = F.interpolate(x, size=coarse, mode="bilinear", align_corners=False, antialias=True)
    large = F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(_chance(n, strength.resolution, random).view(n, 1, 1, 1), large, x)


def noise(x: Tensor, strength: Strength, random: torch.Generator) -> Tensor:
    """Rician noise, as in magnitude images."""
    n = x.shape[0]
    sigma = _uniform(n, 0.0, 0.07, random) * _chance(n, strength.noise, random)
    pair = torch.randn(2, *x.shape, generator=random) * sigma.view(1, n, 1, 1, 1)
    return torch.sqrt((x + pair[0]) ** 2 + pair[1] ** 2)


def field_of_view(x: Tensor, strength: Strength, random: torch.Generator) -> Tensor:
    """Some heads are cut by the field of view: a black band on one side."""
    n, size = x.shape[0], x.shape[-1]
    cut = _chance(n, strength.cut, random) * _uniform(n, 0.03, 0.15, random) * size
    at = torch.arange(size).view(1, size)
    keep = (at >= cut.view(n, 1)).float()
    side = torch.randint(0, 4, (n,), generator=random)
    keep = torch.where((side >= 2).view(n, 1), keep.flip(1), keep)
    rows = torch.where((side % 2 == 0).view(n, 1), keep, torch.ones_like(keep)).view(n, 1, size, 1)
    columns = torch.where((side % 2 == 1).view(n, 1), keep, torch.ones_like(keep)).view(n, 1, 1, size)
    return x * rows * columns


def cells(boxes: Tensor, theta: Tensor, count: int) -> Tensor:
    """Which of count × count cells of the output have their centre in the tumour box: bool [N,count,count].

    Boxes are in crop pixels. Half a cell is added around them, so that the smallest tumours keep a cell.
    """
    at = F.affine_grid(theta, [len(boxes), 1, count, count], align_corners=False)
    box = (boxes / CACHE_SIZE * 2 - 1).view(-1, 1, 1, 4)
    slack = 1.0 / count
    inside = (at >= box[..., :2] - slack) & (at <= box[..., 2:] + slack)
    return inside.all(-1)


def augment(crops: Tensor, size: int, theta: Tensor, strength: Strength, random: torch.Generator) -> Tensor:
    """uint8 wide crops [N,C,C] → float32 [N,1,size,size] in 0..1."""
    x = crops.unsqueeze(1).float() / 255
    x = sample(x, theta, size)
    x = tone(x, strength, random)
    x = sharpness(x, strength, random)
    x = noise(x, strength, random)
    x = field_of_view(x, strength, random)
    return x.clamp(0, 1)
