"""The input of a pass: how large, and of which type."""

from numbers import Integral

import torch
from torch import Tensor, nn

__all__ = ["checked_count", "input_axes", "make_input"]

#: Convolutions of PyTorch have one to three spatial axes.
_RANKS = (1, 2, 3)


def input_axes(input_size: int | tuple[int, ...]) -> tuple[int, ...]:
    """The size of every spatial axis: an int means a square picture.

    Args:
        input_size: pixels; an int for height and width, or one int for each axis, (224,), (224, 320), (16, 112, 112).

    Raises:
        TypeError: not an int and not a sequence of ints.
        ValueError: a size below 1, no axis, or more than three.
    """
    sizes = (input_size, input_size) if isinstance(input_size, Integral) else input_size
    if not isinstance(sizes, (tuple, list, torch.Size)):
        raise TypeError(f"input_size must be an int or a tuple of one to three ints, got {input_size!r}")
    if len(sizes) not in _RANKS:
        raise ValueError(f"input_size must have one to three axes, got {input_size!r}")
    return tuple(checked_count("input_size", size) for size in sizes)


def checked_count(name: str, value: int) -> int:
    """The value as an int, if it is one and at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def make_input(model: nn.Module, axes: tuple[int, ...], in_channels: int, batch_size: int) -> Tensor:
    """A meta tensor (batch_size, in_channels, *axes) of the model's own floating-point type."""
    shape = (checked_count("batch_size", batch_size), checked_count("in_channels", in_channels), *axes)
    floating = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return torch.empty(shape, dtype=next(floating, torch.get_default_dtype()), device="meta")
