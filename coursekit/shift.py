"""What a shift of the picture does to the features: photographs, shifted crops, fixed filters, two measures.

Nothing here is trained. Filters are fixed, so that networks which differ only in how they make the map smaller can
be compared on the same pictures. Crops come from larger photographs: a shifted crop shows what the camera would
have seen, no border is invented.
"""

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

__all__ = [
    "fixed_filter_network",
    "oriented_edges",
    "photographs",
    "relative_change",
    "shifted_crops",
    "winner_agreement",
]

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma


def photographs() -> list[Tensor]:
    """Eleven photographs that come with scikit-image and scikit-learn, in grey.

    Returns:
        Tensors (H, W) of float32 in 0..1, of different sizes, none smaller than 300 x 384.

    Raises:
        ImportError: scikit-image or scikit-learn is missing (they belong to the extra ``book``).
    """
    from skimage import data

    loaders = (data.astronaut, data.chelsea, data.coffee, data.rocket, data.camera)
    textures = (data.brick, data.gravel, data.grass, data.coins)
    pictures = [load() for load in (*loaders, *textures)] + _scikit_learn_pictures()
    tensors = [torch.tensor(picture, dtype=torch.float32) / 255 for picture in pictures]
    return [tensor @ torch.tensor(_GREY) if tensor.ndim == 3 else tensor for tensor in tensors]


def _scikit_learn_pictures() -> list[np.ndarray]:
    """Its two sample pictures, read as files: importing ``sklearn.datasets`` for them takes seconds."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ImportError("scikit-learn is missing: install the extra with pip install 'coursekit[book]'")
    folder = Path(package.origin).parent / "datasets" / "images"
    return [np.asarray(Image.open(folder / name)) for name in ("china.jpg", "flower.jpg")]


def shifted_crops(
    images: Sequence[Tensor], size: int, shifts: Sequence[int], *, crops_per_image: int = 2, seed: int = 0
) -> Tensor:
    """The same scenes seen by a camera that moves to the left, pixel by pixel.

    Crop s of a scene shows the columns from ``x - shifts[s]`` on, so its content sits ``shifts[s]`` pixels further
    to the right than in the unshifted crop.

    Args:
        images: grey photographs (H, W), each at least ``size`` high and ``size + max(shifts)`` wide.
        size: height and width of the crops, in pixels.
        shifts: shifts in pixels, >= 0.
        crops_per_image: scenes taken from each photograph, at random places.
        seed: of the random places.

    Returns:
        Tensor (shifts, scenes, 1, size, size).

    Raises:
        ValueError: no shift is given, a shift is negative, or a photograph is too small.
    """
    if not shifts or min(shifts) < 0:
        raise ValueError(f"shifts must be one or more numbers >= 0, got {list(shifts)}")
    room = max(shifts)
    generator = torch.Generator().manual_seed(seed)
    scenes = []
    for image in images:
        height, width = image.shape
        if height < size or width < size + room:
            raise ValueError(f"photographs must be at least {size} x {size + room}, got {height} x {width}")
        for _ in range(crops_per_image):
            y = int(torch.randint(0, height - size + 1, (), generator=generator))
            x = int(torch.randint(room, width - size + 1, (), generator=generator))
            scenes.append(torch.stack([image[y : y + size, x - s : x - s + size] for s in shifts]))
    return torch.stack(scenes, dim=1).unsqueeze(2)


def oriented_edges(kernel_size: int = 3, orientations: int = 4) -> Tensor:
    """A bank of edge filters: derivatives of a Gaussian, each orientation in both signs.

    The filter of angle t is u * exp(-(x^2 + y^2) / (2 sigma^2)) with u = x cos t + y sin t and
    sigma = kernel_size / 4, scaled so that its absolute values sum to 1. Filter 0 answers to brightness that grows to
    the right, filter 1 to brightness that grows to the left, and so on around the half circle.

    Args:
        kernel_size: odd, >= 3.
        orientations: number of angles, >= 1.

    Returns:
        Convolution weights (2 * orientations, 1, kernel_size, kernel_size).

    Raises:
        ValueError: ``kernel_size`` is even or below 3, or there is no orientation.
    """
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and at least 3, got {kernel_size}")
    if orientations < 1:
        raise ValueError(f"orientations must be at least 1, got {orientations}")
    axis = torch.arange(kernel_size, dtype=torch.float32) - (kernel_size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    envelope = torch.exp(-(x**2 + y**2) / (2 * (kernel_size / 4) ** 2))
    filters = []
    for index in range(orientations):
        angle = math.pi * index / orientations
        edge = (x * math.cos(angle) + y * math.sin(angle)) * envelope
        edge = edge / edge.abs().sum()
        filters += [edge, -edge]
    return torch.stack(filters).unsqueeze(1)


def fixed_filter_network(
    downsample: Callable[[], nn.Module], stages: int = 3, *, channels: int = 16, seed: int = 0
) -> nn.Sequential:
    """A small CNN without training: every stage is convolution, ReLU and a way to make the map smaller.

    The first convolution is :func:`oriented_edges`, the others are random 3x3 filters (He et al. 2015
    initialisation). Equal seeds give equal filters, whatever ``downsample`` builds. No layer pads.

    Args:
        downsample: builds the layer that ends each stage.
        stages: number of stages, >= 1.
        channels: output channels of the random convolutions.
        seed: of the random filters.

    Returns:
        A network without gradients that maps (N, 1, H, W) to feature maps.

    Raises:
        ValueError: there is no stage.
    """
    if stages < 1:
        raise ValueError(f"stages must be at least 1, got {stages}")
    generator = torch.Generator().manual_seed(seed)
    edges = oriented_edges()
    weights = [edges]
    for _ in range(stages - 1):
        fan_in = 9 * weights[-1].shape[0]
        weights.append(torch.randn(channels, weights[-1].shape[0], 3, 3, generator=generator) * math.sqrt(2 / fan_in))
    layers: list[nn.Module] = []
    for weight in weights:
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, bias=False)
        convolution.weight = nn.Parameter(weight)
        layers += [convolution, nn.ReLU(), downsample()]
    return nn.Sequential(*layers).requires_grad_(False).eval()


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """How much features changed, in units of their own size: ||after - before|| / ||before||.

    0 means unchanged; orthogonal vectors of equal length differ by sqrt(2).

    Args:
        before: features (N, ...).
        after: features of the same shape.

    Returns:
        Tensor (N,), one number a sample.

    Raises:
        ValueError: the shapes differ.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"before and after must have the same shape, got {tuple(before.shape)} and {tuple(after.shape)}"
        )
    return (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)


def winner_agreement(before: Tensor, after: Tensor) -> float:
    """Share of samples or places whose strongest channel stays the same.

    Zhang (2019) calls this consistency for the class that a network names; here any channel axis will do.

    Args:
        before: (N, C) or (N, C, H, W).
        after: features of the same shape.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: the shapes differ.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"before and after must have the same shape, got {tuple(before.shape)} and {tuple(after.shape)}"
        )
    return (before.argmax(dim=1) == after.argmax(dim=1)).double().mean().item()
