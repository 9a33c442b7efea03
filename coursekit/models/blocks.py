"""The bricks of residual networks: blocks, shortcuts, gates, and the three stages of those for CIFAR.

A residual block computes y = relu(g * F(x) + shortcut(x)). F is the branch of two or three convolutions, g the gate:
nothing, a number for each channel (squeeze and excitation), a coin for each image (stochastic depth), or both.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.models.layers import SqueezeExcitation, StochasticDepth

__all__ = [
    "MakeBlock",
    "PadShortcut",
    "PlainBlock",
    "ResidualBlock",
    "Shortcut",
    "blocks_per_stage",
    "check_choice",
    "check_int",
    "conv1x1",
    "conv3x3",
    "initialise",
    "make_gate",
    "make_shortcut",
    "make_stages",
    "takes_settings_of",
]

#: How a shortcut changes the shape: ``"identity"`` is option A of He et al. (2015), ``"projection"`` is option B.
Shortcut = Literal["identity", "projection"]
#: ``make_block(in_channels, out_channels, stride, gate)`` gives one block.
MakeBlock = Callable[[int, int, int, nn.Module], nn.Module]
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

#: A sixteenth of 16 channels would be a single unit, which can only open or close all channels together.
MIN_SQUEEZE_CHANNELS: Final = 4


class PlainBlock(nn.Module):
    """Two 3x3 convolutions, each normalised: y = relu(F(x)), F = BN conv relu BN conv.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride), rounded up.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution.
        gate: what happens to F(x) before it leaves, see :func:`make_gate`; by default nothing.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.gate = nn.Identity() if gate is None else gate

    def branch(self, x: Tensor) -> Tensor:
        """F(x), gated."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.gate(self.bn2(self.conv2(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x))


class ResidualBlock(PlainBlock):
    """The plain block and a path around it: y = relu(F(x) + shortcut(x)) (He et al. 2015, figure 2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the shortcut.
        gate: what happens to F(x) before the addition.
        shortcut: where the shape changes, ``"identity"`` subsamples and adds zero channels, ``"projection"`` convolves.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        gate: nn.Module | None = None,
        *,
        shortcut: Shortcut = "identity",
    ) -> None:
        super().__init__(in_channels, out_channels, stride, gate)
        self.shortcut = make_shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


