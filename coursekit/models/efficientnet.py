"""EfficientNet-B0 to B7: one block, one table, and three numbers that scale it (Tan and Le 2019).

From top to bottom: the table of B0 and how the family grows from it, the block (MBConv with squeeze and excitation),
the network, one builder a network. Parameters are named as in torchvision's EfficientNet, so that its weights load.
"""

import math
from typing import Final, NamedTuple

from torch import Tensor, nn

from coursekit.models.layers import SqueezeExcitation, StochasticDepth, check_ends
from coursekit.models.registry import register
from coursekit.models.weights import torchvision_weights

__all__ = [
    "SCALES",
    "STAGES",
    "EfficientNet",
    "MBConv",
    "Scale",
    "Stage",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "round_channels",
]


class Stage(NamedTuple):
    """One row of the paper's table: ``layers`` blocks, of which the first one takes the stride."""

    expand: int
    kernel_size: int
    stride: int
    out_channels: int
    layers: int


STEM_CHANNELS: Final = 32
#: Table 1 of Tan and Le (2019), stages 2 to 8: the network B0.
STAGES: Final = (
    Stage(expand=1, kernel_size=3, stride=1, out_channels=16, layers=1),
    Stage(expand=6, kernel_size=3, stride=2, out_channels=24, layers=2),
    Stage(expand=6, kernel_size=5, stride=2, out_channels=40, layers=2),
    Stage(expand=6, kernel_size=3, stride=2, out_channels=80, layers=3),
    Stage(expand=6, kernel_size=5, stride=1, out_channels=112, layers=3),
    Stage(expand=6, kernel_size=5, stride=2, out_channels=192, layers=4),
    Stage(expand=6, kernel_size=3, stride=1, out_channels=320, layers=1),
)


class Scale(NamedTuple):
    """How one member of the family differs from B0.

    Attributes:
        width: factor on the number of channels, rounded by :func:`round_channels`.
        depth: factor on the layers of each stage, rounded up.
        resolution: side in pixels of the square input that it was made for; the network takes any.
        dropout: probability in front of the last layer.
    """

    width: float
    depth: float
    resolution: int
    dropout: float


