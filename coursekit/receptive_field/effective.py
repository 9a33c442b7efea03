"""The effective receptive field: how much each pixel of the field counts (Luo et al. 2016).

The receptive field says which pixels can influence a position. Few of them do so strongly: what a pixel weighs is the
sum over the paths that lead from it, and most paths start near the middle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from coursekit.receptive_field.probe import WatchedNetwork, checked_dims, checked_input_size

__all__ = ["EffectiveReceptiveField", "effective_receptive_field"]

#: Within two standard deviations lies this share of a Gaussian.
TWO_SIGMA = 0.9545


@dataclass(frozen=True, eq=False)
class EffectiveReceptiveField:
    """How much each input pixel counts for one position of a layer.

    Attributes:
        layer: name of the layer; None: the network's output.
        position: in the layer's map, one int for each axis.
        samples: random images averaged over.
        map: float64, in the image's shape, e.g. (H, W): each pixel's share of the squared gradient; their sum is 1.
    """

    layer: str | None
    position: tuple[int, ...]
    samples: int
    map: np.ndarray

    @property
    def center(self) -> tuple[float, ...]:
        """Centre of mass along each axis, in pixels; 0 is the first pixel's."""
        return tuple(float(np.arange(len(mass)) @ mass) for mass in self._marginals())

    @property
    def width(self) -> tuple[float, ...]:
        """Four standard deviations of the mass along each axis, in pixels: two on both sides, as of a Gaussian."""
        pairs = zip(self._marginals(), self.center, strict=True)
        return tuple(4 * math.sqrt(float((np.arange(len(mass)) - center) ** 2 @ mass)) for mass, center in pairs)

    @property
    def size(self) -> float:
        """Side of the square with as many pixels as exceed 4.55 % of the largest: the size of Luo et al. 2016.

        They call a pixel part of the field when its value exceeds 1 - 95.45 % of that in the centre, and plot the
        square root of the number of such pixels.
        """
        return float(self.share(1 - TWO_SIGMA) * self.map.size) ** (1 / self.map.ndim)

    def share(self, threshold: float) -> float:
        """Share of the image's pixels, 0 to 1, whose value exceeds ``threshold`` times the largest value.

        Raises:
            ValueError: ``threshold`` is not from 0 to below 1.
        """
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold must be from 0 to below 1, got {threshold}")
        return float(np.mean(self.map > threshold * self.map.max()))

    def square(self, mass: float = 0.95) -> int:
        """Side in pixels of the smallest square (cube, in 3-D) around the centre of mass that holds this much of it.

        The side is odd and the middle is the pixel nearest to the centre of mass; outside the image lies nothing.

        Raises:
            ValueError: ``mass`` is not above 0 and at most 1.
        """
        if not 0 < mass <= 1:
            raise ValueError(f"mass must be above 0 and at most 1, got {mass}")
        steps = [np.abs(np.arange(n) - round(c)) for n, c in zip(self.map.shape, self.center, strict=True)]
        distance = np.max(np.stack(np.meshgrid(*steps, indexing="ij")), axis=0)
        within = np.cumsum(np.bincount(distance.ravel(), weights=self.map.ravel()))
        return 2 * int(np.searchsorted(within, mass * within[-1] * (1 - 1e-12))) + 1

    def _marginals(self) -> list[np.ndarray]:
        axes = range(self.map.ndim)
        return [self.map.sum(axis=tuple(a for a in axes if a != axis)) for axis in axes]


def effective_receptive_field(
    model: nn.Module,
    layer: str | None,
    input_size: int | Sequence[int] = 224,
    *,
    in_channels: int = 3,
    samples: int = 16,
    position: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> EffectiveReceptiveField:
    """Measure how much each input pixel counts for one position of a layer, by gradients.

    For a random normal image x and random signs s, let g be the gradient of the sum of s_c * y_c over the layer's
    channels c at the position. The share of pixel p is g_p^2, summed over its colour channels and divided by the sum
    over all pixels; the map is the mean of the shares over the images. The signs keep channels from cancelling: on
    average over them, g_p^2 is the sum of the squared gradients of all channels.

    Luo et al. (2016) show that in a network of random weights this variance of the gradient spreads like a random walk
    over the kernels: near a Gaussian, of a width that grows with the square root of the depth, while the field grows
    with the depth.

    Args:
        model: any network that takes one image; measured in evaluation mode, on a copy that shares its parameters.
        layer: name of a submodule whose output is (N, C, *spatial), of its last call; None: the network's output.
        input_size: pixels: one int for a square image, or one int for each axis.
        in_channels: channels of the image, >= 1.
        samples: random images, >= 1. Trained networks have a few strong gradients, and need more than random ones.
        position: in the layer's map, one int for each axis; None: the middle, ``size // 2``.
        seed: of the images and the signs.
        progress: show a bar if it takes more than three seconds.

    Raises:
        TypeError: ``model`` is not a module, or the layer's output is not one tensor.
        ValueError: an impossible argument; a layer that is unknown, never called, or gives no map; a network that does
            not run on such an image or cannot be copied; a gradient that is not finite, or zero everywhere.
    """
    size = checked_input_size(input_size)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"samples must be an int of at least 1, got {samples!r}")
    network = WatchedNetwork(model, layer)
    generator = torch.Generator().manual_seed(seed)
    place = None if position is None else tuple(position)
    total = np.zeros(size)
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        for _ in tqdm(range(samples), desc="effective receptive field", delay=3, leave=False, disable=not progress):
            image = network.random_image(in_channels, size, generator).requires_grad_()
            output = network(image)
            if place is None:
                place = tuple(output.shape[dim] // 2 for dim in checked_dims(None, output, len(size), network.name))
            squares = _squared_gradient(image, _values_at(output, place, len(size), network.name), generator)
            if not np.isfinite(squares).all():
                raise ValueError(f"the gradient of {network.name} at position {place} is not finite")
            total += squares / (squares.sum() or 1)
    if not total.any():
        raise ValueError(f"the gradient of {network.name} at position {place} is zero for every pixel")
    return EffectiveReceptiveField(layer=layer, position=place, samples=samples, map=total / total.sum())


def _values_at(output: Tensor, place: tuple[int, ...], axes: int, name: str) -> Tensor:
    """The channels at one position."""
    shape = tuple(output.shape[dim] for dim in checked_dims(None, output, axes, name))
    if len(place) != axes or any(isinstance(p, bool) or not isinstance(p, int) for p in place):
        raise ValueError(f"position must have one int for each of {axes} axes, got {place}")
    if not all(0 <= p < n for p, n in zip(place, shape, strict=True)):
        raise ValueError(f"position must lie in the map of {shape} positions, got {place}")
    return output[(0, slice(None), *place)]


def _squared_gradient(image: Tensor, values: Tensor, generator: torch.Generator) -> np.ndarray:
    signs = torch.randint(2, values.shape, generator=generator).to(values) * 2 - 1
    if not values.requires_grad:
        return np.zeros(tuple(image.shape[2:]))
    (gradient,) = torch.autograd.grad((values * signs).sum(), image, allow_unused=True)
    if gradient is None:
        return np.zeros(tuple(image.shape[2:]))
    return gradient[0].double().square().sum(0).cpu().numpy()