class PadShortcut(nn.Module):
    """Option A of the paper: every ``stride``-th pixel, and channels of zeros; no parameters.

    He et al. (2015) do not say where the zeros go. Here half of them come before and half after the channels of the
    input (an odd one after), as in the PyTorch implementations whose checkpoints are in use; the Torch implementation
    fb.resnet.torch has them all at the end. A network trained one way does not work the other way.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride), rounded up.

    Raises:
        ValueError: fewer output than input channels; zeros can only be added.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(f"out_channels must be at least in_channels = {in_channels}, got {out_channels}")
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))  # pairs from the last axis backwards: W, H, C

    def extra_repr(self) -> str:
        return f"stride={self.stride}, zeros_before={self.before}, zeros_after={self.after}"


def make_shortcut(in_channels: int, out_channels: int, stride: int, kind: Shortcut) -> nn.Module:
    """The path around a block: the identity wherever the shape stays, else what ``kind`` says (options A and B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "identity":
        return PadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


def make_stages(
    make_block: MakeBlock,
    blocks: int,
    channels: tuple[int, int, int],
    stem_channels: int,
    se_reduction: int | None = None,
    stochastic_depth: float = 0.0,
    *,
    make_first_block: MakeBlock | None = None,
) -> list[nn.Sequential]:
    """Three stages of ``blocks`` blocks; the first block of the second and of the third stage has a stride of 2.

    Args:
        make_block: gives one block, see :data:`MakeBlock`.
        blocks: blocks in each stage.
        channels: output channels of each stage.
        stem_channels: channels that reach the first stage.
        se_reduction: gate every branch by squeeze and excitation (Hu et al. 2018) with C / ``se_reduction`` channels in
            the middle, at least 4; 16 in the paper. By default there is none.
        stochastic_depth: probability that the last block's branch is left out in training, from 0 to below 1. Block l
            of L is left out with l / L of it, so it survives with 1 - l / L * stochastic_depth (Huang et al. 2016,
            equation 4, where p_L = 1 - stochastic_depth = 0.5).
        make_first_block: gives the very first block, where that differs.

    Raises:
        TypeError: ``se_reduction`` is not an int.
        ValueError: ``se_reduction`` is below 1, or ``stochastic_depth`` is not in its range.
    """
    _check_gates(se_reduction, stochastic_depth)
    stages = []
    number, width = 0, stem_channels
    for stage, out_channels in enumerate(channels):
        layers = []
        for i in range(blocks):
            number += 1
            make = make_block if number > 1 or make_first_block is None else make_first_block
            stride = 2 if stage > 0 and i == 0 else 1
            gate = make_gate(out_channels, se_reduction, stochastic_depth * number / (blocks * len(channels)))
            layers.append(make(width, out_channels, stride, gate))
            width = out_channels
        stages.append(nn.Sequential(*layers))
    return stages


def make_gate(channels: int, se_reduction: int | None, drop_probability: float) -> nn.Module:
    """What multiplies a branch before it is added: g(F(x)) * F(x).

    With squeeze and excitation a number between 0 and 1 for each channel, computed from F(x); with stochastic depth a
    coin for each image of the batch, thrown anew in every training step; with both, one after the other.
    """
    gate = nn.Sequential()
    if se_reduction is not None:
        gate.add_module("se", SqueezeExcitation(channels, max(channels // se_reduction, MIN_SQUEEZE_CHANNELS)))
    if drop_probability > 0:
        gate.add_module("stochastic_depth", StochasticDepth(drop_probability))
    return gate if len(gate) > 0 else nn.Identity()


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size at stride 1; without bias, because normalisation subtracts it again."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


def initialise(model: nn.Module) -> None:
    """Start as the papers do: convolutions from N(0, 2 / fan_out), biases at 0, normalisation with weight 1 and bias 0.

    fan_out is kernel area times output channels: the variance of gradients is then kept through ReLUs (He et al. 2015,
    *Delving deep into rectifiers*, equation 14). The linear layer's weight keeps PyTorch's default.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def blocks_per_stage(depth: int, *, layers_per_block: int, around: int = 2) -> int:
    """n, for a depth of ``3 * layers_per_block * n + around``.

    Raises:
        TypeError: ``depth`` is not an int.
        ValueError: there is no such n >= 1; names the nearest depths that there are.
    """
    check_int("depth", depth)
    step = 3 * layers_per_block
    blocks, rest = divmod(depth - around, step)
    if rest or blocks < 1:
        nearest = max(blocks, 1) * step + around
        raise ValueError(f"depth must be {step}n + {around}, such as {nearest} or {nearest + step}, got {depth}")
    return blocks


def check_int(name: str, value: int, minimum: int | None = None) -> None:
    """Refuse what is not an int, or below the minimum."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a value that is not one of a ``Literal``."""
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(choices)))}, got {value!r}")


def takes_settings_of(general: Callable[..., nn.Module], **defaults: Any) -> Callable[[Builder], Builder]:
    """Decorator for a builder with ``**settings`` that it passes on to ``general``: show them by name.

    ``help``, autocompletion and :func:`coursekit.models.build` then see the keyword arguments of ``general``, with
    their defaults or with those given here.
    """
    parameters = [
        parameter.replace(default=defaults.get(name, parameter.default))
        for name, parameter in inspect.signature(general).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]

    def decorate(builder: Builder) -> Builder:
        @functools.wraps(builder)
        def with_defaults(**settings: Any) -> nn.Module:
            return builder(**(defaults | settings))

        returns = inspect.signature(builder).return_annotation
        with_defaults.__signature__ = inspect.Signature(parameters, return_annotation=returns)
        return with_defaults

    return decorate


def _check_gates(se_reduction: int | None, stochastic_depth: float) -> None:
    if se_reduction is not None:
        check_int("se_reduction", se_reduction, minimum=1)
    if not 0 <= stochastic_depth < 1:
        raise ValueError(f"stochastic_depth must be at least 0 and below 1, got {stochastic_depth}")
