"""What only rearranges: views, slices, concatenation, padding, indexing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coursekit.interpreter.operations import Operation
from coursekit.receptive_field.fields import (
    Field,
    concatenate,
    expand,
    join,
    permute,
    reshape,
    slide,
    squeeze,
    unsqueeze,
)
from coursekit.receptive_field.taps import Taps, picked, shifted

__all__ = ["MOVES", "UnknownGeometryError", "one_dim"]

Rule = Callable[[Operation, Any], Field | Sequence[Field]]


class UnknownGeometryError(Exception):
    """The positions that an operation takes depend on values, or it is used in a way that has no rule."""


def _reshape(operation: Operation, field_of: Any) -> Field | list[Field]:
    return reshape(field_of(operation.args[0]), operation.result.shape)


def _squeeze(operation: Operation, field_of: Any) -> Field:
    """Dimensions of length 1 go."""
    source: Tensor = operation.args[0]
    dims = operation.argument("dim")
    if dims is None:
        dims = range(source.ndim)
    dims = [dims] if isinstance(dims, int) else dims
    drop = sorted({dim % source.ndim for dim in dims if source.shape[dim] == 1})
    return squeeze(field_of(source), drop)


def _unsqueeze(operation: Operation, field_of: Any) -> Field:
    """A dimension of length 1 comes."""
    return unsqueeze(field_of(operation.args[0]), operation.argument("dim"))


def _expand(operation: Operation, field_of: Any) -> Field:
    return expand(field_of(operation.args[0]), operation.result.shape)


def _permute(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    order = operation.args[1] if len(operation.args) > 1 else operation.argument("dims")
    return permute(field, order)


def _transpose(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    rank = len(field.shape)
    if rank < 2:
        return field
    pair = list(operation.args[1:3])
    if operation.name in ("t", "numpy_T", "matrix_H", "mT", "mH", "adjoint"):
        pair = [-2, -1]
    first, second = ((dim % rank) for dim in pair)
    order = list(range(rank))
    order[first], order[second] = second, first
    return permute(field, order)


def _movedim(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    rank = len(field.shape)
    source, destination = ([dims] if isinstance(dims, int) else list(dims) for dims in operation.args[1:3])
    moved = {to % rank: dim % rank for dim, to in zip(source, destination, strict=True)}
    rest = iter(dim for dim in range(rank) if dim not in moved.values())
    return permute(field, [moved[dim] if dim in moved else next(rest) for dim in range(rank)])


def one_dim(field: Field, dim: int, taps: Taps) -> Field:
    """Apply taps along one dimension."""
    dim %= len(field.shape)
    target = (*field.shape[:dim], len(taps.index), *field.shape[dim + 1 :])
    return slide(field, {dim: taps}, target)


def _slice(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    size = field.shape[dim]
    if operation.name == "narrow":
        start, step = int(operation.argument("start")), 1
        start = start + size if start < 0 else start
    else:
        start, _, step = slice(
            operation.argument("start"), operation.argument("end"), operation.argument("step")
        ).indices(size)
    return one_dim(field, dim, shifted(size, operation.result.shape[dim], start, step))


def _select(operation: Operation, field_of: Any) -> Field:
    """One index of a dimension, which goes."""
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    index = int(operation.argument("index")) % field.shape[dim]
    return squeeze(one_dim(field, dim, shifted(field.shape[dim], 1, index)), [dim])


def _split(operation: Operation, field_of: Any) -> list[Field]:
    """Consecutive pieces of a dimension."""
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    if sum(output.shape[dim] for output in operation.outputs) != field.shape[dim]:
        raise UnknownGeometryError("pieces that overlap")
    size, start, pieces = field.shape[dim], 0, []
    for output in operation.result:
        pieces.append(one_dim(field, dim, shifted(size, output.shape[dim], start)))
        start += output.shape[dim]
    return pieces


def _unbind(operation: Operation, field_of: Any) -> list[Field]:
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    size = field.shape[dim]
    return [squeeze(one_dim(field, dim, shifted(size, 1, index)), [dim]) for index in range(size)]


def _concatenate(operation: Operation, field_of: Any) -> Field:
    """Pieces one after another along a dimension."""
    tensors = [tensor for tensor in operation.argument("tensors") if tensor.shape != (0,)]
    fields = [field_of(tensor) for tensor in tensors]
    where = f"{operation.name} in {operation.call}"
    return concatenate(fields, operation.argument("dim") % len(fields[0].shape), operation.result.shape, where)


def _stack(operation: Operation, field_of: Any) -> Field:
    dim = operation.argument("dim") % operation.result.ndim
    fields = [unsqueeze(field_of(tensor), dim) for tensor in operation.argument("tensors")]
    where = f"{operation.name} in {operation.call}"
    return concatenate(fields, dim, operation.result.shape, where)


def _flip(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    rank = len(field.shape)
    taps = {}
    for dim in operation.argument("dims"):
        size = field.shape[dim]
        taps[dim % rank] = picked(size, np.arange(size)[::-1])
    return slide(field, taps, field.shape)


def _roll(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    shifts, dims = operation.argument("shifts"), operation.argument("dims")
    if not dims:
        raise UnknownGeometryError("roll without dims")
    rank = len(field.shape)
    shifts, dims = ([value] if isinstance(value, int) else value for value in (shifts, dims))
    for shift, dim in zip(shifts, dims, strict=True):
        size = field.shape[dim]
        field = slide(field, {dim % rank: picked(size, (np.arange(size) - shift) % size)}, field.shape)
    return field


def _pad(operation: Operation, field_of: Any) -> Field:
    """Values put around (or, with negative numbers, cut off) the last dimensions."""
    field = field_of(operation.args[0])
    rank = len(field.shape)
    sides = operation.argument("pad") or operation.argument("padding")
    mode = _PADDING_MODES.get(operation.name) or operation.argument("mode", "constant")
    taps = {}
    for number in range(len(sides) // 2):
        before, after = sides[2 * number : 2 * number + 2]
        dim = rank - 1 - number
        if before or after:
            taps[dim] = _padding_taps(field.shape[dim], before, after, mode)
    return slide(field, taps, operation.result.shape)


#: The single operations that ``pad`` stands for.
_PADDING_MODES = {
    "constant_pad_nd": "constant",
    **{f"reflection_pad{axes}": "reflect" for axes in ("1d", "2d", "3d")},
    **{f"replication_pad{axes}": "replicate" for axes in ("1d", "2d", "3d")},
}


def _padding_taps(size: int, before: int, after: int, mode: str) -> Taps:
    position = np.arange(-before, size + after)
    if mode == "constant":
        return shifted(size, len(position), -before)
    if mode == "replicate":
        index = np.clip(position, 0, size - 1)
    elif mode == "circular":
        index = position % size
    elif mode == "reflect":
        index = np.abs(position)
        index = np.where(index >= size, 2 * (size - 1) - index, index)
    else:
        raise UnknownGeometryError(f"padding mode {mode!r}")
    return picked(size, index, table_start=-before)


def _index(operation: Operation, field_of: Any) -> Field:
    """Indexing with lists of indices whose values are known."""
    field = field_of(operation.args[0])
    indices = list(operation.argument("indices"))
    used = [dim for dim, index in enumerate(indices) if index is not None]
    arrays = [_known(indices[dim]) for dim in used]
    if any(array.dtype == bool for array in arrays):
        raise UnknownGeometryError("indexing with a mask")
    if len(used) == 1 and arrays[0].ndim == 1:
        return one_dim(field, used[0], picked(field.shape[used[0]], arrays[0]))
    lengths = {array.ndim for array in arrays}
    # x[:, rows, columns] with an outer grid of rows and columns is one list after another.
    if all(sum(length > 1 for length in array.shape) <= 1 for array in arrays) and len(lengths) == 1:
        own = [next((d for d, length in enumerate(array.shape) if length > 1), None) for array in arrays]
        consecutive = used == list(range(used[0], used[0] + len(used)))
        if consecutive and own == list(range(len(used))):
            for dim, array in zip(used, arrays, strict=True):
                field = one_dim(field, dim, picked(field.shape[dim], array.reshape(-1)))
            return field
    raise UnknownGeometryError("indexing with several lists of indices")


def _index_select(operation: Operation, field_of: Any) -> Field:
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    return one_dim(field, dim, picked(field.shape[dim], _known(operation.argument("index")).reshape(-1)))


def _index_put(operation: Operation, field_of: Any) -> Field:
    """``x[mask] = value`` for a mask of the shape of x and one value: each element keeps its own place."""
    source, indices, values = operation.args[:3]
    mask = indices[0]
    if len(indices) > 1 or mask is None or mask.dtype != torch.bool or mask.shape != source.shape or values.numel() > 1:
        raise UnknownGeometryError("writing to a list of places")
    return join([field_of(source), field_of(mask), field_of(values)], source.shape)


def _known(index: Tensor) -> np.ndarray:
    if index.is_meta:
        raise UnknownGeometryError("the indices are computed from the input")
    return index.detach().cpu().numpy()


MOVES: dict[str, Rule] = {
    **dict.fromkeys(
        ["view", "reshape", "_reshape_alias", "flatten", "unflatten", "view_as", "reshape_as", "ravel", "_unsafe_view"],
        _reshape,
    ),
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
    "permute": _permute,
    **dict.fromkeys(["transpose", "swapaxes", "swapdims", "t", "numpy_T", "mT", "adjoint"], _transpose),
    **dict.fromkeys(("movedim", "moveaxis"), _movedim),
    **dict.fromkeys(("slice", "narrow"), _slice),
    "select": _select,
    **dict.fromkeys(["split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split"], _split),
    "unbind": _unbind,
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenate),
    "stack": _stack,
    "flip": _flip,
    "roll": _roll,
    **dict.fromkeys(("pad", *_PADDING_MODES), _pad),
    "index": _index,
    "index_select": _index_select,
    "index_put": _index_put,
}
