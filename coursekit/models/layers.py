"""Two layers that several networks share, and the check of their first and last number of channels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["SqueezeExcitation", "StochasticDepth", "check_ends"]


class SqueezeExcitation(nn.Module):
    """Weigh the channels by what the whole image shows (Hu et al. 2018, figure 2).

    Squeeze: the mean of each channel. Excitation: two small layers turn the C means into C numbers between 0 and 1.
    Scale: each channel is multiplied by its number. With z_c the mean of channel c,

        s = sigmoid(W2 activation(W1 z + b1) + b2),    y_c = s_c * x_c.

    Shape: (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C, channels of the input and the output.
        squeeze_channels: of the middle; Hu et al. take C / 16.
        activation: class of the activation in the middle, built with ``inplace=True``.
    """

    def __init__(self, channels: int, squeeze_channels: int, activation: Callable[..., nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1)  # on one position, a 1x1 convolution is a linear layer
        self.activation = activation(inplace=True)
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1)
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.avgpool(x)  # (N, C, 1, 1)
        scale = self.activation(self.fc1(scale))  # (N, squeeze_channels, 1, 1)
        scale = self.scale_activation(self.fc2(scale))  # (N, C, 1, 1)
        return scale * x


class StochasticDepth(nn.Module):
    """Leave out a residual branch for some images of the batch while training (Huang et al. 2016).

    Each image's branch is multiplied by 0 with probability p, else by 1 / (1 - p), so its mean stays what it was; in
    evaluation mode nothing happens. Shape: (N, ...) -> (N, ...).

    Args:
        p: probability that an image's branch is left out, 0 <= p < 1.

    Raises:
        ValueError: p is not in that range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and below 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        one_an_image = (x.shape[0],) + (1,) * (x.ndim - 1)  # (N, 1, 1, 1)
        kept = torch.empty(one_an_image, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}"


def check_ends(num_classes: int, in_channels: int) -> None:
    """Refuse a network that could not have an input or an output.

    Raises:
        TypeError: one of the two is not an int.
        ValueError: one of the two is below 1.
    """
    for name, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
