"""Figures about padding: the two conventions of "same", what the modes put outside, how often a pixel is read."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike
from torch import Tensor

from coursekit.plots.grids import draw_grid, show_picture
from coursekit.plots.stride import draw_strip, draw_window
from coursekit.plots.style import FULL_WIDTH, ROLE
from coursekit.shapes import conv_output_size, same_padding, tensorflow_same_output_size, tensorflow_same_padding

__all__ = ["plot_grids", "plot_padding_modes", "plot_same_conventions", "plot_seams"]


def plot_same_conventions(size: int = 8, kernel_size: int = 3, stride: int = 2) -> Figure:
    """The windows of one strided convolution under PyTorch's usual padding and under TensorFlow's SAME.

    Args:
        size: pixels of the input.
        kernel_size: pixels under the window; odd, so that PyTorch's padding is (K - 1) / 2.
        stride: pixels from one window to the next.

    Returns:
        Two strips, one below the other, with their windows; each title names the pixels under the centres.
    """
    padding = same_padding(kernel_size)
    tensorflow = tensorflow_same_padding(size, kernel_size, stride)
    cases = [
        ("PyTorch", padding, padding, conv_output_size(size, kernel_size, stride, padding)),
        ("TensorFlow SAME", *tensorflow, tensorflow_same_output_size(size, stride)),
    ]
    figure = Figure(figsize=(FULL_WIDTH, 3))
    for ax, (name, before, after, count) in zip(figure.subplots(2, 1), cases, strict=True):
        draw_strip(ax, size, before=before, after=after)
        starts = [index * stride - before for index in range(count)]
        for index, start in enumerate(starts):
            draw_window(ax, start, kernel_size, 0.85 + 0.45 * (index % 2))
        centres = ", ".join(str(start + kernel_size // 2) for start in starts)
        ax.set_title(f"{name}: pads {before} and {after}, centres {centres}", loc="left")
        widest = max(padding, *tensorflow)
        ax.set(xlim=(-widest - 0.6, size + widest - 0.4), ylim=(-1.6, 0.6))
    return figure


def plot_padding_modes(padded: Mapping[str, Tensor], padding: int) -> Figure:
    """One photograph, padded in several ways; a dashed frame marks where the photograph ends.

    Args:
        padded: mode to padded picture of shape (3, H, W) or (H, W), values 0 to 1.
        padding: pixels added on each side.

    Returns:
        Two panels a row, one for each mode.
    """
    rows = (len(padded) + 1) // 2
    height, width = next(iter(padded.values())).shape[-2:]
    figure = Figure(figsize=(FULL_WIDTH, rows * (FULL_WIDTH / 2 * height / width + 0.3)))
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, (mode, picture) in zip(axes, padded.items(), strict=False):
        show_picture(ax, picture, title=mode)
        corner = padding - 0.5
        size = (width - 2 * padding, height - 2 * padding)
        ax.add_patch(Rectangle((corner, corner), *size, fill=False, edgecolor="white", linewidth=2.5))
        ax.add_patch(Rectangle((corner, corner), *size, fill=False, edgecolor="black", linestyle="--"))
    return figure


def plot_seams(jumps: Mapping[str, float], inside: float) -> Figure:
    """How large a step a gradient filter meets at the border, one bar a padding mode.

    Args:
        jumps: mode to mean absolute difference between the outermost pixel and the first padded one.
        inside: the same between neighbouring pixels inside the picture, drawn as a line.

    Returns:
        Horizontal bars, each with its number.
    """
    figure = Figure(figsize=(FULL_WIDTH, 0.5 * len(jumps) + 1))
    ax = figure.subplots()
    ax.barh(list(jumps), list(jumps.values()), color=ROLE["padding"], height=0.6)
    for row, jump in enumerate(jumps.values()):
        ax.annotate(f"{jump:.3f}", (max(jump, inside), row), (5, 0), textcoords="offset points", va="center")
    ax.axvline(inside, color=ROLE["input"], linestyle="--")
    ax.text(inside, 1.01, f" inside the picture: {inside:.3f}", transform=ax.get_xaxis_transform(), va="bottom")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.18 * max(jumps.values()))
    ax.set_xlabel("mean absolute step at the border")
    ax.tick_params(axis="y", length=0)
    return figure


def plot_grids(
    grids: Mapping[str, ArrayLike | Tensor], *, columns: int = 3, fmt: str = "{:g}", fontsize: float = 10
) -> Figure:
    """Small matrices in a grid of panels, cells coloured by their value; zeros are drawn pale.

    Args:
        grids: title to matrix of shape (H, W).
        columns: panels in a row.
        fmt: how the numbers are written; ``""`` leaves them out.
        fontsize: size of the numbers in points.

    Returns:
        One panel a matrix. Each panel has its own colour scale, from 0 to its largest value.
    """
    rows = -(-len(grids) // columns)
    figure = Figure(figsize=(FULL_WIDTH, rows * (FULL_WIDTH / columns + 0.25)))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, (title, grid) in zip(axes, grids.items(), strict=False):
        values = torch.as_tensor(grid).numpy()
        limits = (0.0, float(values.max()))
        draw_grid(ax, values, title=title, fmt=fmt, faded=values == 0, limits=limits, fontsize=fontsize)
    return figure
