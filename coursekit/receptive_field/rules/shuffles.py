"""What copies, interleaves or regroups: repetition, pixel and channel shuffle, windows as columns."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from coursekit.interpreter.operations import Operation
from coursekit.receptive_field.fields import Field, concatenate, join, permute, reshape, slide, squeeze, unsqueeze
from coursekit.receptive_field.rules.moves import UnknownGeometryError, one_dim
from coursekit.receptive_field.taps import Taps, scattered, shifted

__all__ = ["SHUFFLES"]

Rule = Callable[[Operation, Any], Field | Sequence[Field]]


def _repeat(operation: Operation, field_of: Any) -> Field:
    """Copies side by side along each dimension."""
    field = field_of(operation.args[0])
    times = tuple(operation.args[1])
    missing = len(times) - len(field.shape)
    if missing < 0:
        times = (1,) * -missing + times  # `tile` counts its numbers from the last dimension
    elif missing:
        field = reshape(field, (1,) * missing + field.shape)
    for dim, count in enumerate(times):
        if count > 1:
            shape = (*field.shape[:dim], field.shape[dim] * count, *field.shape[dim + 1 :])
            field = concatenate([field] * count, dim, shape, "")
    return field


def _repeat_interleave(operation: Operation, field_of: Any) -> Field:
    """Each element several times in a row."""
    field = field_of(operation.args[0])
    times = operation.argument("repeats")
    dim = operation.argument("dim")
    if not isinstance(times, int) or dim is None:
        raise UnknownGeometryError("repeat_interleave with different or flat repeats")
    size = field.shape[dim]
    table = np.zeros((times, 1), dtype=np.int64)
    return one_dim(field, dim, Taps.repeating(size, size * times, table, 1))


def _glu(operation: Operation, field_of: Any) -> Field:
    """One half of the channels gates the other."""
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    half = field.shape[dim] // 2
    halves = [one_dim(field, dim, shifted(field.shape[dim], half, start)) for start in (0, half)]
    return join(halves, operation.result.shape)


def _pixel_shuffle(operation: Operation, field_of: Any) -> Field:
    """(C r r, H, W) to (C, H r, W r): channel c r r + i r + j becomes the pixel (i, j) of each r x r square."""
    field, r = field_of(operation.args[0]), operation.args[1]
    *batch, channels, height, width = field.shape
    rank = len(batch)
    field = reshape(field, (*batch, channels // r**2, r, r, height, width))
    field = permute(field, [*range(rank), rank, rank + 3, rank + 1, rank + 4, rank + 2])
    return reshape(field, operation.result.shape)


def _pixel_unshuffle(operation: Operation, field_of: Any) -> Field:
    """The way back: pixel (i, j) of each r x r square of pixels becomes channel c r r + i r + j."""
    field, r = field_of(operation.args[0]), operation.args[1]
    shape = tuple(operation.result.shape)
    rank = len(shape)
    pieces = []
    for row, column in np.ndindex(r, r):
        taps = {
            rank - 2 + axis: shifted(field.shape[rank - 2 + axis], shape[rank - 2 + axis], offset, r)
            for axis, offset in enumerate((row, column))
        }
        piece = slide(field, taps, (*field.shape[:-2], *shape[-2:]))
        pieces.append(unsqueeze(piece, rank - 2))
    stacked = concatenate(pieces, rank - 2, (*field.shape[:-2], r * r, *shape[-2:]))
    return reshape(stacked, shape)


def _channel_shuffle(operation: Operation, field_of: Any) -> Field:
    """(g, C / g) read as (C / g, g)."""
    field, groups = field_of(operation.args[0]), operation.argument("groups")
    batch, channels, *rest = field.shape
    field = reshape(field, (batch, groups, channels // groups, *rest))
    field = permute(field, [0, 2, 1, *range(3, 3 + len(rest))])
    return reshape(field, operation.result.shape)


def _unfold(operation: Operation, field_of: Any) -> Field:
    """Sliding windows of one dimension; the taps of a window come last."""
    field = field_of(operation.args[0])
    dim = operation.argument("dimension") % len(field.shape)
    length, step = operation.argument("size"), operation.argument("step")
    outputs = operation.result.shape[dim]
    pieces = []
    for tap in range(length):
        taps = shifted(field.shape[dim], outputs, tap, step)
        piece = one_dim(field, dim, taps)
        pieces.append(reshape(piece, (*piece.shape, 1)))
    return concatenate(pieces, len(field.shape), operation.result.shape, "")


def _im2col(operation: Operation, field_of: Any) -> Field:
    """Windows as columns: (N, C, H, W) to (N, C K K, positions)."""
    field = field_of(operation.args[0])
    kernel_size, dilation, padding, stride = (
        (value, value) if isinstance(value, int) else tuple(value) for value in operation.args[1:5]
    )
    *batch, channels, height, width = field.shape
    counts = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip((height, width), kernel_size, dilation, padding, stride, strict=True)
    ]
    rank = len(field.shape)
    pieces = []
    for row in range(kernel_size[0]):
        for column in range(kernel_size[1]):
            offsets = (row * dilation[0] - padding[0], column * dilation[1] - padding[1])
            taps = {
                rank - 2 + axis: shifted(field.shape[rank - 2 + axis], counts[axis], offsets[axis], stride[axis])
                for axis in (0, 1)
            }
            piece = slide(field, taps, (*batch, channels, *counts))
            pieces.append(unsqueeze(piece, len(batch) + 1))
    stacked = concatenate(pieces, len(batch) + 1, (*batch, channels, prod(kernel_size), *counts), "")
    return reshape(stacked, operation.result.shape)


def _col2im(operation: Operation, field_of: Any) -> Field:
    """Columns added back to where their windows lay: (N, C K K, positions) to (N, C, H, W)."""
    field = field_of(operation.args[0])
    size, kernel_size, dilation, padding, stride = (
        (value, value) if isinstance(value, int) else tuple(value) for value in operation.args[1:6]
    )
    *batch, columns, _positions = field.shape
    channels = columns // prod(kernel_size)
    counts = [
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, k, d, p, s in zip(size, kernel_size, dilation, padding, stride, strict=True)
    ]
    windows = reshape(field, (*batch, channels, *kernel_size, *counts))
    rank = len(batch)
    pieces = []
    for tap in np.ndindex(*kernel_size):
        piece = windows
        for axis, index in enumerate(tap):
            piece = one_dim(piece, rank + 1 + axis, shifted(kernel_size[axis], 1, index))
        piece = squeeze(piece, [rank + 1, rank + 2])
        taps = {
            rank + 1 + axis: scattered(
                counts[axis], size[axis], 1, stride[axis], padding[axis] - tap[axis] * dilation[axis], 1
            )
            for axis in (0, 1)
        }
        pieces.append(slide(piece, taps, operation.result.shape))
    return join(pieces, operation.result.shape)


SHUFFLES: dict[str, Rule] = {
    **dict.fromkeys(("repeat", "tile"), _repeat),
    "repeat_interleave": _repeat_interleave,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
    "unfold": _unfold,
    "glu": _glu,
    "im2col": _im2col,
    "col2im": _col2im,
}
