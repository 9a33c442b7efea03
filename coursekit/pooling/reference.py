"""Every pooling operation as plain loops over NumPy arrays: slow, and meant to be read.

Arrays are (N, C, H, W). Each function takes the arguments of the module of the same name and gives the same values.
`for n, c, i, j in np.ndindex(*out.shape)` visits all windows in reading order: image n, channel c, row i, column j.
Inside a window the pixels come in reading order too. Sums are kept in double precision; results have the type of the
input.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from coursekit.pooling.settings import (
    IntOrPair,
    OutputSize,
    WindowGrid,
    as_divisor,
    as_output_size,
    as_pair,
    as_real,
    as_whole,
    check_mirror,
)
from coursekit.shapes import same_padding_sides

__all__ = [
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
    "stochastic_pool2d_reference",
]


# -- maximum and average ---------------------------------------------------------------------------------------------


def max_pool2d_reference(
    x: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Largest pixel of each window; padding never wins, NaN always does. Returns (N, C, OH, OW)."""
    values, _ = max_pool2d_with_indices_reference(x, kernel_size, stride, padding, dilation, ceil_mode)
    return values


def max_pool2d_with_indices_reference(
    x: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Largest pixel of each window and where it was.

    Among equal pixels the first counts; among several NaN the last (as in torch).

    Returns:
        Values (N, C, OH, OW), and indices of the same shape: row * W + column in the plane (H, W).
    """
    rows, columns = _window_pixels(x, WindowGrid.of(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode))
    return _maximum(x, rows, columns)


def avg_pool2d_reference(
    x: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Sum of each window over the number of its pixels. Returns (N, C, OH, OW).

    With `count_include_pad` the padding counts as pixels of value 0; what `ceil_mode` lets hang over the padded edge
    never counts. `divisor_override` replaces the count.
    """
    grid = WindowGrid.of(kernel_size, stride, padding, ceil_mode=ceil_mode)
    rows, columns = _window_pixels(x, grid)
    counts = _pixel_counts(x, grid, rows, columns, count_include_pad)
    divisor = as_divisor(divisor_override)
    out = np.zeros((*x.shape[:2], len(rows), len(columns)), _result_type(x))
    for n, c, i, j in np.ndindex(*out.shape):
        total = 0.0
        for row in rows[i]:
            for column in columns[j]:
                total += float(x[n, c, row, column])
        out[n, c, i, j] = total / (counts[i][j] if divisor is None else divisor)
    return out


def global_avg_pool2d_reference(x: np.ndarray) -> np.ndarray:
    """Mean of each channel. Returns (N, C, 1, 1)."""
    return adaptive_avg_pool2d_reference(x, 1)


def global_max_pool2d_reference(x: np.ndarray) -> np.ndarray:
    """Largest pixel of each channel. Returns (N, C, 1, 1)."""
    return adaptive_max_pool2d_reference(x, 1)[0]


def adaptive_avg_pool2d_reference(x: np.ndarray, output_size: OutputSize) -> np.ndarray:
    """Mean of window i = floor(i H / OH) ... ceil((i + 1) H / OH) - 1 along each axis. Returns (N, C, OH, OW)."""
    rows, columns = _adaptive_pixels(x, output_size)
    out = np.zeros((*x.shape[:2], len(rows), len(columns)), _result_type(x))
    for n, c, i, j in np.ndindex(*out.shape):
        total = 0.0
        for row in rows[i]:
            for column in columns[j]:
                total += float(x[n, c, row, column])
        out[n, c, i, j] = total / (len(rows[i]) * len(columns[j]))
    return out


def adaptive_max_pool2d_reference(x: np.ndarray, output_size: OutputSize) -> tuple[np.ndarray, np.ndarray]:
    """Largest pixel of each adaptive window and where it was: values and indices, both (N, C, OH, OW)."""
    rows, columns = _adaptive_pixels(x, output_size)
    return _maximum(x, rows, columns)


def max_unpool2d_reference(
    x: np.ndarray,
    indices: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    output_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Put each pooled value back where its maximum was, and 0 everywhere else. Returns (N, C, H, W).

    Planes of several sizes pool to one; without `output_size` it is H = (OH - 1) stride - 2 padding + kernel.
    """
    _check_array(x)
    height, width = WindowGrid.of(kernel_size, stride, padding).unpooled_size(x.shape[2:], output_size)
    out = np.zeros((*x.shape[:2], height, width), x.dtype)
    for n, c, i, j in np.ndindex(*x.shape):
        index = int(indices[n, c, i, j])
        if not 0 <= index < height * width:
            raise ValueError(f"indices must lie in 0..{height * width - 1} for {height} x {width} pixels, got {index}")
        row, column = divmod(index, width)
        out[n, c, row, column] = x[n, c, i, j]
    return out


# -- generalised pooling ---------------------------------------------------------------------------------------------


def lp_pool2d_reference(
    x: np.ndarray,
    norm_type: float,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """(mean |x|^p)^(1/p) of each window, p = `norm_type` >= 1; p = inf gives max |x|. Returns (N, C, OH, OW).

    The window is divided by its largest pixel first and the result multiplied by it: nothing overflows, however large
    p is.
    """
    p = as_real(norm_type, "norm_type", minimum=1, maximum=math.inf)
    if math.isinf(p):
        return max_pool2d_reference(np.abs(x), kernel_size, stride, padding, ceil_mode=ceil_mode)
    grid = WindowGrid.of(kernel_size, stride, padding, ceil_mode=ceil_mode)
    rows, columns = _window_pixels(x, grid)
    counts = _pixel_counts(x, grid, rows, columns, count_include_pad)
    out = np.zeros((*x.shape[:2], len(rows), len(columns)), _result_type(x))
    for n, c, i, j in np.ndindex(*out.shape):
        window = [abs(float(x[n, c, row, column])) for row in rows[i] for column in columns[j]]
        largest = _largest(window)
        if largest == 0 or not math.isfinite(largest):
            out[n, c, i, j] = largest
            continue
        total = 0.0
        for value in window:
            total += (value / largest) ** p
        out[n, c, i, j] = largest * (total / counts[i][j]) ** (1 / p)
    return out


def mixed_pool2d_reference(
    x: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    alpha: float = 0.5,
) -> np.ndarray:
    """`alpha` * max + (1 - `alpha`) * average of each window, 0 <= `alpha` <= 1. Returns (N, C, OH, OW)."""
    alpha = as_real(alpha, "alpha", minimum=0, maximum=1)
    largest = max_pool2d_reference(x, kernel_size, stride, padding, ceil_mode=ceil_mode)
    average = avg_pool2d_reference(x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    if alpha == 0:  # 0 * inf would be NaN
        return average
    if alpha == 1:
        return largest
    return alpha * largest + (1 - alpha) * average


def stochastic_pool2d_reference(
    x: np.ndarray,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """One activation of each window, drawn with probability a / (sum of a), where a = max(x, 0).

    Args:
        x: (N, C, H, W).
        kernel_size: as in `max_pool2d_reference`, like the next four.
        stride: see there.
        padding: see there; padding is never drawn.
        dilation: see there.
        ceil_mode: see there.
        rng: draws one activation of each window (training). None gives what the draw gives on average,
            (sum of a^2) / (sum of a) (evaluation).

    Returns:
        (N, C, OH, OW); 0 for a window without a positive pixel, NaN for one with a NaN.
    """
    rows, columns = _window_pixels(x, WindowGrid.of(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode))
    out = np.zeros((*x.shape[:2], len(rows), len(columns)), _result_type(x))
    for n, c, i, j in np.ndindex(*out.shape):
        window = [float(x[n, c, row, column]) for row in rows[i] for column in columns[j]]
        activations = [value if value > 0 or math.isnan(value) else 0.0 for value in window]
        total = sum(activations)
        if total == 0:
            out[n, c, i, j] = 0.0
        elif math.isnan(total):
            out[n, c, i, j] = math.nan
        elif rng is None:
            out[n, c, i, j] = sum(a * (a / total) for a in activations)
        else:
            out[n, c, i, j] = _draw(activations, total, rng)
    return out


def blur_pool2d_reference(
    x: np.ndarray, kernel_size: int = 3, stride: IntOrPair = 2, padding_mode: str = "reflect"
) -> np.ndarray:
    """Weighted mean around every `stride`-th pixel; the weights are binomial coefficients, such as [1, 2, 1] / 4.

    `padding_mode` says what lies beyond the edge: "reflect", "replicate" or "zeros". Returns (N, C, OH, OW) with
    OH = ceil(H / stride).
    """
    _check_array(x)
    size = as_whole(kernel_size, "kernel_size", minimum=1)
    steps = as_pair(stride, "stride", minimum=1)
    if padding_mode not in _BEYOND_THE_EDGE:
        raise ValueError(f"padding_mode must be one of {', '.join(_BEYOND_THE_EDGE)}, got {padding_mode!r}")
    beyond = _BEYOND_THE_EDGE[padding_mode]
    height, width = x.shape[2:]
    before, after = same_padding_sides(size)  # an even filter has its extra tap after the pixel
    if padding_mode == "reflect":
        check_mirror(after, height, width)
    taps = [math.comb(size - 1, k) / 2 ** (size - 1) for k in range(size)]
    out = np.zeros((*x.shape[:2], math.ceil(height / steps[0]), math.ceil(width / steps[1])), _result_type(x))
    for n, c, i, j in np.ndindex(*out.shape):
        total = 0.0
        for a in range(size):
            for b in range(size):
                row = beyond(i * steps[0] - before + a, height)
                column = beyond(j * steps[1] - before + b, width)
                if row is not None and column is not None:
                    total += taps[a] * taps[b] * float(x[n, c, row, column])
        out[n, c, i, j] = total
    return out


# -- helpers ---------------------------------------------------------------------------------------------------------


def _check_array(x: np.ndarray) -> None:
    """Refuse what is not (N, C, H, W)."""
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"expected an array (N, C, H, W) with at least one channel and pixel, got shape {x.shape}")


def _result_type(x: np.ndarray) -> np.dtype:
    """The type of an average: that of floating-point input, and double precision for whole numbers."""
    return x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype(np.float64)


def _window_pixels(x: np.ndarray, grid: WindowGrid) -> tuple[list[list[int]], list[list[int]]]:
    """The rows of each window down the input, and the columns of each window across it, without the padding."""
    _check_array(x)
    pixels = []
    for axis, count in enumerate(grid.output_size(*x.shape[2:])):
        of_axis = []
        for window in range(count):
            start = window * grid.stride[axis] - grid.padding[axis]
            places = [start + k * grid.dilation[axis] for k in range(grid.kernel_size[axis])]
            of_axis.append([place for place in places if 0 <= place < x.shape[2 + axis]])
        pixels.append(of_axis)
    return pixels[0], pixels[1]


def _adaptive_pixels(x: np.ndarray, output_size: OutputSize) -> tuple[list[list[int]], list[list[int]]]:
    """The rows and the columns of each adaptive window."""
    _check_array(x)
    pixels = []
    for size, wanted in zip(x.shape[2:], as_output_size(output_size), strict=True):
        count = size if wanted is None else wanted
        first = [math.floor(Fraction(window * size, count)) for window in range(count)]
        end = [math.ceil(Fraction((window + 1) * size, count)) for window in range(count)]
        pixels.append([list(range(first[window], end[window])) for window in range(count)])
    return pixels[0], pixels[1]


def _pixel_counts(
    x: np.ndarray, grid: WindowGrid, rows: list[list[int]], columns: list[list[int]], include_pad: bool
) -> list[list[int]]:
    """How many pixels each window counts in an average."""
    counts_of_axis = []
    for axis, windows in enumerate((rows, columns)):
        if include_pad:
            padded_end = x.shape[2 + axis] + grid.padding[axis]
            starts = [window * grid.stride[axis] - grid.padding[axis] for window in range(len(windows))]
            counts_of_axis.append([min(start + grid.kernel_size[axis], padded_end) - start for start in starts])
        else:
            counts_of_axis.append([len(window) for window in windows])
    return [[down * across for across in counts_of_axis[1]] for down in counts_of_axis[0]]


def _maximum(x: np.ndarray, rows: list[list[int]], columns: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The largest pixel of each window and its number in the plane."""
    out = np.zeros((*x.shape[:2], len(rows), len(columns)), x.dtype)
    indices = np.zeros(out.shape, np.int64)
    for n, c, i, j in np.ndindex(*out.shape):
        largest, where = None, None
        for row in rows[i]:
            for column in columns[j]:
                pixel = x[n, c, row, column]
                if largest is None or pixel > largest or np.isnan(pixel):
                    largest, where = pixel, row * x.shape[3] + column
        out[n, c, i, j] = largest
        indices[n, c, i, j] = where
    return out, indices


def _largest(values: list[float]) -> float:
    """The maximum, or NaN if there is one among the values."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _draw(activations: list[float], total: float, rng: np.random.Generator) -> float:
    """One of the activations, each with probability activation / total."""
    mark = rng.random() * total  # a point on a line as long as all activations laid end to end
    for activation in activations:
        if mark < activation:
            return activation
        mark -= activation
    return max(activations)  # rounding left the point just beyond the end of the line


def _reflect(place: int, size: int) -> int:
    """Mirror at the centre of the first and the last pixel: -1 is 1."""
    if place < 0:
        return -place
    return 2 * (size - 1) - place if place >= size else place


def _replicate(place: int, size: int) -> int:
    """Stay on the first or the last pixel."""
    return min(max(place, 0), size - 1)


def _nothing(place: int, size: int) -> int | None:
    """No pixel there: it counts as 0."""
    return place if 0 <= place < size else None


_BEYOND_THE_EDGE: dict[str, Callable[[int, int], int | None]] = {
    "reflect": _reflect,
    "replicate": _replicate,
    "zeros": _nothing,
}
