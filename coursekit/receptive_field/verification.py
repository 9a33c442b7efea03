"""Check a computed receptive field against the network itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from coursekit.receptive_field.observer import Reached
from coursekit.receptive_field.perturbation import perturbed_bounds
from coursekit.receptive_field.report import ReceptiveField

__all__ = ["VerificationError", "verify"]


class VerificationError(RuntimeError):
    """The network depends on other pixels than the computed field says: a bug in this library, worth reporting."""


def verify(
    field: ReceptiveField, model: nn.Module, source: Reached, outputs: Mapping[str, Sequence[Reached]], in_channels: int
) -> None:
    """Perturb the input of the real network and compare every position, with and without gates.

    Args:
        field: what was computed.
        model: the network, with numbers in its parameters.
        source: the feature map that the field describes.
        outputs: what each named layer returned in the pass.
        in_channels: channels of the input.

    Raises:
        VerificationError: a position depends on other pixels; names it.
        ValueError: the map is no layer's output, or the network cannot be perturbed.
    """
    layer = _layer_of(source, outputs)
    if layer is None:
        raise ValueError(
            f"verify needs a layer whose output is the feature map; that made in {source.layer!r} is none: name a layer"
        )
    dims = [axis.place.dim for axis in source.field.axes]
    for everything in (True, False):
        claimed = field.bounds(everything)
        found = perturbed_bounds(
            model,
            field.input_size,
            layer or None,
            in_channels=in_channels,
            everything=everything,
            dims=dims,
            guess=claimed,
        )
        for axis, (said, seen) in enumerate(zip(claimed, found, strict=True)):
            wrong = np.flatnonzero((said != seen).any(axis=1))
            if len(wrong):
                place = int(wrong[0])
                raise VerificationError(
                    f"layer {layer!r}, axis {axis}, position {place}: pixels {said[place].tolist()} were computed, but "
                    f"the network depends on {seen[place].tolist()} ({len(wrong)} of {len(said)} positions differ)"
                )


def _layer_of(source: Reached, outputs: Mapping[str, Sequence[Reached]]) -> str | None:
    """The layer that returns the map, or the same positions of it, as its first tensor; the innermost one first."""
    names = sorted(outputs, key=lambda name: (name != source.layer, -name.count(".")))
    for name in names:
        first = outputs[name][0].field if outputs[name] else None
        if first is not None and first.is_map and _same(first.axes, source.field.axes):
            return name
    return None


def _same(one: Sequence, other: Sequence) -> bool:
    return all(a.place == b.place and np.array_equal(a.exact, b.exact) for a, b in zip(one, other, strict=True))
