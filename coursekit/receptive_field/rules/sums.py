"""What sums: reductions, normalisation, linear layers, matrix products, attention."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from coursekit.interpreter.operations import Operation
from coursekit.receptive_field.fields import Axis, Field, contract, join, reduce, whole
from coursekit.receptive_field.intervals import hide_local

__all__ = ["SUMS"]

Rule = Callable[[Operation, Any], Field | Sequence[Field]]


def _reduction(operation: Operation, field_of: Any) -> Field | list[Field]:
    """Over the dimensions that are named, or over all."""
    source: Tensor = operation.args[0]
    if len(operation.args) > 1 and isinstance(operation.args[1], Tensor):  # torch.max(a, b)
        return join([field_of(tensor) for tensor in operation.args[:2]], tuple(operation.result.shape))
    dims = operation.argument("dim")
    if dims is None or dims == [] or dims == ():
        dims = range(source.ndim)
    elif not isinstance(dims, (list, tuple)):
        dims = [dims]
    output = operation.outputs[0]
    field = reduce(field_of(source), dims, keepdim=output.ndim == source.ndim)
    return field if isinstance(operation.result, Tensor) else [field] * len(operation.outputs)


def _along_dim(operation: Operation, field_of: Any) -> Field | list[Field]:
    """Each element also depends on all others along one dimension: softmax, sorting."""
    source: Tensor = operation.args[0]
    dim = operation.argument("dim", -1)
    field = whole(field_of(source), [source.ndim - 1 if dim is None else dim])
    return field if isinstance(operation.result, Tensor) else [field] * len(operation.outputs)


def _largest(operation: Operation, field_of: Any) -> Field | list[Field]:
    """The k largest along one dimension: each may come from anywhere there."""
    source: Tensor = operation.args[0]
    field = reduce(field_of(source), [operation.argument("dim", -1)], keepdim=True)
    return [join([field], output.shape) for output in operation.outputs]


def _running(operation: Operation, field_of: Any) -> Field | list[Field]:
    """Cumulative sums: each element is reached by all before it."""
    field = field_of(operation.args[0])
    dim = operation.argument("dim") % len(field.shape)
    axes = []
    for axis in field.axes:
        exact = np.minimum.accumulate(axis.exact, axis=dim + 1)
        plane = None if axis.place is None or axis.place.dim == dim else axis.plane
        if plane is not None:
            plane = replace(plane, table=np.minimum.accumulate(plane.table, axis=dim + 1))
        axes.append(replace(axis, exact=exact, plane=plane))
    result = replace(field, axes=tuple(axes))
    return result if isinstance(operation.result, Tensor) else [result] * len(operation.outputs)


def _batch_norm(operation: Operation, field_of: Any) -> Field | list[Field]:
    """With fixed statistics each element depends on its own place; otherwise on its whole channel."""
    source: Tensor = operation.args[0]
    field = field_of(source)
    fixed = operation.argument("training") is not True and operation.argument("running_mean") is not None
    if not fixed:
        field = whole(field, [dim for dim in range(source.ndim) if dim != 1])
    return field if isinstance(operation.result, Tensor) else [field] * len(operation.outputs)


def _instance_norm(operation: Operation, field_of: Any) -> Field:
    source: Tensor = operation.args[0]
    field = field_of(source)
    return whole(field, range(2, source.ndim)) if operation.argument("use_input_stats", True) else field


def _group_norm(operation: Operation, field_of: Any) -> Field | list[Field]:
    """The mean and the spread of a group of channels, over all positions, reach every element of the group."""
    source: Tensor = operation.args[0]
    field = field_of(source)
    groups = operation.argument("num_groups") or operation.argument("group")
    statistics = reduce(contract(field, 1, groups, source.shape[1]), range(2, source.ndim), keepdim=True)
    field = join([field, statistics], field.shape)
    return field if isinstance(operation.result, Tensor) else [field, *[field] * (len(operation.outputs) - 1)]


def _layer_norm(operation: Operation, field_of: Any) -> Field | list[Field]:
    source: Tensor = operation.args[0]
    count = len(operation.argument("normalized_shape"))
    field = whole(field_of(source), range(source.ndim - count, source.ndim))
    return field if isinstance(operation.result, Tensor) else [field, *[field] * (len(operation.outputs) - 1)]


def _linear(operation: Operation, field_of: Any) -> Field:
    """Every output sums over the last dimension."""
    source: Tensor = operation.argument("input")
    field = contract(field_of(source), -1, 1, operation.argument("weight").shape[0])
    return replace(field, shape=tuple(operation.result.shape)) if source.ndim == operation.result.ndim else field


def _matmul(first: int) -> Rule:
    """(..., M, K) times (..., K, N); argument number ``first`` is the left factor, a term before it is added."""

    def rule(operation: Operation, field_of: Any) -> Field:
        left, right = operation.args[first], operation.args[first + 1]
        rows, columns = field_of(left), field_of(right)
        matrices = left.ndim > 1 and right.ndim > 1
        if matrices and columns.is_constant:
            parts = [contract(rows, -1, 1, right.shape[-1])]
        elif matrices and rows.is_constant:
            parts = [contract(columns, -2, 1, left.shape[-2])]
        else:
            dim = -2 if right.ndim > 1 else -1
            weighed = [reduce(rows, [-1], keepdim=matrices), reduce(columns, [dim], keepdim=matrices)]
            parts = [weighed[0], _beside(*weighed)]
        added = [field_of(operation.args[0])] if first else []
        return join([*parts, *added], tuple(operation.result.shape))

    return rule


def _beside(rows: Field, columns: Field) -> Field:
    """The columns of Q K^T: other positions than the rows reach row i through its weights alone."""
    axes = []
    for own, other in zip(columns.axes, rows.axes, strict=True):
        apart = own.local and other.local and other.place is not None and own.place != other.place
        axes.append(Axis(hide_local(own.exact), False, None, None) if apart else own)
    return replace(columns, axes=tuple(axes))


def _attention(operation: Operation, field_of: Any) -> Field:
    """Every query sees, through the weights, every key and every value."""
    query, key, value = (field_of(operation.argument(name)) for name in ("query", "key", "value"))
    shape = tuple(operation.result.shape)
    seen = [reduce(part, [-1, -2], keepdim=True) for part in (key, value)]
    # The channels of a value stay apart, but not those of keys and queries.
    parts = [reduce(query, [-1], keepdim=True), *seen]
    mask = operation.argument("attn_mask")
    if mask is not None:
        parts.append(reduce(field_of(mask), [-1], keepdim=True))
    return join(parts, shape)


SUMS: dict[str, Rule] = {
    **dict.fromkeys(
        """
            mean sum nansum amax amin aminmax max min prod any all argmax argmin var std var_mean std_mean median
            nanmedian norm linalg_vector_norm logsumexp count_nonzero
            """.split(),
        _reduction,
    ),
    **dict.fromkeys(["softmax", "_softmax", "log_softmax", "_log_softmax", "softmin", "sort", "argsort"], _along_dim),
    **dict.fromkeys(["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"], _running),
    **dict.fromkeys(
        ("batch_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        _batch_norm,
    ),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
    **dict.fromkeys(("layer_norm", "native_layer_norm", "rms_norm"), _layer_norm),
    "topk": _largest,
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot"), _matmul(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _matmul(1)),
    "scaled_dot_product_attention": _attention,
}
