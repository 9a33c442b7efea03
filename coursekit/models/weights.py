"""Trained ImageNet weights: the files that torchvision publishes, fetched by name."""

import difflib
from typing import Final

from torch import Tensor

__all__ = ["torchvision_weights"]

#: What every ImageNet checkpoint has: 1,000 classes, and red, green and blue.
NUM_CLASSES: Final = 1000
IN_CHANNELS: Final = 3


def torchvision_weights(name: str, weights: str, *, num_classes: int, in_channels: int) -> dict[str, Tensor]:
    """The ``state_dict`` that torchvision publishes for a network.

    It is downloaded once, into PyTorch's hub folder (``TORCH_HOME``), and read from there afterwards.

    Args:
        name: of torchvision's network, such as ``"resnet50"``.
        weights: name of the weights, such as ``"IMAGENET1K_V2"``, or ``"DEFAULT"`` for the best that there are.
        num_classes: outputs of the network that will take the weights.
        in_channels: input channels of that network.

    Raises:
        TypeError: ``weights`` is not a string.
        ValueError: the network has other than 1,000 classes or 3 channels, or there are no weights of this name.
    """
    if not isinstance(weights, str):
        raise TypeError(f"weights must be a name such as 'IMAGENET1K_V1', or None, got {weights!r}")
    if (num_classes, in_channels) != (NUM_CLASSES, IN_CHANNELS):
        raise ValueError(
            f"the ImageNet weights have num_classes={NUM_CLASSES} and in_channels={IN_CHANNELS}, got {num_classes} and "
            f"{in_channels}; build the network with them first, then replace its first or last layer"
        )
    from torchvision.models import get_model_weights  # takes seconds to import

    published = get_model_weights(name).__members__
    if weights not in published:
        nearest = difflib.get_close_matches(weights.upper(), published, n=1)
        suggestion = f"did you mean {nearest[0]}? " if nearest else ""
        raise ValueError(f"{name} has no weights {weights!r}; {suggestion}it has {', '.join(published)}")
    return published[weights].get_state_dict(progress=True, check_hash=True)
