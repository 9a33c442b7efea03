"""What slides over positions or resizes them: convolution, pooling, interpolation."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from coursekit.interpreter.operations import Operation
from coursekit.receptive_field.fields import Field, contract, reduce, slide
from coursekit.receptive_field.taps import Taps, adaptive_windows, filtered, resized, scattered, sliding_windows

__all__ = ["WINDOWS", "each"]


def each(value: Any, count: int, default: int = 0) -> tuple[int, ...]:
    """A setting for each axis: PyTorch takes one number for all of them, and an empty list for the default."""
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return (default,) * count
    if not isinstance(value, (list, tuple)):
        return (value,) * count
    return tuple(value) * count if len(value) == 1 else tuple(value)


def _convolution(operation: Operation, field_of: Any) -> Field:
    """Windows over the positions, a sum over the channels of the group."""
    source: Tensor = operation.argument("input")
    weight: Tensor = operation.argument("weight")
    if operation.argument("transposed"):
        return _transposed_convolution(operation, field_of)
    kernel_size = tuple(weight.shape[2:])
    axes = len(kernel_size)
    stride, dilation = each(operation.argument("stride"), axes, 1), each(operation.argument("dilation"), axes, 1)
    padding = operation.argument("padding")
    if padding == "same":
        # The odd pixel goes to the end.
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel_size, strict=True))
    sides = each(0 if padding == "valid" else padding, axes)
    settings = zip(kernel_size, stride, sides, dilation, strict=True)
    taps = _along(source, operation.result, axes, settings, sliding_windows)
    field = contract(field_of(source), -axes - 1, operation.argument("groups"), weight.shape[0])
    return slide(field, taps, operation.result.shape)


def _transposed_convolution(operation: Operation, field_of: Any) -> Field:
    """Each input is spread over a window of outputs."""
    source: Tensor = operation.argument("input")
    weight: Tensor = operation.argument("weight")
    kernel_size = tuple(weight.shape[2:])
    axes, groups = len(kernel_size), operation.argument("groups")
    names = (("stride", 1), ("padding", 0), ("dilation", 1))
    stride, padding, dilation = (each(operation.argument(name), axes, default) for name, default in names)
    settings = zip(kernel_size, stride, padding, dilation, strict=True)
    taps = _along(source, operation.result, axes, settings, scattered)
    field = contract(field_of(source), -axes - 1, groups, weight.shape[1] * groups)
    return slide(field, taps, operation.result.shape)


def _pooling(operation: Operation, field_of: Any) -> Field | list[Field]:
    """Windows over the positions, each channel for itself."""
    source: Tensor = operation.args[0]
    output = operation.outputs[0]
    kernel_size = operation.argument("kernel_size")
    axes = int(operation.name.split("_pool")[1][0])
    kernel_size = each(kernel_size, axes)
    stride = each(operation.argument("stride") or kernel_size, axes)
    padding, dilation = each(operation.argument("padding"), axes), each(operation.argument("dilation"), axes, 1)
    settings = zip(kernel_size, stride, padding, dilation, strict=True)
    field = slide(field_of(source), _along(source, output, axes, settings, sliding_windows), output.shape)
    return field if isinstance(operation.result, Tensor) else [field] * len(operation.outputs)


def _adaptive_pooling(operation: Operation, field_of: Any) -> Field | list[Field]:
    """Windows that share the positions among a given number of outputs; one output is a global reduction."""
    source: Tensor = operation.args[0]
    output = operation.outputs[0]
    axes = int(operation.name.split("_pool")[1][0])
    rank = source.ndim
    field = field_of(source)
    collapsed = [dim for dim in range(rank - axes, rank) if output.shape[dim] == 1]
    field = reduce(field, collapsed, keepdim=True)
    taps = {
        dim: adaptive_windows(source.shape[dim], output.shape[dim])
        for dim in range(rank - axes, rank)
        if dim not in collapsed
    }
    field = slide(field, taps, output.shape)
    return field if isinstance(operation.result, Tensor) else [field] * len(operation.outputs)


def _along(source: Tensor, output: Tensor, axes: int, settings: Any, make: Any) -> dict[int, Taps]:
    """Taps for each of the last ``axes`` dimensions."""
    rank = output.ndim
    return {
        rank - axes + number: make(source.shape[number - axes], output.shape[number - axes], *setting)
        for number, setting in enumerate(settings)
    }


def _interpolation(mode: str) -> Any:
    def rule(operation: Operation, field_of: Any) -> Field:
        """Each output takes its neighbours on the input's grid."""
        source: Tensor = operation.args[0]
        result: Tensor = operation.result
        rank, axes = source.ndim, source.ndim - 2
        aligned = bool(operation.argument("align_corners"))
        scales = _scales(operation, axes)
        taps = {
            rank - axes + number: resized(
                source.shape[number - axes], result.shape[number - axes], mode, aligned, scale
            )
            for number, scale in enumerate(scales)
        }
        return slide(field_of(source), taps, result.shape)

    return rule


def _scales(operation: Operation, axes: int) -> Sequence[float | None]:
    """The factors that were given, one an axis: PyTorch computes positions from them and not from the sizes."""
    together = operation.argument("scale_factors")
    if together:
        return each(together, axes)
    single = [operation.argument(name) for name in ("scales", "scales_d", "scales_h", "scales_w")]
    given = [scale for scale in single if scale is not None]
    return given if len(given) == axes else [None] * axes


def _antialiased(operation: Operation, field_of: Any) -> Field:
    """A triangle (or cubic) filter as wide as the shrinking asks for."""
    source: Tensor = operation.args[0]
    result: Tensor = operation.result
    support = 2.0 if "bicubic" in operation.name else 1.0
    aligned = bool(operation.argument("align_corners"))
    taps = {
        dim: filtered(source.shape[dim], result.shape[dim], support, aligned, scale)
        for dim, scale in zip((2, 3), _scales(operation, 2), strict=True)
    }
    return slide(field_of(source), taps, result.shape)


_ALL = ("1d", "2d", "3d")

WINDOWS = {
    **{f"conv{axes}": _convolution for axes in _ALL},
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **{f"conv_transpose{axes}": _transposed_convolution for axes in _ALL},
    **{f"{kind}_pool{axes}": _pooling for axes in _ALL for kind in ("max", "avg")},
    **{f"max_pool{axes}_with_indices": _pooling for axes in _ALL},
    **{f"adaptive_{kind}_pool{axes}": _adaptive_pooling for axes in _ALL for kind in ("max", "avg")},
    **{f"upsample_nearest{axes}": _interpolation("nearest") for axes in _ALL},
    **{f"_upsample_nearest_exact{axes}": _interpolation("nearest-exact") for axes in _ALL},
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), _interpolation("linear")),
    "upsample_bicubic2d": _interpolation("cubic"),
    **dict.fromkeys(("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _antialiased),
}
