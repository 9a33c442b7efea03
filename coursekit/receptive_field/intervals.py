"""Exact intervals: for every element of a tensor, which input pixels of one axis can reach it.

An array of intervals has the shape (4, *shape), where ``shape`` broadcasts to the tensor's: 1 in every dimension that
makes no difference. The four entries are the first pixel and minus the last pixel of the *local* interval, in which
gates and global pooling are set aside, and the same of the *whole* interval, in which they count. With the sign turned,
the union of two intervals is the minimum, entry by entry; the empty interval is ``FAR`` in every entry.
"""

from collections.abc import Sequence

import numpy as np

from coursekit.receptive_field.taps import Taps

__all__ = [
    "FAR",
    "LOCAL",
    "WHOLE",
    "align",
    "collapse",
    "concatenate",
    "empty",
    "gather",
    "hide_local",
    "pixels",
    "reduce",
    "repeat_groups",
    "union",
]

FAR = np.int64(1) << 40
LOCAL = slice(0, 2)
WHOLE = slice(2, 4)


def empty(rank: int) -> np.ndarray:
    """No pixel reaches any element of a tensor with ``rank`` dimensions."""
    return np.full((4,) + (1,) * rank, FAR)


def pixels(length: int, rank: int, dim: int) -> np.ndarray:
    """The input itself: along ``dim``, pixel i is reached by pixel i."""
    shape = [1] * rank
    shape[dim] = length
    own = np.arange(length).reshape(shape)
    return np.stack([own, -own, own, -own])


def align(array: np.ndarray, rank: int) -> np.ndarray:
    """Broadcasting adds dimensions on the left."""
    missing = rank - (array.ndim - 1)
    return array.reshape(array.shape[:1] + (1,) * missing + array.shape[1:]) if missing > 0 else array


def union(arrays: Sequence[np.ndarray], rank: int) -> np.ndarray:
    """What reaches an element through any of several tensors that broadcast with each other."""
    result = align(arrays[0], rank)
    for array in arrays[1:]:
        if array is not arrays[0]:
            result = np.minimum(result, align(array, rank))
    return result


def gather(array: np.ndarray, dim: int, taps: Taps) -> np.ndarray:
    """The union over the taps of every output position along ``dim``; where there is none, nothing reaches."""
    lonely = (taps.index == taps.size).all(axis=1)
    if array.shape[dim + 1] == 1 and not lonely.any():
        return array
    if array.shape[dim + 1] != taps.size:
        array = np.repeat(array, taps.size, axis=dim + 1)
    shape = list(array.shape)
    shape[dim + 1] = 1
    padded = np.concatenate([array, np.full(shape, FAR)], axis=dim + 1)
    return padded.take(taps.index, axis=dim + 1).min(axis=dim + 2)


def concatenate(arrays: Sequence[np.ndarray], dim: int, lengths: Sequence[int]) -> np.ndarray:
    """Pieces one after another along ``dim``; length 1 there if it makes no difference."""
    first = arrays[0]
    if all(array.shape[dim + 1] == 1 and np.array_equal(array, first) for array in arrays):
        return first
    common = list(np.broadcast_shapes(*((*array.shape[: dim + 1], 1, *array.shape[dim + 2 :]) for array in arrays)))
    pieces = []
    for array, length in zip(arrays, lengths, strict=True):
        common[dim + 1] = length
        pieces.append(np.broadcast_to(array, common))
    return collapse(np.concatenate(pieces, axis=dim + 1), dim)


def reduce(array: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    """The union over whole dimensions, which keep length 1; over none, if they have length 0."""
    if any(array.shape[dim + 1] == 0 for dim in dims):
        return empty(array.ndim - 1)
    axes = tuple(dim + 1 for dim in dims if array.shape[dim + 1] > 1)
    return array.min(axis=axes, keepdims=True) if axes else array


def hide_local(array: np.ndarray) -> np.ndarray:
    """The same intervals without their local part."""
    hidden = array.copy()
    hidden[LOCAL] = FAR
    return hidden


def repeat_groups(array: np.ndarray, dim: int, groups: int, outputs: int) -> np.ndarray:
    """Grouped contraction along ``dim``: the outputs of a group are reached by all inputs of that group."""
    if array.shape[dim + 1] == 1:
        return array
    if groups == 1:
        return array.min(axis=dim + 1, keepdims=True)
    shape = (*array.shape[: dim + 1], groups, array.shape[dim + 1] // groups, *array.shape[dim + 2 :])
    return collapse(np.repeat(array.reshape(shape).min(axis=dim + 2), outputs // groups, axis=dim + 1), dim)


def collapse(array: np.ndarray, dim: int) -> np.ndarray:
    """Length 1 along ``dim`` if it makes no difference there."""
    first = array.take([0], axis=dim + 1)
    return first if array.shape[dim + 1] > 1 and (array == first).all() else array
