"""MobileNetV3-Large (Howard et al. 2019, table 1) for one grey channel, with a pooled head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import LABELS

# kernel, expansion, out, squeeze-and-excite, hard-swish, stride
_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
FEATURES = 960
HIDDEN = 1280
EARLY = 9
"""Layers up to the fourth block of the stem, 40 channels at stride 8: where the out-of-domain score looks."""


def _eighth(value: float) -> int:
    """The nearest multiple of 8 that does not lose more than a tenth, as the reference networks round widths."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    kind = Depthwise if groups == inputs > 1 else nn.Conv2d
    return [
        kind(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.02),
    ]


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose weight gradient is taken in float32.

    In bf16, PyTorch's CPU library has no kernel for the weight gradient of depthwise 5 × 5 and falls back to a
    reference loop: 70 ms against 6 ms for 960 channels of 4 × 4 (32 slices, one thread, PyTorch 1.13).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = x.to(torch.bfloat16)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return nn.functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        grad, reach = grads[0], weight.shape[-1] // 2

        def gradient(of: tuple[Tensor, Tensor, Tensor], wanted: list[bool]) -> Tensor:
            stride, padding = [ctx.stride] * 2, [reach] * 2
            found = torch.ops.aten.convolution_backward(
                *of, None, stride, padding, [1, 1], False, [0, 0], weight.shape[0], wanted
            )
            return found[wanted.index(True)]

        to_x = gradient((grad, x, weight.to(grad.dtype)), [True, False, False])
        to_weight = gradient((grad.float(), x.float(), weight), [False, True, False])
        return to_x, to_weight, None


