"""What a network trained on ImageNet expects as input and what its outputs are called.

torchvision is imported where it is needed: it takes seconds, and most users of `coursekit.models` never come here.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

__all__ = ["centre_crop", "imagenet_classes"]

#: Share of the shorter side that the evaluation crop keeps (224 of 256 pixels).
_CROP: Final = 224 / 256


def imagenet_classes() -> tuple[str, ...]:
    """Names of the 1,000 ImageNet classes in the order of a classifier's outputs.

    They come with torchvision, in the metadata of its weights; nothing is downloaded.
    """
    from torchvision.models import EfficientNet_B0_Weights

    return tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])


def centre_crop(image: np.ndarray, size: int = 224) -> Tensor:
    """The square from the middle of a photograph, as ImageNet classifiers are evaluated.

    The square's side is 7/8 of the shorter side of the photograph (224 of 256 pixels); it is then resized with a
    bicubic filter that is widened when it shrinks, so nothing aliases.

    Args:
        image: a photograph, uint8, (H, W, 3).
        size: side of the result in pixels, >= 1.

    Returns:
        The crop, uint8, (3, size, size).

    Raises:
        TypeError: ``image`` is not a uint8 array.
        ValueError: ``image`` is not (H, W, 3), or ``size`` is below 1.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"image must be a uint8 NumPy array, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image must have shape (H, W, 3), got {image.shape}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    from torchvision.transforms.v2 import functional as transforms

    photo = torch.from_numpy(image.copy()).permute(2, 0, 1)  # (3, H, W)
    side = max(1, int(min(photo.shape[1:]) * _CROP))
    square = transforms.center_crop(photo, [side, side])
    return transforms.resize(square, [size, size], interpolation=transforms.InterpolationMode.BICUBIC, antialias=True)
