"""How much padding keeps the size, and on which side: PyTorch's ``'same'`` and TensorFlow's ``SAME``."""

from typing import NamedTuple

from coursekit.shapes._axes import Axes, on_each_axis
from coursekit.shapes.sizes import effective_kernel_size

__all__ = ["Sides", "same_padding", "same_padding_sides", "tensorflow_same_output_size", "tensorflow_same_padding"]


class Sides(NamedTuple):
    """Padding of one axis in pixels, before the first input pixel and after the last."""

    before: int
    after: int


def same_padding(kernel_size: Axes, dilation: Axes = 1) -> Axes:
    """Padding for both ends that keeps the size at stride 1.

    ``dilation * (kernel_size - 1) / 2`` (Dumoulin and Visin, 2016, relationship 3, with dilation).

    Args:
        kernel_size: taps, at least 1.
        dilation: distance between taps in pixels, at least 1.

    Returns:
        Pixels at each end: an int, or a tuple if a setting is one.

    Raises:
        TypeError: a value is no integer.
        ValueError: a value is below 1, or ``dilation * (kernel_size - 1)`` is odd (an even kernel with an odd
            dilation), so that the two ends need different paddings.
    """
    return on_each_axis(_same_padding, kernel_size=kernel_size, dilation=dilation)


def same_padding_sides(kernel_size: Axes, dilation: Axes = 1) -> Sides | tuple[Sides, ...]:
    """Padding that keeps the size at stride 1, for any kernel: what PyTorch's ``padding='same'`` adds.

    ``dilation * (kernel_size - 1)`` pixels in all, split in halves; an odd pixel goes after the input.

    Args:
        kernel_size: taps, at least 1.
        dilation: distance between taps in pixels, at least 1.

    Returns:
        `Sides`, or a tuple of them if a setting is a tuple.

    Raises:
        TypeError: a value is no integer.
        ValueError: a value is below 1.
    """
    return on_each_axis(_same_sides, kernel_size=kernel_size, dilation=dilation)


def tensorflow_same_output_size(size: Axes, stride: Axes = 1) -> Axes:
    """Output size under TensorFlow's ``SAME`` padding: ``ceil(size / stride)``, whatever the kernel.

    Args:
        size: pixels of the input, at least 1.
        stride: step in pixels, at least 1.

    Raises:
        TypeError: a value is no integer.
        ValueError: a value is below 1.
    """
    return on_each_axis(_divide_up, size=size, stride=stride)


def tensorflow_same_padding(
    size: Axes, kernel_size: Axes, stride: Axes = 1, dilation: Axes = 1
) -> Sides | tuple[Sides, ...]:
    """Padding that TensorFlow's ``SAME`` adds: as little as gives ``ceil(size / stride)`` outputs.

    ``max(0, (ceil(size / stride) - 1) * stride + dilation * (kernel_size - 1) + 1 - size)`` pixels in all, split in
    halves; an odd pixel goes after the input (TensorFlow, documentation of ``tf.nn``, "Notes on padding"). With a
    stride the padding depends on the input size, which is why PyTorch's symmetric padding gives other values on the
    same weights: 224 pixels, kernel 3, stride 2 get 0 before and 1 after, where ``padding=1`` adds one on each side.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps, at least 1.
        stride: step in pixels, at least 1.
        dilation: distance between taps in pixels, at least 1.

    Returns:
        `Sides`, or a tuple of them if ``size`` is a tuple.

    Raises:
        TypeError: a value is no integer.
        ValueError: a value is below 1.
    """
    return on_each_axis(_tensorflow_sides, size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)


# One axis, plain ints.


def _same_padding(kernel_size: int, dilation: int) -> int:
    before, after = _same_sides(kernel_size, dilation)
    if before != after:
        raise ValueError(
            f"kernel_size {kernel_size} with dilation {dilation} needs {before + after} pixels of padding in all, an "
            f"odd number: {before} before and {after} after the input (see same_padding_sides); the same padding at "
            f"both ends needs an odd kernel_size or an even dilation"
        )
    return before


def _same_sides(kernel_size: int, dilation: int) -> Sides:
    return _halves(effective_kernel_size(kernel_size, dilation) - 1)


def _divide_up(size: int, stride: int) -> int:
    return -(-size // stride)


def _tensorflow_sides(size: int, kernel_size: int, stride: int, dilation: int) -> Sides:
    last_start = (_divide_up(size, stride) - 1) * stride
    return _halves(max(0, last_start + effective_kernel_size(kernel_size, dilation) - size))


def _halves(total: int) -> Sides:
    return Sides(before=total // 2, after=total - total // 2)
