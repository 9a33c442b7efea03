"""A convolutional network as one would design it after reading the chapters before.

Each choice is one of the course's design principles:

- small filters: three 3x3 convolutions make the stem, which sees 11 pixels as the 7x7 and the pooling of a ResNet do;
- a normalisation for every convolution, and so no bias in any;
- pre-activation bottlenecks (He et al. 2016): a free path from the stem to the head;
- squeeze and excitation in each block (Hu et al. 2018);
- where the resolution halves, the shortcut averages before it projects, so no pixel goes unread (He et al. 2019);
- global average pooling and one linear layer (Lin et al. 2013): any resolution, and few weights in the head.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Final, Literal

from torch import Tensor, nn

from coursekit.models.blocks import check_choice, check_int, conv1x1, conv3x3, initialise, make_gate
from coursekit.models.layers import check_ends
from coursekit.models.registry import register

__all__ = ["ModernBlock", "ModernCNN", "modern_cnn"]

Norm = Literal["batch", "group"]
MakeNorm = Callable[[int], nn.Module]

#: Output channels of a block for each channel of its 3x3 convolution (He et al. 2015, figure 5).
EXPANSION: Final = 4
SE_REDUCTION: Final = 16
#: Wu and He (2018) find 8 to 64 channels a group about equally good.
CHANNELS_PER_GROUP: Final = 8
#: Stride of each of the three convolutions in the stem, by the stride of the whole.
STEM_STRIDES: Final = {1: (1, 1, 1), 2: (2, 1, 1), 4: (2, 1, 2)}


class ModernBlock(nn.Module):
    """Pre-activation bottleneck with squeeze and excitation: y = SE(F(x)) + shortcut(x).

    F = conv1x1 relu norm conv3x3 relu norm conv1x1 relu norm, read from right to left. Where the shape changes, the
    shortcut starts from relu(norm(x)), too, and is a 1x1 convolution, after a 3x3 average if the resolution halves. The
    average has the size of the branch's convolution, so that both paths have their centres on the same pixels.

    Shape: (N, in_channels, H, W) -> (N, 4 * channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        channels: of the 3x3 convolution in the middle.
        stride: of the 3x3 convolution, 1 or 2.
        make_norm: gives the normalisation of so many channels.
        drop_probability: of stochastic depth, see :class:`coursekit.models.layers.StochasticDepth`.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int, make_norm: MakeNorm, drop_probability: float = 0.0
    ) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.norm1 = make_norm(in_channels)
        self.conv1 = conv1x1(in_channels, channels)
        self.norm2 = make_norm(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.norm3 = make_norm(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.relu = nn.ReLU()
        self.gate = make_gate(out_channels, SE_REDUCTION, drop_probability)
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.norm1(x))
        around = x if isinstance(self.shortcut, nn.Identity) else activated
        y = self.conv1(activated)  # (N, channels, H, W)
        y = self.conv2(self.relu(self.norm2(y)))  # (N, channels, H/stride, W/stride)
        y = self.conv3(self.relu(self.norm3(y)))  # (N, 4 * channels, H/stride, W/stride)
        return self.gate(y) + self.shortcut(around)


class ModernCNN(nn.Module):
    """Stem, stages of :class:`ModernBlock`, normalisation and ReLU, average pooling, linear layer.

    ``stages`` maps to (N, 4 * width * 2**(len(stages) - 1), h, w), where h is H over ``stem_stride``, halved from stage
    to stage and rounded up. The result is (N, num_classes) logits. The arguments are those of :func:`modern_cnn`.
    """

    def __init__(
        self,
        stages: Sequence[int],
        width: int,
        stem_stride: int,
        *,
        norm: Norm = "batch",
        stochastic_depth: float = 0.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        make_norm = nn.BatchNorm2d if norm == "batch" else _group_norm
        self.stem = _stem(in_channels, width, stem_stride, make_norm)
        self.stages = nn.Sequential()
        number, channels = itertools.count(1), width
        for stage, blocks in enumerate(stages):
            layers = []
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                drop_probability = stochastic_depth * next(number) / sum(stages)
                layers.append(ModernBlock(channels, width * 2**stage, stride, make_norm, drop_probability))
                channels = EXPANSION * width * 2**stage
            self.stages.append(nn.Sequential(*layers))
        self.norm = make_norm(channels)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels, num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, width, H/4, W/4)
        x = self.stages(x)  # (N, 32 * width, H/32, W/32)
        x = self.relu(self.norm(x))
        x = self.avgpool(x).flatten(1)  # (N, 32 * width)
        return self.linear(x)


@register
def modern_cnn(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stages: Sequence[int] = (3, 4, 6, 3),
    width: int = 32,
    stem_stride: int = 4,
    norm: Norm = "batch",
    stochastic_depth: float = 0.0,
) -> ModernCNN:
    """The modern CNN of chapter 13: 7,553,264 parameters, for photographs of about 224 x 224 pixels.

    For CIFAR or the parcels, ``modern_cnn(num_classes=10, stages=(2, 2, 2), width=16, stem_stride=1)`` has 243,482.

    Args:
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        stages: blocks in each stage, >= 1 each; from stage to stage the channels double and the resolution halves.
        width: channels of the 3x3 convolutions in the first stage, a multiple of 16.
        stem_stride: how far the stem reduces the resolution: 4 for photographs, 2 from about 64 pixels, 1 for 32.
        norm: ``"batch"``, or ``"group"`` for batches of fewer than about 8 images, where the statistics of a batch are
            too noisy (Wu and He 2018): groups of 8 channels, which never look at another image.
        stochastic_depth: probability that training leaves out the last block for an image, 0 to below 1; earlier blocks
            less, down to 0 at the input (Huang et al. 2016).

    Raises:
        TypeError: a number that is not an int where one is needed.
        ValueError: a value that is not allowed; names it and what is.
    """
    check_ends(num_classes, in_channels)
    if not isinstance(stages, Sequence):
        raise TypeError(f"stages must be a sequence of ints, got {stages!r}")
    if not stages:
        raise ValueError("stages must name at least one stage, got none")
    for blocks in stages:
        check_int("every entry of stages", blocks, minimum=1)
    check_int("width", width, minimum=16)
    if width % 16:
        raise ValueError(f"width must be a multiple of 16, got {width}")
    if stem_stride not in STEM_STRIDES:
        raise ValueError(f"stem_stride must be 1, 2 or 4, got {stem_stride!r}")
    check_choice("norm", norm, Norm)
    if not 0 <= stochastic_depth < 1:
        raise ValueError(f"stochastic_depth must be at least 0 and below 1, got {stochastic_depth}")
    return ModernCNN(
        stages,
        width,
        stem_stride,
        norm=norm,
        stochastic_depth=stochastic_depth,
        num_classes=num_classes,
        in_channels=in_channels,
    )


def _stem(in_channels: int, width: int, stride: int, make_norm: MakeNorm) -> nn.Sequential:
    """Three 3x3 convolutions; the last one's normalisation and ReLU are those of the first block."""
    first, second, third = STEM_STRIDES[stride]
    return nn.Sequential(
        conv3x3(in_channels, width // 2, first),
        make_norm(width // 2),
        nn.ReLU(),
        conv3x3(width // 2, width // 2, second),
        make_norm(width // 2),
        nn.ReLU(),
        conv3x3(width // 2, width, third),
    )


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if stride == 1:
        return conv1x1(in_channels, out_channels)
    average = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return nn.Sequential(average, conv1x1(in_channels, out_channels))


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // CHANNELS_PER_GROUP, channels)
