"""What reaches a tensor, axis by axis, and how the basic moves change it: join, slide, reduce, reshape, permute.

A `Field` holds for every spatial axis of the input the exact interval of every element (`intervals`) and the closed
form of the local interval (`planes`). Both go through the same moves; the exact intervals are the answer, the closed
form explains it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np

from coursekit.receptive_field import intervals
from coursekit.receptive_field.layout import Block, Place, blocks_of, moved, reshaped
from coursekit.receptive_field.planes import Plane
from coursekit.receptive_field.taps import Taps

__all__ = [
    "Axis",
    "Field",
    "axis_names",
    "constant",
    "contract",
    "input_field",
    "join",
    "permute",
    "reduce",
    "reshape",
    "slide",
    "squeeze",
    "unsqueeze",
    "whole",
]


@dataclass(frozen=True, eq=False)
class Axis:
    """What reaches a tensor along one axis of the input.

    Attributes:
        exact: intervals, as in `intervals`.
        local: pixels reach the tensor by more than gates and global pooling.
        place: where the positions of the axis lie; None when they are gone or have fallen apart.
        plane: the closed form of the local intervals; None when there is none.
    """

    exact: np.ndarray
    local: bool
    place: Place | None
    plane: Plane | None

    def through(self, dim: int, taps: Taps) -> "Axis":
        """After an operation that slides, slices or resizes along ``dim``."""
        exact = intervals.gather(self.exact, dim, taps)
        if self.local and (exact[intervals.LOCAL] >= intervals.FAR).all():  # a piece without pixels is left
            return Axis(exact, False, None, None)
        if self.place is None or self.place.dim != dim:
            plane = self.plane
            if plane is not None and plane.table.shape[dim + 1] > 1:
                plane = Plane(plane.dim, intervals.gather(plane.table, dim, taps), plane.advance)
            return replace(self, exact=exact, plane=plane)
        if self.place != Place(dim, 1, taps.size):
            return replace(self, exact=exact, place=None, plane=None)
        plane = self.plane.through(taps) if self.plane is not None else None
        return replace(self, exact=exact, place=Place(dim, 1, len(taps.index)), plane=plane)

    def reduced(self, dims: Sequence[int]) -> "Axis":
        """The union over whole dimensions, which keep length 1. Without its positions an axis is seen globally."""
        exact = intervals.reduce(self.exact, dims)
        lost = self.place is not None and self.place.dim in dims
        if lost or (self.place is None and self.local and self._disappears(dims)):
            return Axis(intervals.hide_local(exact), False, None, None)
        plane = self.plane
        if plane is not None:
            plane = Plane(plane.dim, intervals.reduce(plane.table, dims), plane.advance)
        return replace(self, exact=exact, plane=plane)

    def _disappears(self, dims: Sequence[int]) -> bool:
        """Whether the elements differ along some of the dimensions and along no other."""
        varying = {dim for dim, length in enumerate(self.exact.shape[1:]) if length > 1}
        return bool(varying) and varying <= set(dims)


@dataclass(frozen=True, eq=False)
class Field:
    """What reaches a tensor.

    Attributes:
        shape: of the tensor.
        axes: one for each spatial axis of the input.
        notes: sentences on branches that merge although their centres differ.
    """

    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_map(self) -> bool:
        """Every axis has a dimension of its own, one index a position."""
        places = [axis.place for axis in self.axes if axis.local]
        return (
            len(places) == len(self.axes)
            and all(place and place.inner == 1 and place.extent == self.shape[place.dim] for place in places)
            and len({place.dim for place in places}) == len(places)
        )

    @property
    def is_constant(self) -> bool:
        """No pixel reaches the tensor."""
        return all(bool((axis.exact >= intervals.FAR).all()) for axis in self.axes)


def input_field(shape: Sequence[int]) -> Field:
    """The input (N, C, *axes): each pixel is reached by itself."""
    rank = len(shape)
    axes = tuple(
        Axis(
            exact=intervals.pixels(length, rank, dim),
            local=True,
            place=Place(dim, 1, length),
            plane=Plane.pixels(rank, dim),
        )
        for dim, length in enumerate(shape)
        if dim >= 2
    )
    return Field(tuple(shape), axes)


def constant(shape: Sequence[int], axes: int) -> Field:
    """A tensor that no pixel reaches."""
    return Field(tuple(shape), (Axis(intervals.empty(len(shape)), False, None, None),) * axes)


def join(fields: Sequence[Field], shape: Sequence[int], where: str = "") -> Field:
    """The union of tensors that broadcast to ``shape``; ``where`` is named if their centres differ."""
    if len(fields) == 1 and fields[0].shape == tuple(shape):
        return fields[0]
    rank = len(shape)
    notes = dict.fromkeys(note for field in fields for note in field.notes)
    axes = []
    for number in range(len(fields[0].axes)):
        parts = [_repeated(_aligned(field.axes[number], len(field.shape), rank), field, shape) for field in fields]
        exact = intervals.union([part.exact for part in parts], rank)
        local = [part for part in parts if part.local]
        place, period, apart = _agreement(local)
        axes.append(Axis(exact, bool(local), place, _joined_plane(local, period)))
        if apart and where:
            notes[f"{where}: {apart} along {axis_names(len(fields[0].axes))[number]}"] = None
    return Field(tuple(shape), tuple(axes), tuple(notes))


def axis_names(count: int) -> tuple[str, ...]:
    """What people call the spatial axes."""
    return ("depth", "height", "width")[-count:] if count > 1 else ("length",)


def _repeated(axis: Axis, field: Field, shape: Sequence[int]) -> Axis:
    """What has one position and is broadcast to many is a gate: each of them sees it, whatever its own place."""
    if not axis.local or axis.place is None:
        return axis
    own = axis.place.dim - len(shape)  # counted from the right; broadcasting adds dimensions on the left
    length = field.shape[own] if -own <= len(field.shape) else 1
    if length == shape[axis.place.dim]:
        return axis
    return Axis(intervals.hide_local(axis.exact), False, None, None)


def _aligned(axis: Axis, own: int, rank: int) -> Axis:
    """For a tensor with more dimensions on the left."""
    if own == rank:
        return axis
    place = axis.place and replace(axis.place, dim=axis.place.dim + rank - own)
    return Axis(intervals.align(axis.exact, rank), axis.local, place, axis.plane and axis.plane.aligned(rank))


def _agreement(parts: Sequence[Axis]) -> tuple[Place | None, int, str]:
    """Where the positions of all parts lie, the period of their common closed form, and how they are misaligned.

    No place if they lie in different dimensions, 0 if there is no common closed form, "" if they are aligned.
    """
    if not parts or any(part.place != parts[0].place for part in parts):
        return None, 0, ""
    planes = [part.plane for part in parts if part.plane is not None]
    if len(planes) < len(parts):
        return parts[0].place, 0, ""
    if any(plane.rate != planes[0].rate for plane in planes):
        strides = sorted({str(Fraction(*plane.rate)) for plane in planes})
        return parts[0].place, 0, f"branches merge whose strides differ ({' and '.join(strides)})"
    period = lcm(*(plane.period for plane in planes))
    gap = max(planes[0].distance(plane, period) for plane in planes)
    unit = "pixel" if gap == 1 else "pixels"
    apart = f"branches merge whose centres are up to {gap:g} {unit} apart" if gap else ""
    return parts[0].place, period, apart


def _joined_plane(parts: Sequence[Axis], period: int) -> Plane | None:
    """The union of the closed forms, with their common period."""
    if not period:
        return None
    first = parts[0].plane
    if all(part.plane is first for part in parts):
        return first
    table = first.tiled(period)
    for part in parts[1:]:
        table = np.minimum(table, part.plane.tiled(period))
    return Plane(first.dim, table, first.advance * (period // first.period)).shortest()


def expand(field: Field, shape: Sequence[int]) -> Field:
    """Broadcast to a shape."""
    return join([field], shape)


def concatenate(fields: Sequence[Field], dim: int, shape: Sequence[int], where: str = "") -> Field:
    """Pieces one after another along a dimension; ``where`` is named if their centres differ."""
    notes = dict.fromkeys(note for field in fields for note in field.notes)
    lengths = [field.shape[dim] for field in fields]
    axes = []
    for number in range(len(fields[0].axes)):
        parts = [field.axes[number] for field in fields]
        exact = intervals.concatenate([part.exact for part in parts], dim, lengths)
        local = [part for part in parts if part.local]
        place, period, apart = _agreement(local)
        if apart and where:
            notes[f"{where}: {apart} along {axis_names(len(fields[0].axes))[number]}"] = None
        plane = None
        if local and all(part.place is not None and part.place.dim == dim and part.place.inner == 1 for part in local):
            place = Place(dim, 1, shape[dim])  # side by side along the axis itself: the list does not go on
        elif period:
            plane = _side_by_side(parts, local[0].plane, period, dim, lengths)
        axes.append(Axis(exact, bool(local), place, plane))
    return Field(tuple(shape), tuple(axes), tuple(notes))


def _side_by_side(parts: Sequence[Axis], first: Plane, period: int, dim: int, lengths: Sequence[int]) -> Plane:
    """The closed forms of pieces that follow one another along another dimension; a piece without pixels is empty."""
    nothing = np.full_like(first.tiled(period).take([0], axis=dim + 1), intervals.FAR)
    tables = [nothing if part.plane is None else part.plane.tiled(period) for part in parts]
    table = intervals.concatenate(tables, dim, lengths)
    return Plane(first.dim, table, first.advance * (period // first.period)).shortest()


def slide(field: Field, taps: Mapping[int, Taps], shape: Sequence[int]) -> Field:
    """Apply taps along some dimensions: windows, slices, padding, resizing."""
    axes = []
    for axis in field.axes:
        for dim, one in taps.items():
            if not one.is_identity:
                axis = axis.through(dim, one)
        axes.append(axis)
    return Field(tuple(shape), tuple(axes), field.notes)


def reduce(field: Field, dims: Iterable[int], *, keepdim: bool) -> Field:
    """Mean, sum, maximum over whole dimensions."""
    dims = sorted({dim % len(field.shape) for dim in dims})
    kept = tuple(1 if dim in dims else length for dim, length in enumerate(field.shape))
    reduced = Field(kept, tuple(axis.reduced(dims) for axis in field.axes), field.notes)
    if keepdim:
        return reduced
    return squeeze(reduced, dims)


def whole(field: Field, dims: Iterable[int]) -> Field:
    """Each element is reached by itself and, through a statistic or a weight, by all along the dimensions."""
    return join([field, reduce(field, dims, keepdim=True)], field.shape)


def contract(field: Field, dim: int, groups: int, outputs: int) -> Field:
    """A weighted sum along one dimension, whose length becomes ``outputs``: the channels of a convolution."""
    dim %= len(field.shape)
    shape = (*field.shape[:dim], outputs, *field.shape[dim + 1 :])
    if groups == 1:
        return Field(shape, tuple(_contracted(axis, dim, field.shape, outputs) for axis in field.axes), field.notes)
    axes = []
    for axis in field.axes:
        if axis.place is not None and axis.place.dim == dim:
            axis = replace(axis, place=None, plane=None)
        plane = axis.plane
        if plane is not None:
            plane = Plane(plane.dim, intervals.repeat_groups(plane.table, dim, groups, outputs), plane.advance)
        axes.append(replace(axis, exact=intervals.repeat_groups(axis.exact, dim, groups, outputs), plane=plane))
    return Field(shape, tuple(axes), field.notes)


def _contracted(axis: Axis, dim: int, shape: Sequence[int], outputs: int) -> Axis:
    """A weighted sum over all of ``dim``.

    Over the positions of an axis that a feature map still has, each of the new positions sees them all; over flattened
    positions, none are left.
    """
    if len(shape) > 2 and axis.place == Place(dim, 1, shape[dim]):
        return Axis(intervals.reduce(axis.exact, [dim]), axis.local, Place(dim, 1, outputs), None)
    return axis.reduced([dim])


def reshape(field: Field, shape: Sequence[int]) -> Field:
    """The same elements in the same order under another shape."""
    shape = tuple(shape)
    return field if shape == field.shape else _regrouped(field, shape, blocks_of(field.shape, shape))


def squeeze(field: Field, dims: Iterable[int]) -> Field:
    """Without some dimensions of length 1."""
    rank = len(field.shape)
    gone = {dim % rank for dim in dims}
    kept = [dim for dim in range(rank) if dim not in gone]
    blocks = [Block((dim,), (kept.index(dim),) if dim in kept else ()) for dim in range(rank)]
    return _regrouped(field, [field.shape[dim] for dim in kept], blocks) if gone else field


def unsqueeze(field: Field, dim: int) -> Field:
    """With one more dimension of length 1, at ``dim``."""
    rank = len(field.shape)
    dim %= rank + 1
    old = [Block((number,), (number + (number >= dim),)) for number in range(rank)]
    return _regrouped(field, (*field.shape[:dim], 1, *field.shape[dim:]), [*old[:dim], Block((), (dim,)), *old[dim:]])


def _regrouped(field: Field, shape: Sequence[int], blocks: Sequence[Block]) -> Field:
    before, after = field.shape, tuple(shape)
    places = [axis.place for axis in field.axes]
    axes = []
    for axis in field.axes:
        exact = reshaped(axis.exact, before, after, blocks)
        if axis.place is None:
            axes.append(replace(axis, exact=exact, plane=None))
            continue
        taken = frozenset(place.dim for place in places if place is not None and place is not axis.place)
        place, plane = moved(axis.plane, axis.place, before, after, blocks, taken)
        axes.append(Axis(exact, axis.local, place, plane))
    return Field(after, tuple(axes), field.notes)


def permute(field: Field, order: Sequence[int]) -> Field:
    """Dimension ``order[i]`` becomes dimension i."""
    rank = len(field.shape)
    order = [dim % rank for dim in order]
    axes = []
    for axis in field.axes:
        exact = axis.exact.transpose(0, *(dim + 1 for dim in order))
        place = axis.place and replace(axis.place, dim=order.index(axis.place.dim))
        plane = axis.plane
        if plane is not None:
            table = plane.table.transpose(0, *(dim + 1 for dim in order))
            plane = Plane(order.index(plane.dim), table, plane.advance)
        axes.append(Axis(exact, axis.local, place, plane))
    return Field(tuple(field.shape[dim] for dim in order), tuple(axes), field.notes)
