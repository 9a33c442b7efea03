"""The output-size formulas. Each public function hands one axis at a time to a short private one that does the sum."""

from functools import partial
from typing import Any

from coursekit.shapes._axes import Axes, is_one_per_axis, on_each_axis, wrong_length

__all__ = [
    "conv_output_size",
    "effective_kernel_size",
    "output_size",
    "pool_output_size",
    "transposed_output_size",
    "unused_pixels",
    "window_counts",
]


def effective_kernel_size(kernel_size: Axes, dilation: Axes = 1) -> Axes:
    """How many pixels a dilated kernel spans, gaps included.

    ``dilation * (kernel_size - 1) + 1`` (Yu and Koltun, 2016).

    Args:
        kernel_size: taps along the axis, at least 1.
        dilation: distance from one tap to the next in pixels, at least 1; 1 leaves no gap.

    Raises:
        TypeError: a value is no integer.
        ValueError: a value is below 1.
    """
    return on_each_axis(_span, kernel_size=kernel_size, dilation=dilation)


def output_size(
    size: Axes,
    kernel_size: Axes,
    stride: Axes = 1,
    padding: Axes = 0,
    dilation: Axes = 1,
    *,
    ceil_mode: bool = False,
) -> Axes:
    """In how many places the window fits: the formula behind convolution and pooling alike.

    ``floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1`` (Dumoulin and Visin, 2016,
    relationships 6 and 15). With ``ceil_mode`` the division rounds up: one more window, which runs over the end, counts
    if it starts inside the input or the padding before it.

    This is the bare formula. `conv_output_size` and `pool_output_size` also refuse what PyTorch's layers refuse.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps of the window, at least 1.
        stride: step from one window to the next in pixels, at least 1.
        padding: pixels added at each of the two ends, at least 0.
        dilation: distance between taps in pixels, at least 1.
        ceil_mode: round up instead of down.

    Returns:
        The number of windows, at least 1: an int for an int ``size``, else a tuple.

    Raises:
        TypeError: a value is no integer, or ``ceil_mode`` no bool.
        ValueError: a value is out of range, or the window is longer than the padded input; names both lengths.
    """
    return on_each_axis(
        partial(_count_windows, ceil_mode=_flag(ceil_mode)),
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


def conv_output_size(
    size: Axes, kernel_size: Axes, stride: Axes = 1, padding: Axes | str = 0, dilation: Axes = 1
) -> Axes:
    """Output size of ``torch.nn.Conv1d``, ``Conv2d`` or ``Conv3d``.

    The floor formula of `output_size`; ``padding="valid"`` means 0 and ``padding="same"`` keeps the size.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps, at least 1.
        stride: step in pixels, at least 1; must be 1 for ``padding="same"``.
        padding: pixels at each end, at least 0, or ``"same"`` or ``"valid"``.
        dilation: distance between taps in pixels, at least 1.

    Returns:
        The output size: an int for an int ``size``, else a tuple.

    Raises:
        TypeError: a value is no integer.
        ValueError: PyTorch would refuse this layer on this input; the message says why and what is allowed.
    """
    _refuse_short_kernel(size, kernel_size)
    settings = {"size": size, "kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be an int, 'same' or 'valid', got {padding!r}")
        if padding == "same":
            return on_each_axis(_keep_size, **settings)
        padding = 0
    return on_each_axis(_count_windows, padding=padding, **settings)


def pool_output_size(
    size: Axes,
    kernel_size: Axes,
    stride: Axes | None = None,
    padding: Axes = 0,
    dilation: Axes = 1,
    *,
    ceil_mode: bool = False,
) -> Axes:
    """Output size of PyTorch's pooling layers (``torch.nn.MaxPool2d``, ``AvgPool2d`` and their 1-D and 3-D siblings).

    The formula of `output_size`. Pooling allows padding only up to half the kernel, so that no window can lie wholly in
    the padding and have nothing to choose from; dilation does not raise that limit.

    One layer of PyTorch is stricter than the rest: ``AvgPool3d`` also refuses an input shorter than the kernel,
    whatever the padding.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps of the window, at least 1.
        stride: step in pixels, at least 1; None means ``kernel_size``, so that windows do not overlap.
        padding: pixels at each end, 0 to ``kernel_size // 2``.
        dilation: distance between taps in pixels, at least 1 (PyTorch offers it for maximum pooling only).
        ceil_mode: also count a last window that starts inside the input but runs over the end.

    Returns:
        The output size: an int for an int ``size``, else a tuple.

    Raises:
        TypeError: a value is no integer, or ``ceil_mode`` no bool.
        ValueError: PyTorch would refuse this layer on this input; the message says why and what is allowed.
    """
    _refuse_words("pooling", padding)
    return on_each_axis(
        partial(_count_pooling_windows, ceil_mode=_flag(ceil_mode)),
        size=size,
        kernel_size=kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=padding,
        dilation=dilation,
    )


def transposed_output_size(
    size: Axes,
    kernel_size: Axes,
    stride: Axes = 1,
    padding: Axes = 0,
    dilation: Axes = 1,
    output_padding: Axes = 0,
) -> Axes:
    """Output size of ``torch.nn.ConvTranspose1d``, ``ConvTranspose2d`` or ``ConvTranspose3d``.

    ``(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``: a convolution's formula
    solved for its input. Several input sizes of a strided convolution share one output size; ``output_padding`` picks
    among them (Dumoulin and Visin, 2016, relationship 14).

    An output of no pixels is refused, as by PyTorch's own kernels; its oneDNN path lets a size of exactly 0 pass.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps, at least 1.
        stride: distance in the output between the centres of two neighbouring inputs, at least 1.
        padding: pixels cut off at each end of the output, at least 0.
        dilation: distance between taps in pixels, at least 1.
        output_padding: pixels added at the far end of the output, at least 0 and smaller than ``stride`` or than
            ``dilation``.

    Returns:
        The output size: an int for an int ``size``, else a tuple.

    Raises:
        TypeError: a value is no integer.
        ValueError: PyTorch would refuse this layer on this input; the message says why and what is allowed.
    """
    _refuse_short_kernel(size, kernel_size)
    _refuse_words("a transposed convolution", padding)
    return on_each_axis(
        _spread,
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
    )


def unused_pixels(
    size: Axes,
    kernel_size: Axes,
    stride: Axes = 1,
    padding: Axes = 0,
    dilation: Axes = 1,
    *,
    ceil_mode: bool = False,
) -> Axes:
    """How many input pixels lie past the end of the last window: what falls off the edge.

    A stride that does not divide evenly leaves a remainder at the far end that no window reaches. Pixels skipped
    between two taps or two windows are not counted here; `window_counts` shows them.

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps of the window, at least 1.
        stride: step in pixels, at least 1.
        padding: pixels at each end, at least 0.
        dilation: distance between taps in pixels, at least 1.
        ceil_mode: whether a last window may run over the end, as in `output_size`.

    Returns:
        Pixels, 0 to ``size``: an int for an int ``size``, else a tuple.

    Raises:
        TypeError: a value is no integer, or ``ceil_mode`` no bool.
        ValueError: as for `output_size`.
    """
    return on_each_axis(
        partial(_pixels_left, ceil_mode=_flag(ceil_mode)),
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


def window_counts(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> list[int]:
    """In how many windows each input pixel of one axis takes part.

    The same number is how often each input pixel is multiplied by a weight, and, read the other way, how many terms a
    transposed convolution adds up at each output pixel: where it is uneven, checkerboards appear (Odena et al., 2016).

    Args:
        size: pixels of the input, at least 1.
        kernel_size: taps of the window, at least 1.
        stride: step in pixels, at least 1.
        padding: pixels at each end, at least 0.
        dilation: distance between taps in pixels, at least 1.

    Returns:
        ``size`` counts, one for each pixel.

    Raises:
        TypeError: a value is no integer; tuples are not taken, this is about one axis.
        ValueError: as for `output_size`.
    """
    if is_one_per_axis(size):
        raise TypeError(f"window_counts looks at one axis: size must be an int, got {size!r}")
    return on_each_axis(
        _count_per_pixel, size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )


# One axis, plain ints.


def _span(kernel_size: int, dilation: int) -> int:
    return dilation * (kernel_size - 1) + 1


def _count_windows(
    size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False
) -> int:
    span = _span(kernel_size, dilation)
    padded = size + 2 * padding
    steps, left_over = divmod(padded - span, stride)
    count = steps + 1
    # The window after the last one would start at count * stride, measured from the start of the padding.
    if ceil_mode and left_over and count * stride < size + padding:
        count += 1
    if count < 1:
        dilated = f" with dilation {dilation}" if dilation > 1 else ""
        rounding = f"; ceil_mode forgives at most stride - 1 = {stride - 1} missing pixels" if ceil_mode else ""
        raise ValueError(
            f"kernel_size {kernel_size}{dilated} covers {span} pixels, more than the padded input of {padded} "
            f"(size {size}, padding {padding}){rounding}"
        )
    return count


def _keep_size(size: int, kernel_size: int, stride: int, dilation: int) -> int:
    if stride != 1:
        raise ValueError(
            f"padding='same' needs stride 1, got {stride}: a stride makes the output smaller; give padding in pixels, "
            f"for example {_span(kernel_size, dilation) // 2}"
        )
    return size


def _count_pooling_windows(
    size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    if padding > kernel_size // 2:
        dilated = f" (dilation {dilation} does not raise it)" if dilation > 1 else ""
        raise ValueError(
            f"padding must be at most kernel_size // 2 = {kernel_size // 2} for pooling{dilated}, got {padding}"
        )
    return _count_windows(size, kernel_size, stride, padding, dilation, ceil_mode)


def _spread(size: int, kernel_size: int, stride: int, padding: int, dilation: int, output_padding: int) -> int:
    if output_padding >= max(stride, dilation):
        raise ValueError(
            f"output_padding must be smaller than stride {stride} or dilation {dilation}, so at most "
            f"{max(stride, dilation) - 1}, got {output_padding}"
        )
    whole = (size - 1) * stride + _span(kernel_size, dilation) + output_padding
    if whole <= 2 * padding:
        raise ValueError(
            f"padding {padding} cuts {2 * padding} pixels off an output of {whole} and leaves none (size {size}, "
            f"kernel_size {kernel_size}, stride {stride}, dilation {dilation}, output_padding {output_padding}); "
            f"padding must be at most {(whole - 1) // 2}"
        )
    return whole - 2 * padding


def _pixels_left(size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    count = _count_windows(size, kernel_size, stride, padding, dilation, ceil_mode)
    end = (count - 1) * stride + _span(kernel_size, dilation) - padding
    # A window that lies wholly in the padding before the input ends before pixel 0: all pixels are left.
    return max(0, size - max(0, end))


def _count_per_pixel(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> list[int]:
    counts = [0] * size
    for window in range(_count_windows(size, kernel_size, stride, padding, dilation)):
        for tap in range(kernel_size):
            pixel = window * stride + tap * dilation - padding
            if 0 <= pixel < size:
                counts[pixel] += 1
    return counts


# What the per-axis check cannot see.


def _flag(ceil_mode: Any) -> bool:
    if not isinstance(ceil_mode, bool):
        raise TypeError(f"ceil_mode must be True or False, got {ceil_mode!r}")
    return ceil_mode


def _refuse_words(operation: str, padding: Any) -> None:
    if isinstance(padding, str):
        raise TypeError(f"padding={padding!r} exists only for convolution; {operation} takes an int")


def _refuse_short_kernel(size: Any, kernel_size: Any) -> None:
    """Refuse a one-entry kernel on several axes: it shapes the layer's weight, so PyTorch does not stretch it."""
    if is_one_per_axis(size) and is_one_per_axis(kernel_size) and len(kernel_size) != len(size):
        raise wrong_length("kernel_size", kernel_size, len(size))
