"""Networks that are easy to count wrong, each in the one way that its name says, with the right answer by hand.

There are no activations and, unless the case is about them, no biases: whether those are counted is a matter of taste.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

__all__ = ["CASES", "Case"]

SIDE = 14  # pixels along each axis of the picture
POSITIONS = SIDE * SIDE
CHANNELS = 64


@dataclass(frozen=True)
class Case:
    """A network with its parameters and MACs for one picture (1, 64, 14, 14)."""

    name: str
    build: Callable[[], nn.Module]
    params: int
    macs: int
    shape: tuple[int, ...] = (1, CHANNELS, SIDE, SIDE)


class Net(nn.Module):
    """Applies ``function(self, x)``; the modules and parameters given by name are its attributes."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def conv(out_channels: int = 32, kernel_size: int = 3, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, out_channels, kernel_size, bias=False, **settings)


def alone(module: nn.Module) -> nn.Module:
    """In a container: some peers do not count a network that is a single layer."""
    return nn.Sequential(module)


def linear(inputs: int = CHANNELS, outputs: int = 32) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


def tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W, C)."""
    return x.flatten(2).mT


def tied() -> nn.Module:
    net = Net(lambda m, x: m.b(m.a(x)), a=conv(CHANNELS, padding=1), b=conv(CHANNELS, padding=1))
    net.b.weight = net.a.weight
    return net


def tied_linear() -> nn.Module:
    net = Net(lambda m, x: m.b(m.a(tokens(x))), a=linear(CHANNELS, CHANNELS), b=linear(CHANNELS, CHANNELS))
    net.b.weight = net.a.weight
    return net


def frozen() -> nn.Module:
    net = Net(lambda m, x: m.a(x), a=conv(padding=1))
    net.a.weight.requires_grad_(False)
    return net


def attention(m: Any, x: Tensor) -> Tensor:
    x = tokens(m.a(x))
    return F.scaled_dot_product_attention(x, x, x)


def attention_by_products(m: Any, x: Tensor) -> Tensor:
    x = tokens(m.a(x))
    return (x @ x.mT).softmax(-1) @ x


def self_attention(m: Any, x: Tensor) -> Tensor:
    x = tokens(x)
    return m.attention(x, x, x, need_weights=False)[0]


def attention_pooling(m: Any, x: Tensor) -> Tensor:
    """One learnt query looks at all positions of each picture; its keys are products of a matrix and a vector."""
    x = tokens(x)[0]
    return x.mT @ (x @ m.query).softmax(0)


def deformable(m: Any, x: Tensor) -> Tensor:
    return deform_conv2d(x, m.offsets(x), m.weight, padding=1)


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(CHANNELS, 4, 128, bias=False, batch_first=True)
    return Net(lambda m, x: m.layer(tokens(x)), layer=layer)


def unfolded(m: Any, x: Tensor) -> Tensor:
    return m.weight @ F.unfold(x, 3, padding=1)


CONV = 32 * CHANNELS * 9  # weights of `conv`
CASES = (
    Case("convolution", lambda: alone(conv(padding=1)), CONV, POSITIONS * CONV),
    Case("grouped", lambda: alone(conv(32, padding=1, groups=8)), CONV // 8, POSITIONS * CONV // 8),
    Case(
        "depthwise", lambda: alone(conv(CHANNELS, padding=1, groups=CHANNELS)), CHANNELS * 9, POSITIONS * CHANNELS * 9
    ),
    Case("strided, dilated", lambda: alone(conv(padding=2, stride=2, dilation=2)), CONV, 49 * CONV),
    Case(
        "functional convolution",
        lambda: Net(lambda m, x: F.conv2d(x, m.weight, padding=1), weight=weight(32, CHANNELS, 3, 3)),
        CONV,
        POSITIONS * CONV,
    ),
    Case(
        "functional depthwise",
        lambda: Net(lambda m, x: F.conv2d(x, m.weight, padding=1, groups=CHANNELS), weight=weight(CHANNELS, 1, 3, 3)),
        CHANNELS * 9,
        POSITIONS * CHANNELS * 9,
    ),
    Case(
        "transposed convolution",
        lambda: alone(nn.ConvTranspose2d(CHANNELS, 32, 2, stride=2, bias=False)),
        32 * CHANNELS * 4,
        POSITIONS * 32 * CHANNELS * 4,
    ),
    Case(
        "transposed, grouped",
        lambda: alone(nn.ConvTranspose2d(CHANNELS, 32, 2, stride=2, groups=8, bias=False)),
        32 * CHANNELS * 4 // 8,
        POSITIONS * 32 * CHANNELS * 4 // 8,
    ),
    Case(
        "functional transposed",
        lambda: Net(lambda m, x: F.conv_transpose2d(x, m.weight, stride=2), weight=weight(CHANNELS, 32, 2, 2)),
        32 * CHANNELS * 4,
        POSITIONS * 32 * CHANNELS * 4,
    ),
    Case(
        "1-D convolution",
        lambda: Net(lambda m, x: m.a(x.flatten(2)), a=nn.Conv1d(CHANNELS, 32, 5, padding=2, bias=False)),
        32 * CHANNELS * 5,
        POSITIONS * 32 * CHANNELS * 5,
    ),
    Case(
        "3-D convolution",
        lambda: alone(nn.Conv3d(CHANNELS, 32, 3, padding=1, bias=False)),
        32 * CHANNELS * 27,
        4 * POSITIONS * 32 * CHANNELS * 27,
        shape=(1, CHANNELS, 4, SIDE, SIDE),
    ),
    Case(
        "linear on (N, H, W, C)",
        lambda: Net(lambda m, x: m.a(x.permute(0, 2, 3, 1)), a=linear()),
        32 * CHANNELS,
        POSITIONS * 32 * CHANNELS,
    ),
    Case(
        "linear on tokens",
        lambda: Net(lambda m, x: m.a(tokens(x)), a=linear()),
        32 * CHANNELS,
        POSITIONS * 32 * CHANNELS,
    ),
    Case(
        "functional linear",
        lambda: Net(lambda m, x: F.linear(tokens(x), m.weight), weight=weight(32, CHANNELS)),
        32 * CHANNELS,
        POSITIONS * 32 * CHANNELS,
    ),
    Case(
        "linear with bias on (N, H, W, C)",
        lambda: Net(lambda m, x: m.a(x.permute(0, 2, 3, 1)), a=nn.Linear(CHANNELS, 32)),
        32 * CHANNELS + 32,
        POSITIONS * 32 * CHANNELS,
    ),
    Case(
        "scaled_dot_product_attention",
        lambda: Net(attention, a=conv(CHANNELS, 1)),
        CHANNELS**2,
        POSITIONS * CHANNELS**2 + 2 * POSITIONS**2 * CHANNELS,
    ),
    Case(
        "attention by matrix products",
        lambda: Net(attention_by_products, a=conv(CHANNELS, 1)),
        CHANNELS**2,
        POSITIONS * CHANNELS**2 + 2 * POSITIONS**2 * CHANNELS,
    ),
    Case(
        "attention pooling", lambda: Net(attention_pooling, query=weight(CHANNELS)), CHANNELS, 2 * POSITIONS * CHANNELS
    ),
    Case(
        "MultiheadAttention",
        lambda: Net(self_attention, attention=nn.MultiheadAttention(CHANNELS, 1, bias=False, batch_first=True)),
        4 * CHANNELS**2,
        4 * POSITIONS * CHANNELS**2 + 2 * POSITIONS**2 * CHANNELS,
    ),
    Case(
        "TransformerEncoderLayer",
        encoder,
        4 * CHANNELS**2 + 2 * 128 * CHANNELS + 2 * CHANNELS,
        POSITIONS * (4 * CHANNELS**2 + 2 * 128 * CHANNELS) + 2 * POSITIONS**2 * CHANNELS,
    ),
    Case(
        "LSTM over the rows",
        lambda: Net(lambda m, x: m.lstm(tokens(x))[0], lstm=nn.LSTM(CHANNELS, 32, bias=False, batch_first=True)),
        4 * 32 * (CHANNELS + 32),
        POSITIONS * 4 * 32 * (CHANNELS + 32),
    ),
    Case(
        "deformable convolution",
        lambda: Net(deformable, offsets=conv(18, padding=1), weight=weight(32, CHANNELS, 3, 3)),
        18 * CHANNELS * 9 + CONV,
        POSITIONS * (18 * CHANNELS * 9 + CONV),
    ),
    Case(
        "einsum",
        lambda: Net(lambda m, x: torch.einsum("oc,nchw->nohw", m.weight, x), weight=weight(32, CHANNELS)),
        32 * CHANNELS,
        POSITIONS * 32 * CHANNELS,
    ),
    Case("unfold and matrix product", lambda: Net(unfolded, weight=weight(32, CHANNELS * 9)), CONV, POSITIONS * CONV),
    Case(
        "module used twice",
        lambda: Net(lambda m, x: m.a(m.a(x)), a=conv(CHANNELS, padding=1)),
        2 * CONV,
        2 * POSITIONS * 2 * CONV,
    ),
    Case("tied weights, convolution", tied, 2 * CONV, 2 * POSITIONS * 2 * CONV),
    Case("tied weights, linear", tied_linear, CHANNELS**2, 2 * POSITIONS * CHANNELS**2),
    Case(
        "module that is never used",
        lambda: Net(lambda m, x: m.a(x), a=conv(padding=1), unused=conv(CHANNELS)),
        3 * CONV,
        POSITIONS * CONV,
    ),
    Case("frozen weights", frozen, CONV, POSITIONS * CONV),
    Case(
        "parametrised weights (weight_norm)",
        lambda: alone(nn.utils.parametrizations.weight_norm(conv(padding=1))),
        CONV + 32,
        POSITIONS * CONV,
    ),
)
