"""ResNets for pictures of 32 x 32 pixels, and the plain networks that they were compared with.

He et al. 2015, *Deep residual learning for image recognition*, section 4.2. A 3x3 convolution, three stages of n blocks
with 16, 32 and 64 channels on 32, 16 and 8 pixels, global average pooling and a linear layer: 6n + 2 layers with
weights.

Parameters are named as in most third-party implementations (``conv1``, ``bn1``, ``layer1.0.conv1``, ``linear``), so
their checkpoints load: :func:`coursekit.models.checkpoints.load_checkpoint`.
"""

import functools
from typing import Any, Final

from torch import Tensor, nn

from coursekit.models.blocks import (
    MakeBlock,
    PlainBlock,
    ResidualBlock,
    Shortcut,
    blocks_per_stage,
    check_choice,
    conv3x3,
    initialise,
    make_stages,
    takes_settings_of,
)
from coursekit.models.layers import check_ends
from coursekit.models.registry import register

__all__ = [
    "CifarResNet",
    "cifar_plain",
    "cifar_resnet",
    "plain20",
    "plain32",
    "plain44",
    "plain56",
    "plain110",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "se_resnet20",
]

#: Output channels of the three stages; those of the first convolution are the first of them.
CHANNELS: Final = (16, 32, 64)


class CifarResNet(nn.Module):
    """3x3 convolution, three stages of blocks, global average pooling, one linear layer; ReLU after each addition.

    The stages map (N, stem_channels, H, W) to H, H/2 and H/4 rows, rounded up; the result is (N, num_classes) logits.
    Any size of picture works.

    Args:
        make_block: gives one block, see :data:`MakeBlock`.
        blocks: blocks in each stage, n in the paper.
        channels: output channels of the three stages.
        stem_channels: output channels of the first convolution.
        num_classes: number of outputs.
        in_channels: channels of the input.
        se_reduction: see :func:`make_stages`.
        stochastic_depth: see :func:`make_stages`.
    """

    def __init__(
        self,
        make_block: MakeBlock,
        blocks: int,
        channels: tuple[int, int, int] = CHANNELS,
        stem_channels: int = CHANNELS[0],
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        se_reduction: int | None = None,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        check_ends(num_classes, in_channels)
        self.conv1 = conv3x3(in_channels, stem_channels)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = make_stages(
            make_block, blocks, channels, stem_channels, se_reduction, stochastic_depth
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels[-1], num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, H, W)
        x = self.layer1(x)  # (N, 16, H, W)
        x = self.layer2(x)  # (N, 32, H/2, W/2)
        x = self.layer3(x)  # (N, 64, H/4, W/4)
        x = self.avgpool(x).flatten(1)  # (N, 64)
        return self.linear(x)


def cifar_resnet(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    shortcut: Shortcut = "identity",
    se_reduction: int | None = None,
    stochastic_depth: float = 0.0,
    zero_init_residual: bool = False,
) -> CifarResNet:
    """ResNet of any depth 6n + 2 for CIFAR (He et al. 2015, section 4.2).

    Args:
        depth: layers with weights, shortcuts not counted: 8, 14, 20, ...
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        shortcut: where the shape changes, ``"identity"`` (option A, the paper's choice here: subsample and add zero
            channels, no parameters) or ``"projection"`` (option B: 1x1 convolution and normalisation).
        se_reduction: squeeze and excitation before each addition (Hu et al. 2018) with C / ``se_reduction`` channels in
            the middle, at least 4; 16 is the paper's choice. By default there is none.
        stochastic_depth: probability that a training step leaves out the last block for an image, 0 to below 1; earlier
            blocks less, down to 0 at the input (Huang et al. 2016). The paper's choice is 0.5, for 110 layers.
        zero_init_residual: start the last normalisation of each block at 0, so that every block without a change of
            shape starts as relu(x) (Goyal et al. 2017, section 5.1).

    Raises:
        TypeError: a number that is not an int where one is needed.
        ValueError: an impossible depth, shortcut or number; names it and what is allowed.
    """
    check_choice("shortcut", shortcut, Shortcut)
    make_block = functools.partial(ResidualBlock, shortcut=shortcut)
    model = CifarResNet(
        make_block,
        blocks_per_stage(depth, layers_per_block=2),
        num_classes=num_classes,
        in_channels=in_channels,
        se_reduction=se_reduction,
        stochastic_depth=stochastic_depth,
    )
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.bn2.weight)
    return model


