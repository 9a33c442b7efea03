"""Comparing a receptive field with the perturbation of the network itself."""

from typing import Any, Protocol

import numpy as np
from torch import nn

from coursekit.receptive_field.perturbation import perturbed_bounds


class Bounded(Protocol):
    def bounds(self, everything: bool = False) -> tuple[np.ndarray, ...]: ...


def disagreements(
    field: Bounded,
    model: nn.Module,
    input_size: Any,
    layer: str,
    *,
    kinds: tuple[bool, ...] = (False, True),
    **settings: Any,
) -> list[str]:
    """A sentence for each position whose bounds are not what the network depends on; empty when all are right.

    ``kinds`` are the values of ``everything`` to compare; ``settings`` go to :func:`perturbed_bounds`.
    """
    found = []
    for everything in kinds:
        claimed = field.bounds(everything=everything)
        axis, positions = settings.get("axis"), settings.get("positions")
        axes = range(len(claimed)) if axis is None else [axis]
        true = perturbed_bounds(model, input_size, layer, everything=everything, guess=claimed, **settings)
        for a, table in zip(axes, true, strict=True):
            places = np.arange(len(claimed[a])) if positions is None else np.asarray(positions)
            for place, said, seen in zip(places, claimed[a][places], table, strict=True):
                if tuple(said) != tuple(seen):
                    kind = "all" if everything else "local"
                    found.append(f"{kind}, axis {a}, position {place}: said {said.tolist()}, sees {seen.tolist()}")
    return found
