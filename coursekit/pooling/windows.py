"""One view that shows all windows of a feature map, and what is built on it.

Whatever torch has no pooling kernel for is computed on `sliding_windows`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.pooling.settings import WindowGrid

__all__ = ["chosen_windows", "pixel_counts", "pixel_numbers", "sliding_windows", "tile_windows"]


def sliding_windows(x: Tensor, grid: WindowGrid, fill: float = 0.0) -> Tensor:
    """All windows of `x` at once.

    `windows[..., i, j, a, b]` is the pixel in row a and column b of the window in row i and column j. Each pixel is
    shared by all windows it lies in: without padding nothing is copied, with padding the input is, once. Gradients
    flow through.

    Args:
        x: (..., H, W).
        grid: the windows.
        fill: the value of the padding: 0 for sums, -inf for a maximum.

    Returns:
        A view (..., OH, OW, KH, KW).
    """
    size = x.shape[-2:]
    before, beyond = grid.padding, []
    for axis, count in enumerate(grid.output_size(*size)):
        end_of_last_window = (count - 1) * grid.stride[axis] + grid.reach[axis] - before[axis]
        beyond.append(max(0, end_of_last_window - size[axis]))
    if any(before) or any(beyond):
        x = F.pad(x, (before[1], beyond[1], before[0], beyond[0]), value=fill)
    windows = x.unfold(-2, grid.reach[0], grid.stride[0]).unfold(-2, grid.reach[1], grid.stride[1])
    return windows[..., :: grid.dilation[0], :: grid.dilation[1]]  # (..., OH, OW, KH, KW)


def tile_windows(x: Tensor, grid: WindowGrid, fill: float = 0.0) -> Tensor:
    """A copy of `x` in which the windows lie side by side and share nothing.

    (..., H, W) becomes (..., OH * KH, OW * KW); pooling that with stride = `kernel_size` gives what pooling `x` with
    `grid` gives. Takes KH * KW / (SH * SW) times the memory of `x`.
    """
    windows = sliding_windows(x, grid, fill)
    rows, columns, kernel_height, kernel_width = windows.shape[-4:]
    return windows.transpose(-3, -2).reshape(*x.shape[:-2], rows * kernel_height, columns * kernel_width)


def pixel_numbers(x: Tensor) -> Tensor:
    """The number of each pixel in its plane, row * W + column, as (H, W)."""
    height, width = x.shape[-2:]
    return torch.arange(height * width, device=x.device).view(height, width)


def chosen_windows(x: Tensor, grid: WindowGrid, chosen: Tensor) -> Tensor:
    """A copy of some windows of `x`, with zeros for the padding. Takes memory and time for these windows only.

    Args:
        x: (..., H, W).
        grid: the windows.
        chosen: (..., OH, OW), True for the windows wanted.

    Returns:
        (M, KH, KW), M windows in reading order.
    """
    planes, rows, columns = chosen.flatten(0, -3).nonzero(as_tuple=True)
    numbers = sliding_windows(pixel_numbers(x), grid, fill=-1)[rows, columns]  # (M, KH, KW)
    places = planes[:, None, None] * (x.shape[-2] * x.shape[-1]) + numbers.clamp_min(0)
    return x.take(places).where(numbers >= 0, 0)


def pixel_counts(grid: WindowGrid, like: Tensor, *, include_pad: bool) -> Tensor:
    """How many pixels each window counts in an average.

    Args:
        grid: the windows, not dilated.
        like: (..., H, W): gives the size of the plane, the data type and the device.
        include_pad: whether the padding counts; what hangs over the padded edge never does.

    Returns:
        (OH, OW).
    """
    counts = []
    for axis, count in enumerate(grid.output_size(like.shape[-2], like.shape[-1])):
        size, pad = like.shape[axis - 2], grid.padding[axis]
        first, end = (-pad, size + pad) if include_pad else (0, size)
        starts = [window * grid.stride[axis] - pad for window in range(count)]
        along = [min(start + grid.kernel_size[axis], end) - max(start, first) for start in starts]
        counts.append(torch.tensor(along, dtype=like.dtype, device=like.device))
    return torch.outer(counts[0], counts[1])
