"""Multiply-accumulates counted one by one, and a module around a function."""

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor, nn


class Does(nn.Module):
    """A module whose forward is a function of itself and its input; further arguments become its attributes."""

    def __init__(self, forward: Callable[["Does", Tensor], object], **parts: object) -> None:
        super().__init__()
        self._does = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> object:
        return self._does(self, x)


def convolution_macs(
    sizes: Sequence[int],
    channels: tuple[int, int],
    kernel_size: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
) -> int:
    """One multiplication at a time: every window that starts inside the padded input, every tap, every channel pair."""
    starts = [
        [s for s in range(0, size + 2 * padding, stride) if s + dilation * (k - 1) < size + 2 * padding]
        for size, k in zip(sizes, kernel_size, strict=True)
    ]
    count = 0
    for _window in product(*starts):
        for _tap in product(*(range(k) for k in kernel_size)):
            for output in range(channels[1]):
                group = output * groups // channels[1]
                count += sum(1 for c in range(channels[0]) if c * groups // channels[0] == group)
    return count


def transposed_convolution_macs(
    sizes: Sequence[int], channels: tuple[int, int], kernel_size: Sequence[int], groups: int
) -> int:
    """Every input value meets every tap and every output channel of its group once, whatever the stride."""
    count = 0
    for _pixel in product(*(range(size) for size in sizes)):
        for c in range(channels[0]):
            for output in range(channels[1]):
                if c * groups // channels[0] == output * groups // channels[1]:
                    count += sum(1 for _tap in product(*(range(k) for k in kernel_size)))
    return count


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))
