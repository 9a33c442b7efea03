"""Inputs and settings shared by the pooling tests."""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

LAYOUTS = ("contiguous", "channels_last", "every_second_pixel", "transposed")
DTYPES = (torch.float32, torch.float64)
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}

# Settings a person would use, and the awkward ones: windows that overlap, leave gaps, hang over the edge.
GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0)},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
]


@st.composite
def pooling_settings(draw: Any, *, dilated: bool) -> tuple[dict[str, Any], tuple[int, int]]:
    """Arguments of a pooling layer and a size (H, W) that has at least one window."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) if dilated else (1, 1)
    size = tuple(
        max(1, step * (side - 1) + 1 - 2 * pad, step if pad else 1) + draw(st.integers(0, 5))
        for side, pad, step in zip(kernel, padding, dilation, strict=True)
    )
    arguments = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        arguments["dilation"] = dilation
    return arguments, size


def feature_map(
    seed: int,
    size: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float64,
    layout: str = "contiguous",
    kind: str = "normal",
    batch: int = 2,
    channels: int = 2,
) -> Tensor:
    """A random feature map.

    Args:
        seed: of the values.
        size: (H, W).
        dtype: of the values.
        layout: one of `LAYOUTS`.
        kind: "normal"; "ties" for few different whole numbers; "special" for ties with -inf, inf and NaN among them.
        batch: N.
        channels: C.
    """
    rng = np.random.default_rng(seed)
    shape = (batch, channels, *size)
    values = rng.normal(size=shape) if kind == "normal" else rng.integers(-2, 3, size=shape).astype(np.float64)
    if kind == "special":
        for special, share in ((-np.inf, 0.25), (np.nan, 0.08), (np.inf, 0.05)):
            values[rng.random(shape) < share] = special
    x = torch.from_numpy(values).to(dtype)
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "every_second_pixel":
        wide = torch.full((batch, channels, 2 * size[0], 2 * size[1]), 99.0, dtype=dtype)
        wide[..., ::2, ::2] = x
        return wide[..., ::2, ::2]
    if layout == "transposed":
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)
    return x


def agree(actual: Tensor, expected: Tensor | np.ndarray, *, exact: bool = False) -> None:
    """Same shape, same type and same values; NaN equals NaN."""
    wanted = torch.as_tensor(expected)
    tolerance = 0.0 if exact else TOLERANCE[actual.dtype]
    torch.testing.assert_close(actual, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


def gradient(function: Any, x: Tensor, upstream_seed: int = 7) -> Tensor:
    """Gradient of `(function(x) * v).sum()` with respect to x, v drawn from a fixed seed."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = function(x)
    upstream = np.random.default_rng(upstream_seed).normal(size=tuple(y.shape))
    y.backward(torch.from_numpy(upstream).to(y.dtype))
    return x.grad


def numeric_gradient(reference: Any, x: np.ndarray, upstream_seed: int = 7, step: float = 1e-6) -> np.ndarray:
    """The same gradient by central differences of a NumPy reference."""
    upstream = np.random.default_rng(upstream_seed).normal(size=reference(x).shape)
    slopes = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[place] += step
        behind[place] -= step
        slopes[place] = ((reference(ahead) - reference(behind)) * upstream).sum() / (2 * step)
    return slopes