SCALES: Final = {
    "efficientnet_b0": Scale(width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "efficientnet_b1": Scale(width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "efficientnet_b2": Scale(width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "efficientnet_b3": Scale(width=1.2, depth=1.4, resolution=300, dropout=0.3),
    "efficientnet_b4": Scale(width=1.4, depth=1.8, resolution=380, dropout=0.4),
    "efficientnet_b5": Scale(width=1.6, depth=2.2, resolution=456, dropout=0.4),
    "efficientnet_b6": Scale(width=1.8, depth=2.6, resolution=528, dropout=0.5),
    "efficientnet_b7": Scale(width=2.0, depth=3.1, resolution=600, dropout=0.5),
}
#: The weights of these were trained in TensorFlow, whose batch normalisation adds 0.001 to the variance and lets a new
#: batch count for 1 per cent of the running statistics. The others come from PyTorch, with its 0.00001 and 10 per cent.
TENSORFLOW_NORM: Final = ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7")


def round_channels(channels: float) -> int:
    """The multiple of 8 nearest to a number of channels, one more where that would take away over a tenth of them."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class ConvNorm(nn.Sequential):
    """The brick: convolution without bias, batch normalisation and, unless it is the block's last, SiLU."""

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
        padding = (kernel_size - 1) // 2
        layers = [
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        if activation:
            layers.append(nn.SiLU(inplace=True))
        super().__init__(*layers)


class MBConv(nn.Module):
    """Mobile inverted bottleneck with squeeze and excitation (Sandler et al. 2018; Tan et al. 2019, figure 7).

    Widen, filter each channel by itself, weigh the channels, narrow; add the input where it has the output's shape,
    that is with stride 1 and equal channels. (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride), rounded
    up.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expand: how many times wider the middle is than the input; 1 leaves out the widening convolution.
        kernel_size: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
        drop: probability that training leaves the block out for an image, where there is an input to add.
    """

    def __init__(
        self, in_channels: int, out_channels: int, expand: int, kernel_size: int, stride: int, drop: float = 0.0
    ) -> None:
        super().__init__()
        hidden = in_channels * expand
        layers: list[nn.Module] = []
        if expand != 1:
            layers.append(ConvNorm(in_channels, hidden))
        layers.append(ConvNorm(hidden, hidden, kernel_size, stride, groups=hidden))
        # a quarter of the block's input, not of the wide middle: expanding does not make the gate costlier
        layers.append(SqueezeExcitation(hidden, max(1, in_channels // 4), nn.SiLU))
        layers.append(ConvNorm(hidden, out_channels, activation=False))
        self.block = nn.Sequential(*layers)
        self.use_shortcut = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return x + self.stochastic_depth(y) if self.use_shortcut else y


class EfficientNet(nn.Module):
    """Stem, seven stages of MBConv, head, global average pooling, one linear layer.

    ``features`` maps (N, in_channels, H, W) to (N, C, H/32, W/32), rounded up, where C is 1280 for B0 and 2560 for B7;
    the result is (N, num_classes) logits.

    Args:
        scale: how much wider and deeper than B0.
        num_classes: number of outputs.
        in_channels: channels of the input.
        stochastic_depth: the probability that a block is left out in training grows in equal steps from 0 for the
            first block towards this for the last (Huang et al. 2016, section 3).
        norm_eps: what every batch normalisation adds to the variance.
        norm_momentum: how much a new batch counts in its running statistics.
    """

    def __init__(
        self,
        scale: Scale,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        stochastic_depth: float = 0.2,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        check_ends(num_classes, in_channels)
        layers = [math.ceil(stage.layers * scale.depth) for stage in STAGES]
        channels = round_channels(STEM_CHANNELS * scale.width)
        features: list[nn.Module] = [ConvNorm(in_channels, channels, kernel_size=3, stride=2)]
        number = 0  # of the block, counted through all stages
        for stage, stage_layers in zip(STAGES, layers, strict=True):
            out_channels = round_channels(stage.out_channels * scale.width)
            blocks = []
            for i in range(stage_layers):
                stride = stage.stride if i == 0 else 1
                drop = stochastic_depth * number / sum(layers)
                blocks.append(MBConv(channels, out_channels, stage.expand, stage.kernel_size, stride, drop))
                channels = out_channels
                number += 1
            features.append(nn.Sequential(*blocks))
        features.append(ConvNorm(channels, 4 * channels))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(scale.dropout, inplace=True), nn.Linear(4 * channels, num_classes))
        self._initialise(norm_eps, norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, C, H/32, W/32)
        x = self.avgpool(x).flatten(1)  # (N, C)
        return self.classifier(x)

    def _initialise(self, norm_eps: float, norm_momentum: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:  # of squeeze and excitation
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = norm_eps, norm_momentum
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
                nn.init.zeros_(module.bias)


def _efficientnet(name: str, num_classes: int, in_channels: int, weights: str | None) -> EfficientNet:
    ends = {"num_classes": num_classes, "in_channels": in_channels}
    state = None if weights is None else torchvision_weights(name, weights, **ends)
    norm = {"norm_eps": 1e-3, "norm_momentum": 0.01} if name in TENSORFLOW_NORM else {}
    model = EfficientNet(SCALES[name], **ends, **norm)
    if state is not None:
        model.load_state_dict(state)
    return model


@register
def efficientnet_b0(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B0: 5,288,548 parameters, made for 224 x 224 pixels.

    The settings and errors of all eight builders are the same.

    Args:
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        weights: torchvision's trained weights by name, such as ``"IMAGENET1K_V1"``; by default there are none. They
            need 1,000 classes and 3 channels.

    Raises:
        TypeError: a number that is not an int, or ``weights`` that is not a string.
        ValueError: a number below 1, an unknown name of weights, or weights with other ends than theirs.
    """
    return _efficientnet("efficientnet_b0", num_classes, in_channels, weights)


@register
def efficientnet_b1(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B1: 7,794,184 parameters, made for 240 x 240 pixels."""
    return _efficientnet("efficientnet_b1", num_classes, in_channels, weights)


@register
def efficientnet_b2(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B2: 9,109,994 parameters, made for 260 x 260 pixels."""
    return _efficientnet("efficientnet_b2", num_classes, in_channels, weights)


@register
def efficientnet_b3(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B3: 12,233,232 parameters, made for 300 x 300 pixels."""
    return _efficientnet("efficientnet_b3", num_classes, in_channels, weights)


@register
def efficientnet_b4(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B4: 19,341,616 parameters, made for 380 x 380 pixels."""
    return _efficientnet("efficientnet_b4", num_classes, in_channels, weights)


@register
def efficientnet_b5(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B5: 30,389,784 parameters, made for 456 x 456 pixels."""
    return _efficientnet("efficientnet_b5", num_classes, in_channels, weights)


@register
def efficientnet_b6(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B6: 43,040,704 parameters, made for 528 x 528 pixels."""
    return _efficientnet("efficientnet_b6", num_classes, in_channels, weights)


@register
def efficientnet_b7(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> EfficientNet:
    """EfficientNet-B7: 66,347,960 parameters, made for 600 x 600 pixels."""
    return _efficientnet("efficientnet_b7", num_classes, in_channels, weights)