def cifar_plain(
    depth: int, *, num_classes: int = 10, in_channels: int = 3, se_reduction: int | None = None
) -> CifarResNet:
    """The same network without shortcuts, and so with as many parameters (He et al. 2015, section 4.2, "plain").

    There is no stochastic depth: nothing would be left of a block without its branch. The settings are those of
    :func:`cifar_resnet`.
    """
    return CifarResNet(
        PlainBlock,
        blocks_per_stage(depth, layers_per_block=2),
        num_classes=num_classes,
        in_channels=in_channels,
        se_reduction=se_reduction,
    )


@register
@takes_settings_of(cifar_resnet)
def resnet20(**settings: Any) -> CifarResNet:
    """ResNet-20: 269,722 parameters; 8.75 % test error on CIFAR-10 in the paper.

    The settings and errors of all named ResNets are those of :func:`cifar_resnet`.
    """
    return cifar_resnet(20, **settings)


@register
@takes_settings_of(cifar_resnet)
def resnet32(**settings: Any) -> CifarResNet:
    """ResNet-32: 464,154 parameters; 7.51 % test error on CIFAR-10 in the paper."""
    return cifar_resnet(32, **settings)


@register
@takes_settings_of(cifar_resnet)
def resnet44(**settings: Any) -> CifarResNet:
    """ResNet-44: 658,586 parameters; 7.17 % test error on CIFAR-10 in the paper."""
    return cifar_resnet(44, **settings)


@register
@takes_settings_of(cifar_resnet)
def resnet56(**settings: Any) -> CifarResNet:
    """ResNet-56: 853,018 parameters; 6.97 % test error on CIFAR-10 in the paper."""
    return cifar_resnet(56, **settings)


@register
@takes_settings_of(cifar_resnet)
def resnet110(**settings: Any) -> CifarResNet:
    """ResNet-110: 1,727,962 parameters; 6.43 % test error on CIFAR-10 in the paper."""
    return cifar_resnet(110, **settings)


@register
@takes_settings_of(cifar_resnet, se_reduction=16)
def se_resnet20(**settings: Any) -> CifarResNet:
    """ResNet-20 with squeeze and excitation (Hu et al. 2018): 272,782 parameters."""
    return cifar_resnet(20, **settings)


@register
@takes_settings_of(cifar_plain)
def plain20(**settings: Any) -> CifarResNet:
    """ResNet-20 without shortcuts: 269,722 parameters. The settings are those of :func:`cifar_plain`."""
    return cifar_plain(20, **settings)


@register
@takes_settings_of(cifar_plain)
def plain32(**settings: Any) -> CifarResNet:
    """ResNet-32 without shortcuts: 464,154 parameters."""
    return cifar_plain(32, **settings)


@register
@takes_settings_of(cifar_plain)
def plain44(**settings: Any) -> CifarResNet:
    """ResNet-44 without shortcuts: 658,586 parameters."""
    return cifar_plain(44, **settings)


@register
@takes_settings_of(cifar_plain)
def plain56(**settings: Any) -> CifarResNet:
    """ResNet-56 without shortcuts: 853,018 parameters."""
    return cifar_plain(56, **settings)


@register
@takes_settings_of(cifar_plain)
def plain110(**settings: Any) -> CifarResNet:
    """ResNet-110 without shortcuts: 1,727,962 parameters."""
    return cifar_plain(110, **settings)
