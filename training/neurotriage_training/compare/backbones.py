"""The nine networks of the original study, from timm, cut off after their last maps and fed one grey channel."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..model import EARLY, FEATURES, HIDDEN, Depthwise, SliceClassifier

STRIDE = 8
"""Where the out-of-domain score looks, in every network as in the shipped one."""
PATIENCE = 20.0
"""Seconds to wait for the server of the library's weights."""
SCRATCH = "from scratch"


@dataclass(frozen=True)
class Backbone:
    """One network: what the table and what timm call it."""

    title: str
    library: str
    hidden: int = 0
    """Units between pooling and logits in its own head; 0: none."""
    rate: float = 2e-3
    """Peak learning rate (AdamW) of its rows. VGG has no normalisation and bears a tenth."""


BACKBONES = {
    "resnet50": Backbone("ResNet50", "resnet50", rate=1e-3),
    "resnet101": Backbone("ResNet101", "resnet101", rate=1e-3),
    "resnet152": Backbone("ResNet152", "resnet152", rate=1e-3),
    "vgg16": Backbone("VGG16", "vgg16", rate=2e-4),
    "vgg19": Backbone("VGG19", "vgg19", rate=2e-4),
    "mobilenet": Backbone("MobileNet", "mobilenetv1_100"),
    "mobilenetv2": Backbone("MobileNetV2", "mobilenetv2_100"),
    "mobilenetv3small": Backbone("MobileNetV3Small", "mobilenetv3_small_100", hidden=1024),
    "mobilenetv3large": Backbone("MobileNetV3Large", "mobilenetv3_large_100", hidden=1280),
}
OURS = "ours"
"""The project's own MobileNetV3Large (model.SliceClassifier), which begins with the start without labels."""


@dataclass(frozen=True)
class Source:
    """Where weights may come from: a folder of NAME.pth or NAME.safetensors, the library's own, our start."""

    folder: Path | None = None
    library: bool = False
    start: Path | None = None


class Body(nn.Module):
    """A network of timm up to its last maps."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = _for_bf16(_cut(net))
        self.channels = int(net.num_features)
        self.early = [level["reduction"] for level in net.feature_info].index(STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net.forward_features(x)
        return out

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps at stride 8, and the last ones."""
        last, early = self.net.forward_intermediates(x, indices=[self.early])
        return early[0], last


class OurBody(nn.Module):
    """The layers of model.SliceClassifier up to its last maps."""

    channels = FEATURES

    def __init__(self, model: SliceClassifier) -> None:
        super().__init__()
        self.features = model.features

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(x)
        return out

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = self.features[:EARLY](x)
        return early, self.features[EARLY:](early)


def _cut(net: nn.Module) -> nn.Module:
    """Layers after the last maps are of no use here; they would count as parameters and be exported."""
    for name in ("pre_logits", "head", "fc", "classifier", "conv_head", "norm_head", "global_pool"):
        # MobileNetV2's last convolution stands before pooling and is part of its maps.
        if hasattr(net, name) and not (name == "conv_head" and hasattr(net, "bn2")):
            setattr(net, name, nn.Identity())
    return net


class Clipped(nn.Module):
    """ReLU6, which PyTorch 1.13 cannot train in bf16 on a CPU under its own name."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, 0.0, 6.0)


def _for_bf16(net: nn.Module) -> nn.Module:
    """The same functions of the same weights, in layers that train (depthwise: faster) in bf16 on a CPU."""
    for module in list(net.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.ReLU6):
                setattr(module, name, Clipped())
            if type(layer) is nn.Conv2d and layer.groups == layer.in_channels > 1 and layer.padding != (0, 0):
                size, stride, reach = layer.kernel_size[0], layer.stride, layer.padding
                fast = Depthwise(
                    layer.in_channels, layer.out_channels, size, stride, reach, groups=layer.groups, bias=False
                )
                fast.weight = layer.weight
                setattr(module, name, fast)
    return net


def body(name: str, source: Source) -> tuple[nn.Module, str]:
    """The network's layers and where their weights came from, in words for the table."""
    if name == OURS:
        return _ours(source.start)
    backbone = BACKBONES[name]
    path = weights_file(name, source.folder)
    if path is not None:
        return Body(_from_file(backbone, path)), f"file {path.name}"
    if source.library:
        net, said = _from_library(backbone)
        if net is not None:
            return Body(net), said
        return Body(_empty(backbone)), f"{SCRATCH} (the library's weights were out of reach: {said})"
    return Body(_empty(backbone)), SCRATCH


def _ours(start: Path | None) -> tuple[nn.Module, str]:
    model = SliceClassifier()
    if start is None:
        return OurBody(model), SCRATCH
    # Loads pickled data: only files of one's own.
    stored = torch.load(start, map_location="cpu", weights_only=False)
    state = stored.get("average", stored)
    kept = {key: value for key, value in state.items() if key.startswith("features.")}
    missing, _ = model.load_state_dict(kept, strict=False)
    if any(key.startswith("features.") for key in missing):
        raise ValueError(f"{start} is of another network: {missing[0]} is missing")
    return OurBody(model), "the start without labels"


def hidden_units(name: str) -> int:
    """Of the network's own pooled head."""
    return HIDDEN if name == OURS else BACKBONES[name].hidden


def weights_file(name: str, folder: Path | None) -> Path | None:
    """NAME.safetensors, NAME.pth or NAME.pt in the folder, NAME being ours or timm's."""
    if folder is None:
        return None
    names = (name, BACKBONES[name].library)
    found = (folder / f"{n}{ending}" for n in names for ending in (".safetensors", ".pth", ".pt"))
    return next((path for path in found if path.is_file()), None)


def _empty(backbone: Backbone) -> nn.Module:
    import timm

    # VGG's dense layers, 120 of its 138 million parameters, are cut off anyway.
    small = {"mlp_ratio": 1e-3} if "vgg" in backbone.library else {}
    return timm.create_model(backbone.library, pretrained=False, in_chans=1, num_classes=0, **small)


def _from_file(backbone: Backbone, path: Path) -> nn.Module:
    from timm.models import load_state_dict
    from timm.models._manipulate import adapt_input_conv

    net = _cut(_empty(backbone))
    state = load_state_dict(str(path))
    first = net.default_cfg["first_conv"] + ".weight"
    if first in state:
        state[first] = adapt_input_conv(1, state[first])
    wanted = {key for key in net.state_dict() if not key.endswith("num_batches_tracked")}
    missing = sorted(key for key in wanted if key not in state)
    if missing:
        raise ValueError(f"{path} is no {backbone.title} as timm names its layers: {missing[0]} is missing")
    net.load_state_dict({key: state[key] for key in wanted}, strict=False)
    return net


def _from_library(backbone: Backbone) -> tuple[nn.Module | None, str]:
    """With the library's usual weights, from its cache or the network; None and why when there is neither."""
    import timm

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        net = timm.create_model(backbone.library, pretrained=True, in_chans=1, num_classes=0)
    except Exception as error:  # whatever the library's downloader raises, the row is still worth running
        return None, f"{type(error).__name__}"
    finally:
        socket.setdefaulttimeout(before)
    return net, f"timm {net.pretrained_cfg.get('tag', '')}".strip()
