"""Maximum and average pooling as modules: torch's kernels behind one way of checking arguments and inputs.

Every module takes (N, C, H, W) or (C, H, W) and keeps the number of axes. Arguments, their order and their defaults are
those of the module of the same name in `torch.nn`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.pooling.settings import (
    IntOrPair,
    OutputSize,
    WindowGrid,
    as_divisor,
    as_flag,
    as_output_size,
    check_feature_map,
    compact,
)

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "MaxPool2d",
    "MaxUnpool2d",
    "WindowPool2d",
]


class WindowPool2d(nn.Module):
    """What all pooling modules with sliding windows share: checked settings and a repr that shows them."""

    def __init__(self, grid: WindowGrid) -> None:
        super().__init__()
        self.grid = grid

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Window height and width."""
        return self.grid.kernel_size

    @property
    def stride(self) -> tuple[int, int]:
        """Step between windows, down and across."""
        return self.grid.stride

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels added above and below, left and right."""
        return self.grid.padding

    @property
    def dilation(self) -> tuple[int, int]:
        """Distance between neighbouring pixels of a window, down and across."""
        return self.grid.dilation

    @property
    def ceil_mode(self) -> bool:
        """Whether a last window may hang over the far edge."""
        return self.grid.ceil_mode

    def check(self, x: Tensor, *, integers: bool = False) -> None:
        """Refuse an input that is no feature map or too small for a window."""
        check_feature_map(x, type(self).__name__, integers=integers)
        self.grid.output_size(x.shape[-2], x.shape[-1])

    def extra_repr(self) -> str:
        """Kernel and stride, then what differs from the default."""
        grid = self.grid
        parts = [f"kernel_size={compact(grid.kernel_size)}", f"stride={compact(grid.stride)}"]
        if any(grid.padding):
            parts.append(f"padding={compact(grid.padding)}")
        if grid.dilation != (1, 1):
            parts.append(f"dilation={compact(grid.dilation)}")
        if grid.ceil_mode:
            parts.append("ceil_mode=True")
        return ", ".join(parts)


class MaxPool2d(WindowPool2d):
    """The largest pixel of each window.

    y[i, j] = max over (a, b) of x[i S - P + a D, j S - P + b D]

    The padding is -inf and never returned. NaN wins over every number. The gradient goes to the largest pixel alone, to
    the first in reading order where several are equal. Whole numbers are taken too.

    Args:
        kernel_size: window height and width.
        stride: step between windows; None means `kernel_size`.
        padding: pixels added on each side, at most `kernel_size // 2`.
        dilation: distance between neighbouring pixels of a window.
        return_indices: also return where each maximum was, as row * W + column: what `MaxUnpool2d` takes.
        ceil_mode: let a last window hang over the far edge instead of leaving pixels out.

    Raises:
        TypeError: a setting is no whole number, or the input no tensor of real numbers.
        ValueError: a setting is out of range, or the input too small.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(WindowGrid.of(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode))
        self.return_indices = as_flag(return_indices, "return_indices")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, C, OH, OW), with `return_indices` to a pair of them."""
        self.check(x, integers=True)
        return max_of_windows(x, self.grid, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        """As for every window pooling, and whether indices are returned."""
        return super().extra_repr() + (", return_indices=True" if self.return_indices else "")


class AvgPool2d(WindowPool2d):
    """The mean of each window: the sum of its pixels over their number.

    The gradient is shared equally by the pixels of the window.

    Args:
        kernel_size: window height and width.
        stride: step between windows; None means `kernel_size`.
        padding: zeros added on each side, at most `kernel_size // 2`.
        ceil_mode: let a last window hang over the far edge; what lies beyond the padding is never counted.
        count_include_pad: whether the zeros of the padding count as pixels.
        divisor_override: divide by this number instead of the count, >= 1.

    Raises:
        TypeError: a setting is no whole number, or the input no tensor of floating-point numbers.
        ValueError: a setting is out of range, or the input too small.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(WindowGrid.of(kernel_size, stride, padding, ceil_mode=ceil_mode))
        self.count_include_pad = as_flag(count_include_pad, "count_include_pad")
        self.divisor_override = as_divisor(divisor_override)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, OH, OW)."""
        self.check(x)
        return mean_of_windows(x, self.grid, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        """As for every window pooling, and how the pixels are counted."""
        counting = "" if self.count_include_pad else ", count_include_pad=False"
        divisor = "" if self.divisor_override is None else f", divisor_override={self.divisor_override}"
        return super().extra_repr() + counting + divisor


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel: any H x W to 1 x 1, without parameters (Lin, Chen and Yan 2013, Network in Network)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        check_feature_map(x, "GlobalAvgPool2d")
        return F.adaptive_avg_pool2d(x, 1)


class GlobalMaxPool2d(nn.Module):
    """The largest pixel of each channel: any H x W to 1 x 1.

    The gradient goes to one pixel, the first of equal ones (`torch.amax` would share it among them).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        check_feature_map(x, "GlobalMaxPool2d")
        return F.adaptive_max_pool2d(x, 1)


