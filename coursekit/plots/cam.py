"""Class activation maps laid over the photographs that they explain (Zhou et al. 2016)."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.models.cam import ClassActivationMap, class_activation_map
from coursekit.models.efficientnet_lite import preprocess as lite0_preprocess
from coursekit.plots.style import FULL_WIDTH, VALUE_MAP

__all__ = ["plot_class_activation_maps"]

#: Share of the heat in the overlay where the map is lowest and where it is highest.
_OPACITY = (0.35, 0.65)


def plot_class_activation_maps(
    images: Sequence[Tensor],
    model: nn.Module,
    *,
    class_names: Sequence[str] | None = None,
    class_indices: Sequence[int | None] | None = None,
    preprocess: Callable[[Tensor], Tensor] = lite0_preprocess,
) -> Figure:
    """One row an image: the photograph, and the same photograph under its class activation map.

    The map is stretched from its lowest to its highest value, so colours compare places within one image, not images.

    Args:
        images: uint8 images as the network is to see them, each (3, H, W); see :func:`coursekit.models.centre_crop`.
        model: a classifier that ends in global average pooling and one linear layer.
        class_names: name of each output; without it the title gives the number of the class.
        class_indices: the class to explain for each image; ``None`` (for one or for all) means the most probable one.
        preprocess: turns a uint8 image into the model's input; the default is that of EfficientNet-Lite0.

    Returns:
        The figure; the title of each overlay names the class and its probability.

    Raises:
        TypeError: an image is not a uint8 tensor.
        ValueError: no image, an image that is not (3, H, W), or as many classes as there are not images.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    for image in images:
        _check(image)
    wanted = [None] * len(images) if class_indices is None else list(class_indices)
    if len(wanted) != len(images):
        raise ValueError(f"class_indices must have one entry an image, {len(images)}, got {len(wanted)}")

    figure = Figure(figsize=(FULL_WIDTH, 0.53 * FULL_WIDTH * len(images)))
    axes = figure.subplots(len(images), 2, squeeze=False)
    for (left, right), image, class_index in zip(axes, images, wanted, strict=True):
        cam = class_activation_map(model, preprocess(image), class_index)
        name = f"class {cam.class_index}" if class_names is None else class_names[cam.class_index]
        _show(left, image.permute(1, 2, 0).numpy(), "photograph")
        _show(right, overlay(image, cam), f"{name}, {cam.probability:.0%}")
    return figure


def overlay(image: Tensor, cam: ClassActivationMap) -> np.ndarray:
    """The photograph in grey under the heat of its map, uint8, (H, W, 3).

    The map is enlarged bilinearly to the image. Heat covers the photograph more where it is higher, and the photograph
    loses its own colours, so that colour in the result stands for the map alone.

    Args:
        image: uint8, (3, H, W).
        cam: its class activation map, of any resolution.
    """
    _check(image)
    heat = F.interpolate(cam.map[None, None], size=image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    heat = (heat - heat.min()) / (heat.max() - heat.min()).clamp_min(1e-12)
    colours = mpl.colormaps[VALUE_MAP](heat.numpy())[..., :3]
    red, green, blue = image.numpy() / 255
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    low, high = _OPACITY
    opacity = (low + (high - low) * heat.numpy())[..., None]
    blend = opacity * colours + (1 - opacity) * grey[..., None]
    return np.round(255 * blend).astype(np.uint8)


def _check(image: Tensor) -> None:
    if not isinstance(image, Tensor) or image.dtype != torch.uint8:
        raise TypeError(f"an image must be a uint8 tensor, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"an image must have shape (3, H, W), got {tuple(image.shape)}")


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_title(title)
    axes.axis("off")
