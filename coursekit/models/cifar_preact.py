"""Pre-activation ResNets for CIFAR (He et al. 2016, *Identity mappings in deep residual networks*).

Normalisation and ReLU move from behind a convolution to before it. Nothing is left on the path around a block but the
addition, so the signal runs from block to block unchanged: x_L = x_l + F_l + ... + F_(L-1) (equation 4).

Where the two paths part is a detail in which implementations differ. Here, as in the paper's appendix and its first
author's code:

- a block whose shapes agree normalises and activates its branch only; the shortcut carries x itself;
- the first block of the network, and every block with a projection, does so before the paths part, so both share it;
- a shortcut that subsamples and adds zero channels carries x itself: it has nothing to learn, and keeps the path clean;
- after the last block comes one more normalisation and ReLU.
"""

import functools
from collections.abc import Callable
from typing import Any, Final, Literal

from torch import Tensor, nn

from coursekit.models.blocks import (
    PadShortcut,
    Shortcut,
    blocks_per_stage,
    check_choice,
    conv1x1,
    conv3x3,
    initialise,
    make_stages,
    takes_settings_of,
)
from coursekit.models.layers import check_ends
from coursekit.models.registry import register

__all__ = [
    "Activate",
    "PreActBlock",
    "PreActBottleneck",
    "PreActResNet",
    "PreActUnit",
    "preact_resnet",
    "preact_resnet20",
    "preact_resnet32",
    "preact_resnet44",
    "preact_resnet56",
    "preact_resnet110",
    "preact_resnet164",
    "preact_resnet1001",
]

#: What the first normalisation and ReLU of a block act on: its branch only, or both paths.
Activate = Literal["branch", "both"]

STEM_CHANNELS: Final = 16
#: Output channels of the three stages, for blocks of two convolutions and for bottlenecks.
CHANNELS: Final = {"basic": (16, 32, 64), "bottleneck": (64, 128, 256)}


class PreActUnit(nn.Module):
    """y = gate(F(x)) + shortcut(x), with F = branch(relu(BN(x))); what the branch holds is for the subclasses to say.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the shortcut, and of one convolution in the branch.
        gate: what happens to F(x) before the addition, see :func:`coursekit.models.blocks.make_gate`.
        shortcut: where the shape changes, ``"identity"`` subsamples and adds zero channels, ``"projection"`` convolves;
            without normalisation, which the next block begins with.
        activate: with ``"both"`` the shortcut starts from relu(BN(x)), too, instead of from x.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        shortcut: Shortcut = "identity",
        activate: Activate = "branch",
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.gate = nn.Identity() if gate is None else gate
        self.shortcut = _make_shortcut(in_channels, out_channels, stride, shortcut)
        self.activate = activate

    def branch(self, activated: Tensor) -> Tensor:
        """F without its first normalisation and ReLU."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.bn1(x))
        around = activated if self.activate == "both" else x
        return self.gate(self.branch(activated)) + self.shortcut(around)

    def extra_repr(self) -> str:
        return f"activate={self.activate!r}"


class PreActBlock(PreActUnit):
    """F = conv relu BN conv relu BN with 3x3 convolutions, of which the first takes the stride (figure 1b).

    The arguments are those of :class:`PreActUnit`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        shortcut: Shortcut = "identity",
        activate: Activate = "branch",
    ) -> None:
        super().__init__(in_channels, out_channels, stride, gate, shortcut=shortcut, activate=activate)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)

    def branch(self, activated: Tensor) -> Tensor:
        x = self.conv1(activated)
        return self.conv2(self.relu(self.bn2(x)))


class PreActBottleneck(PreActUnit):
    """1x1, 3x3 and 1x1 convolutions; the 3x3 has a quarter of the output's channels, and the stride.

    The authors' code has the stride on the first 1x1, which then reads one pixel in four. The arguments are those of
    :class:`PreActUnit`; ``out_channels`` is a multiple of 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        shortcut: Shortcut = "identity",
        activate: Activate = "branch",
    ) -> None:
        super().__init__(in_channels, out_channels, stride, gate, shortcut=shortcut, activate=activate)
        channels = out_channels // 4
        self.conv1 = conv1x1(in_channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)

    def branch(self, activated: Tensor) -> Tensor:
        x = self.conv1(activated)
        x = self.conv2(self.relu(self.bn2(x)))
        return self.conv3(self.relu(self.bn3(x)))


