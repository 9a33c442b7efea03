"""What a tensor holds after something was written into a view of it."""

from dataclasses import replace

import numpy as np
from torch import Tensor

from coursekit.interpreter import Operation
from coursekit.receptive_field.fields import Axis, Field, permute, reshape, squeeze, unsqueeze
from coursekit.receptive_field.intervals import FAR, LOCAL
from coursekit.receptive_field.layout import Place
from coursekit.receptive_field.planes import Plane
from coursekit.receptive_field.taps import shifted

__all__ = ["written"]

#: Views that show all elements in the same order.
_SAME_ORDER = frozenset("view reshape flatten unflatten squeeze view_as _unsafe_view detach alias contiguous".split())


def written(base: Field, view: Operation, number: int, part: Field) -> Field | None:
    """The base after its view became ``part``; None if there is no rule for that kind of view.

    Args:
        base: what reached the base before.
        view: the operation that made the view.
        number: which of its results the view is.
        part: what reaches the view now.
    """
    if view.name == "unsqueeze":
        return squeeze(part, [view.argument("dim")])
    if view.name in _SAME_ORDER:
        return reshape(part, base.shape)
    if view.name in ("permute", "transpose", "t", "mT", "swapaxes"):
        order = _order(view, len(base.shape))
        return permute(part, [order.index(dim) for dim in range(len(order))])
    placed = _indices(view, number, base)
    if placed is None:
        return None
    dim, index = placed
    if len(index) == 0:  # nothing was written
        return base
    part = part if len(part.shape) == len(base.shape) else unsqueeze(part, dim)
    axes = [_put(own, new, dim, index, base.shape[dim]) for own, new in zip(base.axes, part.axes, strict=True)]
    return Field(base.shape, tuple(axes), (*base.notes, *(note for note in part.notes if note not in base.notes)))


def _order(view: Operation, rank: int) -> list[int]:
    if view.name == "permute":
        return [dim % rank for dim in view.args[1]]
    first, second = (-2, -1) if view.name in ("t", "mT") else view.args[1:3]
    order = list(range(rank))
    order[first % rank], order[second % rank] = second % rank, first % rank
    return order


def _indices(view: Operation, number: int, base: Field) -> tuple[int, np.ndarray] | None:
    """The dimension that a view cuts, and the indices that it keeps."""
    if view.name not in ("slice", "narrow", "select", "split", "split_with_sizes", "chunk", "unbind"):
        return None
    dim = view.argument("dim") % len(base.shape)
    every = np.arange(base.shape[dim])
    if view.name == "slice":
        return dim, every[slice(view.argument("start"), view.argument("end"), view.argument("step"))]
    if view.name == "narrow":
        start = int(view.argument("start"))
        return dim, every[start : start + view.argument("length")]
    if view.name == "select":
        return dim, every[[int(view.argument("index"))]]
    if view.name == "unbind":
        return dim, every[[number]]
    results: list[Tensor] = list(view.result)
    start = sum(result.shape[dim] for result in results[:number])
    return dim, every[start : start + results[number].shape[dim]]


def _put(own: Axis, new: Axis, dim: int, index: np.ndarray, size: int) -> Axis:
    exact = _put_array(own.exact, new.exact, dim, index, size)
    if not own.local and not new.local:
        return replace(own, exact=exact)
    place = own.place if own.local else new.place
    if place is not None and place.dim == dim:
        if place != Place(dim, 1, size if own.local else len(index)):  # flattened: the positions stay where they are
            return Axis(exact, True, place if own.local else None, None)
        return Axis(exact, True, Place(dim, 1, size), _continued(exact, new, index))
    if own.local and new.local and own.place != new.place:
        return Axis(exact, True, None, None)
    planes = [axis.plane for axis in (own, new) if axis.plane is not None]
    expected = sum(axis.local for axis in (own, new))
    plane = None
    if place is not None and len(planes) == expected and len({(p.period, p.advance) for p in planes}) == 1:
        nothing = np.full_like(planes[0].table, FAR)
        mine, theirs = (nothing if axis.plane is None else axis.plane.table for axis in (own, new))
        plane = Plane(place.dim, _put_array(mine, theirs, dim, index, size), planes[0].advance)
    return Axis(exact, True, place, plane)


def _continued(exact: np.ndarray, new: Axis, index: np.ndarray) -> Plane | None:
    """The closed form of what was written, if it also describes the positions that were left alone."""
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    if new.plane is None or step != 1:
        return None
    shift = shifted(len(index), exact.shape[new.plane.dim + 1], -int(index[0]))
    plane = new.plane.through(shift)
    if plane is None:
        return None
    positions = plane.at(np.arange(exact.shape[plane.dim + 1]))
    last = -int(exact[1][exact[1] < FAR // 2].min())
    cut = np.stack([np.maximum(positions[0], 0), np.maximum(positions[1], -last)])
    return plane if (np.broadcast_to(cut, exact[LOCAL].shape) == exact[LOCAL]).all() else None


def _put_array(own: np.ndarray, new: np.ndarray, dim: int, index: np.ndarray, size: int) -> np.ndarray:
    """``own`` with the slices ``index`` along ``dim`` replaced."""
    common = np.broadcast_shapes(
        (*own.shape[: dim + 1], 1, *own.shape[dim + 2 :]), (*new.shape[: dim + 1], 1, *new.shape[dim + 2 :])
    )
    shape = (*common[: dim + 1], size, *common[dim + 2 :])
    result = np.broadcast_to(own, shape).copy()
    result[(slice(None),) * (dim + 1) + (index,)] = new
    return result
