"""ResNeXt for CIFAR (Xie et al. 2017, section 5.4): the same block with its middle cut into independent groups.

A block sums C ("cardinality") transformations of equal shape; a grouped convolution computes the same (figure 3c).
"""

from typing import Any, Final

from torch import Tensor, nn

from coursekit.models.blocks import check_int, conv1x1, conv3x3, make_shortcut, takes_settings_of
from coursekit.models.cifar_basic import CifarResNet
from coursekit.models.registry import register

__all__ = ["ResNeXtBlock", "resnext29", "resnext29_4x16d", "resnext29_8x64d", "resnext29_16x64d"]

#: Output channels of the first block, for which ``base_width`` is meant; the first convolution has a quarter of them.
BASE_CHANNELS: Final = 256
#: Blocks in each stage: 3 stages of 3 blocks of 3 layers, the first convolution and the linear layer make 29.
BLOCKS: Final = 3


class ResNeXtBlock(nn.Module):
    """y = relu(F(x) + shortcut(x)), F = BN conv1x1 relu BN conv3x3 relu BN conv1x1, the 3x3 in groups (figure 3c).

    Shape: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the 3x3 convolution and of the shortcut.
        gate: what happens to F(x) before the addition, see :func:`coursekit.models.blocks.make_gate`.
        cardinality: number of groups.
        group_width: channels of one group.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        cardinality: int,
        group_width: int,
    ) -> None:
        super().__init__()
        channels = cardinality * group_width
        self.conv1 = conv1x1(in_channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride, groups=cardinality)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.gate = nn.Identity() if gate is None else gate
        self.shortcut = make_shortcut(in_channels, out_channels, stride, "projection")

    def branch(self, x: Tensor) -> Tensor:
        """F(x), gated."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.gate(self.bn3(self.conv3(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


def resnext29(
    cardinality: int,
    base_width: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    se_reduction: int | None = None,
    stochastic_depth: float = 0.0,
    zero_init_residual: bool = False,
) -> CifarResNet:
    """ResNeXt-29 with ``cardinality`` groups; stages of 256, 512 and 1024 channels, projections as shortcuts.

    Args:
        cardinality: number of groups, C in the paper, >= 1; with 1 it is a ResNet of bottlenecks.
        base_width: channels of a group in the first stage, d in the paper, >= 1; twice and four times that later.
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        se_reduction: squeeze and excitation before each addition, as in
            :func:`~coursekit.models.cifar_basic.cifar_resnet`.
        stochastic_depth: probability of leaving out the last block in training, as there.
        zero_init_residual: start the last normalisation of each block at 0, as there.

    Raises:
        TypeError: a number that is not an int where one is needed.
        ValueError: a number out of its range; names it and what is allowed.
    """
    check_int("cardinality", cardinality, minimum=1)
    check_int("base_width", base_width, minimum=1)

    def make_block(in_channels: int, out_channels: int, stride: int, gate: nn.Module) -> ResNeXtBlock:
        group_width = base_width * out_channels // BASE_CHANNELS
        return ResNeXtBlock(in_channels, out_channels, stride, gate, cardinality=cardinality, group_width=group_width)

    model = CifarResNet(
        make_block,
        BLOCKS,
        (BASE_CHANNELS, 2 * BASE_CHANNELS, 4 * BASE_CHANNELS),
        BASE_CHANNELS // 4,
        num_classes=num_classes,
        in_channels=in_channels,
        se_reduction=se_reduction,
        stochastic_depth=stochastic_depth,
    )
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, ResNeXtBlock):
                nn.init.zeros_(module.bn3.weight)
    return model


@register
@takes_settings_of(resnext29)
def resnext29_4x16d(**settings: Any) -> CifarResNet:
    """ResNeXt-29, 4 groups of 16 channels, the smallest of the family here: 3,172,426 parameters.

    The settings are those of :func:`resnext29`.
    """
    return resnext29(4, 16, **settings)


@register
@takes_settings_of(resnext29)
def resnext29_8x64d(**settings: Any) -> CifarResNet:
    """ResNeXt-29, 8 groups of 64 channels: 34,426,698 parameters; 3.65 % test error on CIFAR-10 in the paper."""
    return resnext29(8, 64, **settings)


@register
@takes_settings_of(resnext29)
def resnext29_16x64d(**settings: Any) -> CifarResNet:
    """ResNeXt-29, 16 groups of 64 channels: 68,155,210 parameters; 3.58 % test error on CIFAR-10 in the paper."""
    return resnext29(16, 64, **settings)
