"""Every pooling operation twice: as plain loops to be read (`*_reference`) and as an `nn.Module` to be used.

>>> import torch
>>> from coursekit.pooling import LPPool2d, lp_pool2d_reference
>>> x = torch.tensor([[[[0.0, 3.0], [4.0, 0.0]]]])
>>> LPPool2d(2, kernel_size=2)(x).item()
2.5
>>> lp_pool2d_reference(x.numpy(), 2, 2).item()
2.5
"""

from coursekit.pooling.generalised import BlurPool2d, LPPool2d, MixedPool2d, StochasticPool2d
from coursekit.pooling.modules import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
    MaxUnpool2d,
)
from coursekit.pooling.reference import (
    adaptive_avg_pool2d_reference,
    adaptive_max_pool2d_reference,
    avg_pool2d_reference,
    blur_pool2d_reference,
    global_avg_pool2d_reference,
    global_max_pool2d_reference,
    lp_pool2d_reference,
    max_pool2d_reference,
    max_pool2d_with_indices_reference,
    max_unpool2d_reference,
    mixed_pool2d_reference,
    stochastic_pool2d_reference,
)
from coursekit.pooling.settings import WindowGrid
from coursekit.pooling.windows import sliding_windows, tile_windows

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BlurPool2d",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "LPPool2d",
    "MaxPool2d",
    "MaxUnpool2d",
    "MixedPool2d",
    "StochasticPool2d",
    "WindowGrid",
    "adaptive_avg_pool2d_reference",
    "adaptive_max_pool2d_reference",
    "avg_pool2d_reference",
    "blur_pool2d_reference",
    "global_avg_pool2d_reference",
    "global_max_pool2d_reference",
    "lp_pool2d_reference",
    "max_pool2d_reference",
    "max_pool2d_with_indices_reference",
    "max_unpool2d_reference",
    "mixed_pool2d_reference",
    "sliding_windows",
    "stochastic_pool2d_reference",
    "tile_windows",
]