class AdaptiveAvgPool2d(nn.Module):
    """A map of fixed size from any input: window i is the mean of pixels floor(i H / OH) to ceil((i + 1) H / OH) - 1.

    Windows overlap where OH does not divide H; where OH > H, pixels are repeated.

    Args:
        output_size: one number for both axes or (height, width), each >= 1; None keeps the size of that axis.

    Raises:
        TypeError: a size is no whole number.
        ValueError: a size is below 1.
    """

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        self.output_size = as_output_size(output_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, OH, OW)."""
        check_feature_map(x, "AdaptiveAvgPool2d")
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        """The size that comes out."""
        return f"output_size={compact(self.output_size)}"


class AdaptiveMaxPool2d(nn.Module):
    """A map of fixed size from any input: the largest pixel of the windows of `AdaptiveAvgPool2d`.

    Args:
        output_size: one number for both axes or (height, width), each >= 1; None keeps the size of that axis.
        return_indices: also return where each maximum was, as row * W + column.

    Raises:
        TypeError: a size is no whole number.
        ValueError: a size is below 1.
    """

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = as_output_size(output_size)
        self.return_indices = as_flag(return_indices, "return_indices")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, C, OH, OW), with `return_indices` to a pair of them."""
        check_feature_map(x, "AdaptiveMaxPool2d")
        return F.adaptive_max_pool2d(x, self.output_size, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        """The size that comes out, and whether indices are returned."""
        return f"output_size={compact(self.output_size)}" + (", return_indices=True" if self.return_indices else "")


class MaxUnpool2d(nn.Module):
    """Puts each pooled value back where its maximum was, and 0 everywhere else (Zeiler and Fergus 2014).

    Where windows overlapped, several values may claim one pixel; the last one written stays.

    Args:
        kernel_size: that of the `MaxPool2d` to undo, like the next two.
        stride: None means `kernel_size`.
        padding: at most `kernel_size // 2`.

    Raises:
        TypeError: a setting is no whole number.
        ValueError: a setting is out of range.
    """

    def __init__(self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0) -> None:
        super().__init__()
        self.grid = WindowGrid.of(kernel_size, stride, padding)

    def forward(self, x: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, C, OH, OW) and the indices of its maxima to (N, C, H, W).

        Args:
            x: pooled values.
            indices: int64, shaped like `x`: what `MaxPool2d(..., return_indices=True)` gave.
            output_size: (H, W), or the whole shape. Several sizes pool to one; None takes
                H = (OH - 1) stride - 2 padding + kernel.

        Raises:
            TypeError: `indices` is not int64, or `x` no tensor of floating-point numbers.
            ValueError: shapes differ, `output_size` is not one that pools to this, or an index lies outside it.
        """
        check_feature_map(x, "MaxUnpool2d")
        if indices.dtype != torch.int64:
            raise TypeError(f"indices must be int64, got {indices.dtype}")
        if indices.shape != x.shape:
            raise ValueError(f"indices must have the shape of x, {tuple(x.shape)}, got {tuple(indices.shape)}")
        wanted = output_size if output_size is None or len(output_size) != x.dim() else output_size[-2:]
        size = self.grid.unpooled_size(tuple(x.shape[-2:]), wanted)
        if not x.is_meta and x.numel():
            lowest, highest = (int(index) for index in indices.aminmax())
            if lowest < 0 or highest >= size[0] * size[1]:  # torch would write outside the output on a GPU
                raise ValueError(
                    f"indices must lie in 0..{size[0] * size[1] - 1} for an output of {size[0]} x {size[1]} pixels, "
                    f"got {lowest}..{highest}"
                )
        grid = self.grid
        return F.max_unpool2d(x, indices, grid.kernel_size, grid.stride, grid.padding, size)

    def extra_repr(self) -> str:
        """Kernel, stride and padding."""
        padding = f", padding={compact(self.grid.padding)}" if any(self.grid.padding) else ""
        return f"kernel_size={compact(self.grid.kernel_size)}, stride={compact(self.grid.stride)}{padding}"


def max_of_windows(x: Tensor, grid: WindowGrid, *, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """Torch's maximum over the windows of `grid`."""
    return F.max_pool2d(
        x, grid.kernel_size, grid.stride, grid.padding, grid.dilation, grid.ceil_mode, return_indices=return_indices
    )


def mean_of_windows(
    x: Tensor, grid: WindowGrid, count_include_pad: bool = True, divisor_override: int | None = None
) -> Tensor:
    """Torch's average over the windows of `grid`, which must not be dilated."""
    return F.avg_pool2d(
        x, grid.kernel_size, grid.stride, grid.padding, grid.ceil_mode, count_include_pad, divisor_override
    )
