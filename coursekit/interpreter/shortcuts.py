"""Results that need no meta kernel: a few common operations whose shape is plain to see.

PyTorch's meta kernels for these are written in Python. Batch normalisation alone would take nine tenths of a pass, and
the first convolution or sum would import PyTorch's compiler or a computer algebra system, which takes seconds. Whatever
is unusual (mixed types, shapes that do not fit) is left to the kernel, which also knows what to say about it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coursekit.interpreter.operations import Kernel
from coursekit.shapes import conv_output_size, pool_output_size

__all__ = ["shortcut"]

#: One tensor in, the same shape and floating-point type out.
_ACTIVATIONS = frozenset(
    """
    relu relu6 hardtanh hardswish hardsigmoid sigmoid silu gelu elu leaky_relu mish tanh softplus abs neg exp sqrt rsqrt
    """.split()
)

#: Two tensors in; the result has the common type.
_ARITHMETIC = frozenset({"add", "sub", "mul", "div"})

#: Stride, padding, dilation and groups.
_CONVOLUTION_DEFAULTS = ((1, 1), (0, 0), (1, 1), 1)

#: Stride (none: the kernel's size), padding, dilation and ``ceil_mode`` of max pooling.
_POOLING_DEFAULTS = ((), (0, 0), (1, 1), False)


def shortcut(kernel: Kernel, args: Sequence[Any], inputs: Sequence[Tensor]) -> Tensor | None:
    """The empty result of an operation on meta tensors; None if its kernel has to be asked.

    Args:
        kernel: the operation.
        args: its positional arguments, with tensors on the meta device.
        inputs: the tensors among all its arguments.
    """
    first = inputs[0]
    if not first.is_floating_point() or first is not args[0]:
        return None
    if kernel.name == "batch_norm":
        per_channel = all(one.shape == first.shape[1:2] for one in inputs[1:])
        return _like(first) if first.ndim >= 2 and per_channel else None
    if kernel.name == "conv2d":
        # The dispatcher leaves out arguments at the end that have their default.
        return _convolution(first, inputs[1], *args[3:], *_CONVOLUTION_DEFAULTS[max(len(args) - 3, 0) :])
    if kernel.name == "max_pool2d":
        return _pooling(first, *args[1:], *_POOLING_DEFAULTS[len(args) - 2 :])
    if kernel.name == "linear":
        return _linear(first, inputs[1])
    if kernel.name == "adaptive_avg_pool2d":
        return _adaptive(first, args[1])
    if kernel.name in _ACTIVATIONS and len(inputs) == 1:
        return first if kernel.in_place else _like(first)
    if kernel.name in _ARITHMETIC and len(inputs) == 2:
        if _fits_into(inputs[1], first):
            return first if kernel.in_place else _like(first)
        if _fits_into(first, inputs[1]) and not kernel.in_place:
            return _like(inputs[1])
    return None


def _like(tensor: Tensor) -> Tensor:
    """An empty tensor of the same shape and type, laid out as PyTorch would."""
    return tensor.new_empty(tensor.shape) if tensor.is_contiguous() else torch.empty_like(tensor)


def _convolution(
    source: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor | None:
    usual = source.ndim == weight.ndim == 4 and len(stride) == len(padding) == len(dilation) == 2
    if isinstance(padding, str) or not usual or not source.is_contiguous() or source.dtype != weight.dtype:
        return None
    if source.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    settings = zip(source.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    try:
        sizes = [conv_output_size(*setting) for setting in settings]
    except ValueError:  # the window does not fit: PyTorch says so in its own words
        return None
    return source.new_empty((source.shape[0], weight.shape[0], *sizes))


def _pooling(
    source: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor | None:
    if source.ndim != 4 or not source.is_contiguous():
        return None
    settings = (
        tuple(setting) if len(setting) == 2 else tuple(setting) * 2
        for setting in (kernel_size, stride or kernel_size, padding, dilation)
    )
    try:
        sizes = pool_output_size(tuple(source.shape[2:]), *settings, ceil_mode=ceil_mode)
    except ValueError:  # PyTorch refuses it in its own words
        return None
    return source.new_empty((*source.shape[:2], *sizes))


def _linear(source: Tensor, weight: Tensor) -> Tensor | None:
    if weight.ndim != 2 or source.ndim < 2 or source.shape[-1] != weight.shape[1] or source.dtype != weight.dtype:
        return None
    return source.new_empty((*source.shape[:-1], weight.shape[0]))


def _adaptive(source: Tensor, output_size: Sequence[int | None]) -> Tensor | None:
    if source.ndim != 4 or not source.is_contiguous() or any(size is None for size in output_size):
        return None
    return source.new_empty((*source.shape[:2], *output_size))


def _fits_into(tensor: Tensor, target: Tensor) -> bool:
    """Whether a tensor can be added to another one without changing its shape, its type or its strides."""
    if tensor.shape == target.shape:
        return tensor.dtype == target.dtype and tensor.stride() == target.stride()
    pairs = zip(reversed(tensor.shape), reversed(target.shape), strict=False)
    return (
        tensor.dtype == target.dtype
        and tensor.ndim <= target.ndim
        and all(length in (1, full) for length, full in pairs)
        and target.is_contiguous()
    )
