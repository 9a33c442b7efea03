"""ResNet; and ResNeXt, Wide-ResNet and SE-ResNet, which are the same network with other numbers or one more layer.

From top to bottom: the residual blocks (He et al. 2015, figure 5), the network that stacks them in four stages (their
table 1), and one builder a network. Parameters are named as in torchvision's ResNet, so that its weights load.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from torch import Tensor, nn

from coursekit.models.layers import SqueezeExcitation, check_ends
from coursekit.models.registry import register
from coursekit.models.weights import torchvision_weights

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "SEBottleneck",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "se_resnet50",
    "wide_resnet50_2",
]

#: Table 1 of He et al. (2015): blocks in the stages conv2_x to conv5_x of each depth.
BLOCKS: Final[dict[int, tuple[int, int, int, int]]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: ``relu(residual(x) + shortcut(x))`` (He et al. 2015, figure 5, left).

    (N, in_channels, H, W) -> (N, channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        channels: channels of both convolutions.
        stride: of the first convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, channels, stride)  # torchvision's name for the shortcut
        self.out_channels = channels

    def residual(self, x: Tensor) -> Tensor:
        """What the convolutions make of the input."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, channels, H/stride, W/stride), as the output
        return self.bn2(self.conv2(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.downsample(x))

    def zero_residual(self) -> None:
        """Set the scale of the last normalisation to 0, and so the residual."""
        nn.init.zeros_(self.bn2.weight)


class Bottleneck(nn.Module):
    """Narrow with a 1x1, filter with a 3x3, widen with a 1x1, add the shortcut (He et al. 2015, figure 5, right).

    The stride is that of the 3x3. The paper has it on the first 1x1, which then reads one position in four and throws
    the others away; on the 3x3 every position is read. This is often called ResNet v1.5 (Goyal et al. 2017).

    The middle has ``groups * width_per_group`` channels in the first stage and doubles with every stage, as
    ``channels`` does. So one block serves three papers:

    ==============================================  ======  ===============
    network                                         groups  width per group
    ==============================================  ======  ===============
    ResNet (He et al. 2015)                              1               64
    ResNeXt 32x4d (Xie et al. 2017)                     32                4
    Wide-ResNet-2 (Zagoruyko and Komodakis 2016)         1              128
    ==============================================  ======  ===============

    (N, in_channels, H, W) -> (N, 4 * channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        channels: a quarter of the output's: 64 in the first stage, then 128, 256, 512.
        stride: of the 3x3 convolution.
        groups: of the 3x3 convolution; each output channel reads only the input channels of its group.
        width_per_group: channels of one group in the first stage.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, groups: int = 1, width_per_group: int = 64
    ) -> None:
        super().__init__()
        width = groups * width_per_group * channels // 64
        out_channels = 4 * channels
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, stride)
        self.out_channels = out_channels

    def residual(self, x: Tensor) -> Tensor:
        """What the convolutions make of the input."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        x = self.relu(self.bn2(self.conv2(x)))  # (N, width, H/stride, W/stride)
        return self.bn3(self.conv3(x))  # (N, 4 * channels, H/stride, W/stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.downsample(x))

    def zero_residual(self) -> None:
        """Set the scale of the last normalisation to 0, and so the residual."""
        nn.init.zeros_(self.bn3.weight)


class SEBottleneck(Bottleneck):
    """A bottleneck whose residual is weighed channel by channel before it is added (Hu et al. 2018, figure 3)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, stride)
        self.se = SqueezeExcitation(self.out_channels, self.out_channels // 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.se(self.residual(x)) + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The input itself where shapes agree, else its projection by a strided 1x1 (He et al. 2015, option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


#: ``make_block(in_channels, channels, stride)`` gives one block.
MakeBlock = Callable[[int, int, int], BasicBlock | Bottleneck]


class ResNet(nn.Module):
    """Stem, four stages of residual blocks, global average pooling, one linear layer.

    Maps (N, in_channels, H, W) to (N, num_classes) logits; the last feature map is H/32 x W/32, rounded up.

    Args:
        block: makes one block from the channels of its input, the stage's number of channels, and the stride.
        blocks: number of blocks in each stage.
        num_classes: number of outputs.
        in_channels: channels of the input.
        zero_init_residual: start with every residual at zero, so that a block begins as its shortcut: the weight of
            the block's last normalisation is set to 0 (Goyal et al. 2017, section 5.1).
    """

    def __init__(
        self,
        block: MakeBlock,
        blocks: tuple[int, int, int, int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        check_ends(num_classes, in_channels)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = stage(block, self.layer1[-1].out_channels, 128, blocks[1], stride=2)
        self.layer3 = stage(block, self.layer2[-1].out_channels, 256, blocks[2], stride=2)
        self.layer4 = stage(block, self.layer3[-1].out_channels, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.layer4[-1].out_channels, num_classes)
        self._initialise(zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = self.maxpool(x)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, C, H/4, W/4); C is 64 with basic blocks, 256 with bottlenecks
        x = self.layer2(x)  # (N, 2C, H/8, W/8)
        x = self.layer3(x)  # (N, 4C, H/16, W/16)
        x = self.layer4(x)  # (N, 8C, H/32, W/32)
        x = self.avgpool(x).flatten(1)  # (N, 8C)
        return self.fc(x)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:  # of squeeze and excitation
                    nn.init.zeros_(module.bias)
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                module.zero_residual()


def stage(block: MakeBlock, in_channels: int, channels: int, number: int, stride: int) -> nn.Sequential:
    """``number`` blocks one after another; the first takes the stride and the change of channels."""
    layers = [block(in_channels, channels, stride)]
    for _ in range(number - 1):
        layers.append(block(layers[-1].out_channels, channels, 1))
    return nn.Sequential(*layers)


def _resnet(
    name: str,
    block: MakeBlock,
    depth: int,
    num_classes: int,
    in_channels: int,
    weights: str | None,
    zero_init_residual: bool,
) -> ResNet:
    ends = {"num_classes": num_classes, "in_channels": in_channels}
    state = None if weights is None else torchvision_weights(name, weights, **ends)
    model = ResNet(block, BLOCKS[depth], zero_init_residual=zero_init_residual, **ends)
    if state is not None:
        model.load_state_dict(state)
    return model


@register
def resnet18(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-18 (He et al. 2015): 11,689,512 parameters.

    The settings and errors of all builders here are the same; ``se_resnet50`` has no ``weights``.

    Args:
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        weights: torchvision's trained weights by name, such as ``"IMAGENET1K_V1"``; by default there are none. They
            need 1,000 classes and 3 channels.
        zero_init_residual: start with every residual at zero (:class:`ResNet`); trained weights replace it.

    Raises:
        TypeError: a number that is not an int, or ``weights`` that is not a string.
        ValueError: a number below 1, an unknown name of weights, or weights with other ends than theirs.
    """
    return _resnet("resnet18", BasicBlock, 18, num_classes, in_channels, weights, zero_init_residual)


@register
def resnet34(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-34 (He et al. 2015): 21,797,672 parameters."""
    return _resnet("resnet34", BasicBlock, 34, num_classes, in_channels, weights, zero_init_residual)


@register
def resnet50(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-50 (He et al. 2015), the stride on the 3x3: 25,557,032 parameters."""
    return _resnet("resnet50", Bottleneck, 50, num_classes, in_channels, weights, zero_init_residual)


@register
def resnet101(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-101 (He et al. 2015), the stride on the 3x3: 44,549,160 parameters."""
    return _resnet("resnet101", Bottleneck, 101, num_classes, in_channels, weights, zero_init_residual)


@register
def resnet152(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-152 (He et al. 2015), the stride on the 3x3: 60,192,808 parameters."""
    return _resnet("resnet152", Bottleneck, 152, num_classes, in_channels, weights, zero_init_residual)


@register
def resnext50_32x4d(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNeXt-50 with 32 groups of 4 channels (Xie et al. 2017): 25,028,904 parameters."""
    block = partial(Bottleneck, groups=32, width_per_group=4)
    return _resnet("resnext50_32x4d", block, 50, num_classes, in_channels, weights, zero_init_residual)


@register
def resnext101_32x8d(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNeXt-101 with 32 groups of 8 channels (Xie et al. 2017): 88,791,336 parameters."""
    block = partial(Bottleneck, groups=32, width_per_group=8)
    return _resnet("resnext101_32x8d", block, 101, num_classes, in_channels, weights, zero_init_residual)


@register
def wide_resnet50_2(
    *, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-50 with twice the channels in the 3x3 (Zagoruyko and Komodakis 2016): 68,883,240 parameters."""
    block = partial(Bottleneck, width_per_group=128)
    return _resnet("wide_resnet50_2", block, 50, num_classes, in_channels, weights, zero_init_residual)


@register
def se_resnet50(*, num_classes: int = 1000, in_channels: int = 3, zero_init_residual: bool = False) -> ResNet:
    """SE-ResNet-50 (Hu et al. 2018), reduction 16: 28,088,024 parameters. torchvision has no weights for it."""
    return ResNet(
        SEBottleneck,
        BLOCKS[50],
        num_classes=num_classes,
        in_channels=in_channels,
        zero_init_residual=zero_init_residual,
    )
