"""From the fields of a pass to a `ReceptiveField`."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import nn

from coursekit.interpreter import ModelError, input_axes, run
from coursekit.receptive_field.fields import Axis
from coursekit.receptive_field.intervals import FAR, LOCAL, WHOLE
from coursekit.receptive_field.observer import Follower, Reached
from coursekit.receptive_field.report import EachAxis, ReceptiveField, ReceptiveFields
from coursekit.receptive_field.verification import verify as check

__all__ = ["receptive_field", "receptive_fields"]


def receptive_field(
    model: nn.Module,
    input_size: int | tuple[int, ...] = 224,
    layer: str | None = None,
    *,
    in_channels: int = 3,
    verify: bool = False,
) -> ReceptiveField:
    """Which input pixels a feature map sees, from one pass without data.

    For layers in a row the size follows from ``r += (kernel_size_eff - 1) * jump; jump *= stride`` (Araujo et al.
    2019). Here every tensor carries, for each of its positions, the first and the last pixel that reach it, so
    branches, dilation, slices, upsampling and borders need no other formula: a window takes the smallest first and the
    largest last pixel of its taps.

    Args:
        model: takes one tensor (N, in_channels, *axes). It is left as it was and may lie on any device; it runs in
            evaluation mode.
        input_size: pixels: an int for a square picture, or one int for each spatial axis.
        layer: name of the module whose output is meant (its last call); None for the last feature map before global
            pooling or flattening.
        in_channels: channels of the input.
        verify: also perturb the input of the real network and compare the bounds of every position with what then
            changes; takes seconds, and parameters with numbers.

    Returns:
        A `ReceptiveField`, everything per axis.

    Raises:
        TypeError: ``model`` is no module, or a size is no integer.
        ValueError: no layer of that name, a layer without a feature map before it, an operation of unknown geometry on
            the way (names it and its layer), a size below 1, a lazy module, or a model that cannot run on this input.
        VerificationError: ``verify`` found that the network depends on other pixels.
    """
    axes = input_axes(input_size)
    names = [name for name, _module in model.named_modules()] if isinstance(model, nn.Module) else []
    if layer is not None and not isinstance(layer, str):
        raise TypeError(f"layer must be the name of a module, got {layer!r}")
    if layer is not None and layer not in names:
        raise ValueError(
            f"layer must be the name of a module of {type(model).__name__}, got {layer!r}{_near(layer, names)}"
        )
    follower = Follower(None if verify else [layer or ""])
    run(model, axes, [follower], in_channels=in_channels)
    outputs = follower.outputs.get(layer or "")
    if outputs is None:
        raise ValueError(f"layer {layer!r} is not called when the model runs")
    source, output = _find_map(outputs, layer)
    field = _describe(layer, source, output, axes)
    if verify:
        check(field, model, source, follower.outputs, in_channels)
    return field


def receptive_fields(
    model: nn.Module, input_size: int | tuple[int, ...] = 224, *, in_channels: int = 3
) -> ReceptiveFields:
    """The receptive field of every named layer whose output is a feature map.

    Args and errors as for `receptive_field`; layers behind an operation of unknown geometry are left out.
    """
    axes = input_axes(input_size)
    follower = Follower(None)
    run(model, axes, [follower], in_channels=in_channels)
    rows, kinds = [], []
    for name, outputs in follower.outputs.items():
        reached = next((one for one in outputs if one.field is not None and one.field.is_map), None)
        if name and reached is not None:
            rows.append(_describe(name, reached, reached, axes))
            kinds.append(follower.kinds[name])
    return ReceptiveFields(type(model).__name__, axes, tuple(rows), tuple(kinds))


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _find_map(outputs: Sequence[Reached], layer: str | None) -> tuple[Reached, Reached]:
    """The feature map that is meant, and the tensor that was asked for: the first result of a layer that has both."""
    for output in outputs:
        if output.field is None:
            raise ModelError(
                f"the geometry of {output.problem} is unknown: which pixels it takes depends on values or has no rule"
            )
        _check_places(output, layer)
        source = output if layer is not None and output.field.is_map else output.map
        if source is not None and source.index >= 0:
            return source, output if layer is not None else source
    place = "the model" if layer is None else f"layer {layer!r}"
    raise ModelError(f"{place} returns nothing that a feature map leads to")


def _check_places(output: Reached, layer: str | None) -> None:
    """Refuse what has the dimensions of a feature map, but positions that cannot be told from each other."""
    field = output.field
    # Pooled globally, an axis is reached as a whole; here it is not, or by nothing.
    open_axes = all(axis.local or (axis.exact >= FAR).all() for axis in field.axes)
    if len(field.shape) == len(field.axes) + 2 and open_axes and not field.is_map:
        place = "the model" if layer is None else f"layer {layer!r}"
        raise ModelError(
            f"the positions of {place}, shape {field.shape}, do not follow the image: elements of different rows or "
            "columns came to lie side by side, or no pixel reaches them, so there is no field of a position"
        )


def _describe(layer: str | None, source: Reached, output: Reached, axes: tuple[int, ...]) -> ReceptiveField:
    """The field of the map ``source``, asked for as ``layer``, whose output is ``output``."""
    parts = [_measure(axis, length) for axis, length in zip(source.field.axes, axes, strict=True)]
    sees = [
        bool((-part[WHOLE][0] >= 0).all() and (-part[WHOLE][1] >= length - 1).all())
        for part, length in zip((axis.exact for axis in output.field.axes), axes, strict=True)
    ]
    return ReceptiveField(
        layer=source.layer if layer is None else layer,
        map_layer=layer if layer is not None and source is output else source.layer,
        input_size=axes,
        output_size=tuple(len(part.local) for part in parts),
        size=tuple(part.size for part in parts),
        stride=tuple(part.stride for part in parts),
        start=tuple(part.start for part in parts),
        sees_everything=EachAxis(sees),
        agrees=EachAxis(part.agrees for part in parts),
        misaligned=source.field.notes,
        _local=tuple(part.local for part in parts),
        _everything=tuple(part.everything for part in parts),
        _plane=tuple(part.plane for part in parts),
    )


@dataclass(frozen=True)
class _AxisMeasures:
    size: int
    stride: int | Fraction | None
    start: int
    agrees: bool
    local: np.ndarray
    everything: np.ndarray
    plane: np.ndarray


def _measure(axis: Axis, length: int) -> _AxisMeasures:
    """One axis of a feature map."""
    place = axis.place
    local, everything = (_bounds(axis.exact[part], place.dim, place.extent) for part in (LOCAL, WHOLE))
    if axis.plane is None:
        sizes = local[:, 1] - local[:, 0] + 1
        return _AxisMeasures(int(sizes.max()), None, int(local[0, 0]), False, local, everything, local)
    positions = np.arange(max(place.extent, axis.plane.period))
    endless = _bounds(axis.plane.at(positions), place.dim, len(positions))
    sizes = endless[:, 1] - endless[:, 0] + 1
    rate = Fraction(*axis.plane.rate)
    endless = endless[: place.extent]
    cut = np.stack([np.maximum(endless[:, 0], 0), np.minimum(endless[:, 1], length - 1)], axis=1)
    cut[cut[:, 0] > cut[:, 1]] = (0, -1)
    return _AxisMeasures(
        size=int(sizes.max()),
        stride=int(rate) if rate.denominator == 1 else rate,
        start=int(endless[0, 0]),
        agrees=axis.plane.period == 1 and bool((cut == local).all()),
        local=local,
        everything=everything,
        plane=endless,
    )


def _bounds(pair: np.ndarray, dim: int, count: int) -> np.ndarray:
    """(2, *shape) of firsts and negated lasts to (positions, 2), whatever the other dimensions; (0, -1) where empty."""
    others = tuple(other for other in range(1, pair.ndim) if other != dim + 1)
    first, last = np.broadcast_to(pair.min(axis=others), (2, count))
    bounds = np.stack([first, -last], axis=1)
    bounds[first >= FAR // 2] = (0, -1)
    return bounds
