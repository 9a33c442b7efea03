"""Wide ResNets for CIFAR (Zagoruyko and Komodakis 2016): few blocks, k times as many channels.

The blocks are those of the pre-activation ResNet, with dropout between their convolutions where it is wanted. Wherever
the shape changes the shortcut is a 1x1 convolution that starts, as the branch does, from relu(BN(x)).
"""

import functools
from typing import Any

from torch import Tensor, nn

from coursekit.models.blocks import blocks_per_stage, check_int, takes_settings_of
from coursekit.models.cifar_preact import Activate, PreActBlock, PreActResNet
from coursekit.models.registry import register

__all__ = ["WideBlock", "wide_resnet", "wrn_16_4", "wrn_16_8", "wrn_28_10", "wrn_40_2", "wrn_40_4"]


class WideBlock(PreActBlock):
    """The block of two convolutions with dropout between them (Zagoruyko and Komodakis 2016, figure 1d).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the shortcut.
        gate: what happens to F(x) before the addition.
        dropout: share of activations that the second convolution does not get to see in training.
        activate: see :class:`PreActUnit`. The shortcut is a projection wherever the shape changes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        dropout: float = 0.0,
        activate: Activate = "branch",
    ) -> None:
        super().__init__(in_channels, out_channels, stride, gate, shortcut="projection", activate=activate)
        self.dropout = nn.Dropout(dropout)

    def branch(self, activated: Tensor) -> Tensor:
        x = self.conv1(activated)
        return self.conv2(self.dropout(self.relu(self.bn2(x))))


def wide_resnet(
    depth: int,
    width: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    dropout: float = 0.0,
    se_reduction: int | None = None,
    stochastic_depth: float = 0.0,
) -> PreActResNet:
    """WRN-depth-width for CIFAR: stages of 16, 32 and 64 times ``width`` channels (Zagoruyko and Komodakis 2016).

    Args:
        depth: 6n + 4; the paper counts the three projections, but not the linear layer.
        width: k in the paper, >= 1.
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        dropout: between the convolutions of each block, 0 to below 1; 0.3 in the paper, where it is used.
        se_reduction: squeeze and excitation before each addition, as in
            :func:`~coursekit.models.cifar_basic.cifar_resnet`.
        stochastic_depth: probability of leaving out the last block in training, as there.

    Raises:
        TypeError: a number that is not an int where one is needed.
        ValueError: an impossible depth, width or other number; names it and what is allowed.
    """
    blocks = blocks_per_stage(depth, layers_per_block=2, around=4)
    check_int("width", width, minimum=1)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
    return PreActResNet(
        functools.partial(WideBlock, dropout=dropout),
        blocks,
        (16 * width, 32 * width, 64 * width),
        share_at_changes=True,
        num_classes=num_classes,
        in_channels=in_channels,
        se_reduction=se_reduction,
        stochastic_depth=stochastic_depth,
    )


@register
@takes_settings_of(wide_resnet)
def wrn_16_4(**settings: Any) -> PreActResNet:
    """WRN-16-4: 2,748,890 parameters. The settings are those of :func:`wide_resnet`."""
    return wide_resnet(16, 4, **settings)


@register
@takes_settings_of(wide_resnet)
def wrn_16_8(**settings: Any) -> PreActResNet:
    """WRN-16-8: 10,961,370 parameters."""
    return wide_resnet(16, 8, **settings)


@register
@takes_settings_of(wide_resnet)
def wrn_28_10(**settings: Any) -> PreActResNet:
    """WRN-28-10: 36,479,194 parameters."""
    return wide_resnet(28, 10, **settings)


@register
@takes_settings_of(wide_resnet)
def wrn_40_2(**settings: Any) -> PreActResNet:
    """WRN-40-2: 2,243,546 parameters."""
    return wide_resnet(40, 2, **settings)


@register
@takes_settings_of(wide_resnet)
def wrn_40_4(**settings: Any) -> PreActResNet:
    """WRN-40-4: 8,949,210 parameters."""
    return wide_resnet(40, 4, **settings)
