"""Reshaping: where the positions of an axis lie when dimensions are merged, split, added or dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from coursekit.receptive_field.planes import Plane

__all__ = ["Block", "Place", "blocks_of", "moved", "reshaped"]


@dataclass(frozen=True)
class Place:
    """Where the positions of an axis lie: position = (index along ``dim`` // ``inner``) % ``extent``.

    A feature map has ``inner`` 1 and ``extent`` equal to the length of the dimension. Flattening (H, W) packs both axes
    into one
    dimension: then ``inner`` is W for the height, and the width repeats H times.
    """

    dim: int
    inner: int
    extent: int


@dataclass(frozen=True)
class Block:
    """Neighbouring dimensions that become other neighbouring dimensions, independently of the rest."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def blocks_of(before: Sequence[int], after: Sequence[int]) -> list[Block]:
    """The smallest blocks of dimensions with the same number of elements on both sides."""
    blocks = []
    i = j = 0
    while i < len(before) and j < len(after):
        first_i, first_j = i, j
        left, right = before[i], after[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * before[i], i + 1
            else:
                right, j = right * after[j], j + 1
        blocks.append(Block(tuple(range(first_i, i)), tuple(range(first_j, j))))
    if i < len(before) or j < len(after):
        blocks.append(Block(tuple(range(i, len(before))), tuple(range(j, len(after)))))
    return blocks


def reshaped(array: np.ndarray, before: Sequence[int], after: Sequence[int], blocks: Sequence[Block]) -> np.ndarray:
    """An array that broadcasts to ``before`` (one dimension in front of it aside), made to broadcast to ``after``."""
    full, target = [array.shape[0]], [array.shape[0]]
    for block in blocks:
        lengths = [array.shape[dim + 1] for dim in block.before]
        if len(block.before) == len(block.after) == 1:
            full += lengths
            target += lengths
        elif all(length == 1 for length in lengths):
            full += lengths
            target += [1] * len(block.after)
        else:
            full += [before[dim] for dim in block.before]
            target += [after[dim] for dim in block.after]
    return np.broadcast_to(array, full).reshape(target)


def moved(
    plane: Plane | None,
    place: Place,
    before: Sequence[int],
    after: Sequence[int],
    blocks: Sequence[Block],
    taken: frozenset[int],
) -> tuple[Place | None, Plane | None]:
    """Where the positions of an axis are after reshaping, and their closed form there; None for what is lost.

    Args:
        plane: the closed form along ``place.dim``, or None.
        place: where the positions are before.
        before: shape before.
        after: shape after.
        blocks: the blocks of the two shapes.
        taken: dimensions along which the positions of other axes lie.
    """
    block = next(block for block in blocks if place.dim in block.before)
    new, repeats, advances = _destination(place, plane.period if plane else 1, before, after, block, taken)
    if plane is None or new is None:
        return new, None
    depends = any(plane.table.shape[dim + 1] > 1 for dim in block.before if dim != place.dim)
    if len(block.before) == len(block.after) == 1:
        return new, Plane(new.dim, reshaped(plane.table, before, after, blocks), plane.advance)
    if depends and new.inner > 1:
        return new, None
    positions = np.arange(before[place.dim]) // place.inner % place.extent
    finite = reshaped(plane.at(positions), before, after, blocks)
    index = np.arange(repeats) * new.inner
    if index[-1] >= finite.shape[new.dim + 1]:
        return new, None
    return new, Plane(new.dim, finite.take(index, axis=new.dim + 1), plane.advance * advances).shortest()


def _destination(
    place: Place, period: int, before: Sequence[int], after: Sequence[int], block: Block, taken: frozenset[int]
) -> tuple[Place | None, int, int]:
    """The new place, the new period, and how many old periods it spans; no place if the positions fall apart."""
    inner = place.inner * prod(before[dim] for dim in block.before if dim > place.dim)
    for dim in block.after:
        if after[dim] == 1 < place.extent:
            continue
        stride = prod(after[later] for later in block.after if later > dim)
        if inner % stride == 0 and stride * after[dim] % (inner * place.extent) == 0:
            spread = inner // stride
            followed = any(dim in taken for dim in block.before if dim > place.dim)
            if spread > 1 and place.inner == 1 and after[dim] == place.extent * spread and not followed:
                return Place(dim, 1, after[dim]), period * spread, 1  # finer positions: depth to space
            return Place(dim, spread, place.extent), period, 1
        if inner <= stride and stride * after[dim] == inner * place.extent and stride % inner == 0:
            fold = stride // inner  # coarser positions: space to depth
            shorter = period // gcd(period, fold)
            return Place(dim, 1, after[dim]), shorter, shorter * fold // period
    return None, period, 1