class Depthwise(nn.Conv2d):
    """nn.Conv2d with one filter a channel, faster to train in bf16 on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        slow = self.training and not x.is_cuda and torch.is_autocast_cpu_enabled() and self.kernel_size[0] > 3
        if not slow:
            return super().forward(x)
        out: Tensor = _Depthwise.apply(x, self.weight, self.stride[0])
        return out


class SqueezeExcite(nn.Module):
    """Channel gates from the pooled map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _eighth(channels / 4)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(torch.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * nn.functional.hardsigmoid(gate)


class Block(nn.Module):
    """Inverted residual: expand, depthwise, gate, project."""

    def __init__(self, inputs: int, kernel: int, wide: int, outputs: int, gated: bool, hard: bool, stride: int) -> None:
        super().__init__()

        def activation() -> nn.Module:
            return nn.Hardswish(inplace=True) if hard else nn.ReLU(inplace=True)

        layers: list[nn.Module] = []
        if wide != inputs:
            layers += [*_conv(inputs, wide, 1), activation()]
        layers += [*_conv(wide, wide, kernel, stride, groups=wide), activation()]
        if gated:
            layers.append(SqueezeExcite(wide))
        layers += _conv(wide, outputs, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class SliceClassifier(nn.Module):
    """One slice in 0..1 → four logits. Centres its input itself, so that serving applies the recipe only."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_conv(1, 16, 3, 2), nn.Hardswish(inplace=True)]
        inputs = 16
        for kernel, wide, outputs, gated, hard, stride in _LARGE:
            layers.append(Block(inputs, kernel, wide, outputs, gated, hard, stride))
            inputs = outputs
        layers += [*_conv(inputs, FEATURES, 1), nn.Hardswish(inplace=True)]
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(FEATURES, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(HIDDEN, len(LABELS))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    @staticmethod
    def centred(x: Tensor) -> Tensor:
        """0..1 to about mean 0 and spread 1."""
        return (x - 0.25) * 4.0

    def maps(self, x: Tensor) -> Tensor:
        """The last feature maps, before pooling."""
        out: Tensor = self.features(self.centred(x))
        return out

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.maps(x).mean((2, 3))
        out: Tensor = self.output(self.dropout(nn.functional.hardswish(self.hidden(pooled))))
        return out


def asked(model: SliceClassifier, x: Tensor, twice: bool = False) -> Tensor:
    """Logits of slices; asked twice, the mean of those of each slice and of its mirror image."""
    logits: Tensor = model(x)
    return (logits + model(x.flip(3))) / 2 if twice else logits


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Move a running average towards the model's weights; normalisation statistics follow along with them."""
    for slow, fast in zip(average.state_dict().values(), model.state_dict().values()):
        if slow.dtype.is_floating_point:
            slow.mul_(keep).add_(fast, alpha=1 - keep)
        else:
            slow.copy_(fast)


class Locator(nn.Module):
    """Training only: says of each cell of the stride-16 maps which tumour covers it, or none.

    Boxes teach the network where to look, which a label alone does slowly, and what to look at: without it the
    collection a slice comes from is the easier cue.
    """

    STRIDE, CHANNELS, LAYERS = 16, 112, 15

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(self.CHANNELS, len(LABELS), 1)

    def forward(self, model: SliceClassifier, x: Tensor) -> tuple[Tensor, Tensor]:
        """Slice logits, as the model's own forward gives them, and cell logits [N,labels,h,w]."""
        middle = model.features[: self.LAYERS](model.centred(x))
        pooled = model.features[self.LAYERS :](middle).mean((2, 3))
        logits: Tensor = model.output(model.dropout(nn.functional.hardswish(model.hidden(pooled))))
        return logits, self.cells(middle)


class ExportedClassifier(nn.Module):
    """What goes into ONNX: logits, forward-only Grad-CAM of every class, and the foreignness of the slice.

    Grad-CAM without a backward pass is exact for pool → FC → hard-swish → FC: with z the hidden pre-activation,
    α_c = ((W2[c] ⊙ hswish'(z)) · W1) / (h·w) and CAM_c = relu(Σ_k α_ck A_k).

    Foreignness is the Mahalanobis distance of early features from the training slices (see `early_features`).

    Asked `twice`, logits and maps are the means of those of the slice and of its mirror image, turned back.
    """

    def __init__(self, model: SliceClassifier, foreign: dict[str, Tensor], twice: bool = False) -> None:
        super().__init__()
        self.model, self.twice = model, twice
        self.register_buffer("centre", foreign["centre"])
        self.register_buffer("basis", foreign["basis"])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, cams, foreign = self._once(x)
        if self.twice:
            mirrored, mirrored_cams, _ = self._once(x.flip(3))
            logits, cams = (logits + mirrored) / 2, (cams + mirrored_cams.flip(3)) / 2
        return logits, cams, foreign

    def _once(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        model = self.model
        early = model.features[:EARLY](model.centred(x))
        maps = model.features[EARLY:](early)
        z = model.hidden(maps.mean((2, 3)))
        logits = model.output(nn.functional.hardswish(z))
        # hard-swish is x·relu6(x+3)/6: slope 0 below -3, 1 above 3, (2x+3)/6 between.
        slope = torch.where(z >= 3, torch.ones_like(z), torch.where(z <= -3, torch.zeros_like(z), (2 * z + 3) / 6))
        alpha = torch.matmul(model.output.weight.unsqueeze(0) * slope.unsqueeze(1), model.hidden.weight)
        cams = torch.relu(torch.einsum("nck,nkhw->nchw", alpha, maps) / (maps.shape[2] * maps.shape[3]))
        return logits, cams, foreignness(early_features(early), {"centre": self.centre, "basis": self.basis})


def early_features(early: Tensor) -> Tensor:
    """Mean and spread of each of the 40 channels at stride 8: [N,80].

    What is no head differs there, in texture and edges; the last features answer to whatever looks like a class.
    """
    mean = early.mean((2, 3))
    spread = torch.sqrt(torch.relu((early * early).mean((2, 3)) - mean * mean) + 1e-8)
    return torch.cat([mean, spread], 1)


def foreignness(features: Tensor, foreign: dict[str, Tensor]) -> Tensor:
    """The length of the whitened difference from the training slices' centre."""
    whitened = torch.matmul(features - foreign["centre"], foreign["basis"])
    return torch.sqrt((whitened * whitened).sum(1))