class PreActResNet(nn.Module):
    """3x3 convolution, three stages of pre-activation blocks, normalisation and ReLU, average pooling, linear layer.

    The stages map (N, 16, H, W) to H, H/2 and H/4 rows, rounded up; the result is (N, num_classes) logits. Any size of
    picture works.

    Args:
        unit: gives a block, called as :class:`PreActBlock` is; ``shortcut`` or ``dropout`` may be bound to it.
        blocks: blocks in each stage, n in the paper.
        channels: output channels of the three stages.
        share_at_changes: whether blocks that change the shape activate before the paths part.
        num_classes: number of outputs.
        in_channels: channels of the input.
        se_reduction: see :func:`coursekit.models.blocks.make_stages`.
        stochastic_depth: see :func:`coursekit.models.blocks.make_stages`.
    """

    def __init__(
        self,
        unit: Callable[..., PreActUnit],
        blocks: int,
        channels: tuple[int, int, int],
        *,
        share_at_changes: bool,
        num_classes: int = 10,
        in_channels: int = 3,
        se_reduction: int | None = None,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        check_ends(num_classes, in_channels)

        def make_block(in_channels: int, out_channels: int, stride: int, gate: nn.Module) -> PreActUnit:
            changes = stride != 1 or in_channels != out_channels
            activate = "both" if changes and share_at_changes else "branch"
            return unit(in_channels, out_channels, stride, gate, activate=activate)

        self.conv1 = conv3x3(in_channels, STEM_CHANNELS)
        self.layer1, self.layer2, self.layer3 = make_stages(
            make_block,
            blocks,
            channels,
            STEM_CHANNELS,
            se_reduction,
            stochastic_depth,
            make_first_block=functools.partial(unit, activate="both"),
        )
        self.bn = nn.BatchNorm2d(channels[-1])
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels[-1], num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)  # (N, 16, H, W)
        x = self.layer1(x)  # (N, channels[0], H, W)
        x = self.layer2(x)  # (N, channels[1], H/2, W/2)
        x = self.layer3(x)  # (N, channels[2], H/4, W/4)
        x = self.relu(self.bn(x))
        x = self.avgpool(x).flatten(1)  # (N, channels[2])
        return self.linear(x)


def preact_resnet(
    depth: int,
    block: Literal["basic", "bottleneck"] = "basic",
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    shortcut: Shortcut = "identity",
    se_reduction: int | None = None,
    stochastic_depth: float = 0.0,
) -> PreActResNet:
    """Pre-activation ResNet of depth 6n + 2, or 9n + 2 with bottlenecks, for CIFAR (He et al. 2016).

    With blocks of two convolutions and ``shortcut="identity"`` it has exactly as many parameters as its post-activation
    twin: normalising the inputs of convolutions instead of their outputs saves what the last normalisation costs.

    Args:
        depth: layers with weights, shortcuts not counted.
        block: ``"basic"`` (:class:`PreActBlock`) or ``"bottleneck"`` (:class:`PreActBottleneck`, four times wider).
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        shortcut: where the shape changes, ``"identity"`` (subsample and add zero channels) or ``"projection"`` (1x1).
        se_reduction: squeeze and excitation before each addition, as in
            :func:`~coursekit.models.cifar_basic.cifar_resnet`.
        stochastic_depth: probability of leaving out the last block in training, as there.

    Raises:
        TypeError: a number that is not an int where one is needed.
        ValueError: an impossible depth, block, shortcut or number; names it and what is allowed.
    """
    check_choice("block", block, Literal["basic", "bottleneck"])
    check_choice("shortcut", shortcut, Shortcut)
    unit, layers = {"basic": (PreActBlock, 2), "bottleneck": (PreActBottleneck, 3)}[block]
    return PreActResNet(
        functools.partial(unit, shortcut=shortcut),
        blocks_per_stage(depth, layers_per_block=layers),
        CHANNELS[block],
        share_at_changes=shortcut == "projection",
        num_classes=num_classes,
        in_channels=in_channels,
        se_reduction=se_reduction,
        stochastic_depth=stochastic_depth,
    )


@register
@takes_settings_of(preact_resnet)
def preact_resnet20(**settings: Any) -> PreActResNet:
    """Pre-activation ResNet-20: 269,722 parameters. The settings are those of :func:`preact_resnet`."""
    return preact_resnet(20, **settings)


@register
@takes_settings_of(preact_resnet)
def preact_resnet32(**settings: Any) -> PreActResNet:
    """Pre-activation ResNet-32: 464,154 parameters."""
    return preact_resnet(32, **settings)


@register
@takes_settings_of(preact_resnet)
def preact_resnet44(**settings: Any) -> PreActResNet:
    """Pre-activation ResNet-44: 658,586 parameters."""
    return preact_resnet(44, **settings)


@register
@takes_settings_of(preact_resnet)
def preact_resnet56(**settings: Any) -> PreActResNet:
    """Pre-activation ResNet-56: 853,018 parameters."""
    return preact_resnet(56, **settings)


@register
@takes_settings_of(preact_resnet)
def preact_resnet110(**settings: Any) -> PreActResNet:
    """Pre-activation ResNet-110: 1,727,962 parameters."""
    return preact_resnet(110, **settings)


@register
@takes_settings_of(preact_resnet, shortcut="projection")
def preact_resnet164(**settings: Any) -> PreActResNet:
    """ResNet-164 of pre-activation bottlenecks: 1,703,258 parameters; 5.46 % test error on CIFAR-10 in the paper."""
    return preact_resnet(164, "bottleneck", **settings)


@register
@takes_settings_of(preact_resnet, shortcut="projection")
def preact_resnet1001(**settings: Any) -> PreActResNet:
    """ResNet-1001 of pre-activation bottlenecks: 10,327,706 parameters; 4.62 % test error on CIFAR-10 in the paper."""
    return preact_resnet(1001, "bottleneck", **settings)


def _make_shortcut(in_channels: int, out_channels: int, stride: int, kind: Shortcut) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "identity":
        return PadShortcut(in_channels, out_channels, stride)
    return conv1x1(in_channels, out_channels, stride)
