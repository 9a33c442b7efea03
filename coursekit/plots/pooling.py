"""Figures on pooling: windows, gradients, feature maps, heads, adaptive and generalised pooling."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from torch import Tensor

from coursekit.plots.grids import Window, draw_arrow_between, draw_grid, draw_windows, show_picture, tint
from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES, ROLE

__all__ = [
    "plot_adaptive_windows",
    "plot_heads",
    "plot_maps",
    "plot_matrices",
    "plot_pooling_windows",
    "plot_power_means",
    "plot_responses",
    "plot_stochastic_samples",
    "plot_window_boxes",
]

#: Line styles in the order of use where a curve has no role of its own; colour is never the only difference.
_LINES: Final = (
    {"color": ROLE["input"], "linestyle": "-", "marker": "s"},
    {"color": ROLE["lost"], "linestyle": "--", "marker": "o"},
    {"color": ROLE["output"], "linestyle": ":", "marker": "D"},
    {"color": ROLE["skip"], "linestyle": "-.", "marker": "^"},
    {"color": ROLE["text"], "linestyle": "-", "marker": "x"},
)


def _require_any(panels: Mapping[str, object]) -> None:
    if not panels:
        raise ValueError("panels must hold at least one entry, got none")


def plot_pooling_windows(
    values: Tensor, pooled: Tensor, kernel_size: int = 2, *, operation: str = "max", fade_others: bool = True
) -> Figure:
    """A matrix cut into windows that do not overlap, and the pooled matrix beside it.

    Args:
        values: input (H, W).
        pooled: output (H // kernel_size, W // kernel_size).
        kernel_size: window and stride, in cells.
        operation: word above the arrow.
        fade_others: whether input cells that equal no output of their window are drawn pale.

    Returns:
        The figure.

    Raises:
        ValueError: the shapes do not fit the kernel size.
    """
    expected = tuple(length // kernel_size for length in values.shape)
    if tuple(pooled.shape) != expected:
        raise ValueError(f"pooled must have shape {expected}, got {tuple(pooled.shape)}")
    rows, columns = expected
    cells = pooled.repeat_interleave(kernel_size, 0).repeat_interleave(kernel_size, 1)
    faded = torch.ones_like(values, dtype=torch.bool)
    faded[: cells.shape[0], : cells.shape[1]] = values[: cells.shape[0], : cells.shape[1]] != cells
    figure = Figure(figsize=(FULL_WIDTH, 2.9))
    (left, right) = figure.subplots(1, 2, width_ratios=[values.shape[1], columns], gridspec_kw={"wspace": 0.28})
    limits = (values.min().item(), values.max().item())
    windows: list[Window] = [
        (r * kernel_size, c * kernel_size, kernel_size, kernel_size, "kernel")
        for r in range(rows)
        for c in range(columns)
    ]
    height, width = values.shape
    draw_grid(
        left,
        values,
        title=f"input {height} × {width}",
        highlight=windows,
        faded=faded if fade_others else None,
        limits=limits,
        fontsize=12,
    )
    draw_grid(right, pooled, title=f"output {rows} × {columns}", role="output", limits=limits, fontsize=12)
    draw_arrow_between(left, right, label=operation)
    return figure


def plot_matrices(
    panels: Mapping[str, ArrayLike | Tensor],
    *,
    fmt: str = "{:g}",
    fontsize: float = 10,
    shared_colours: bool = False,
    faded_zeros: bool = False,
    windows: Mapping[str, Sequence[Window]] | None = None,
) -> Figure:
    """Matrices side by side, each under its title.

    Args:
        panels: title to matrix, in the order of drawing.
        fmt: how numbers are written.
        fontsize: of the numbers, in points.
        shared_colours: whether all matrices share one colour scale.
        faded_zeros: whether zeros are drawn pale.
        windows: title to the windows outlined on that matrix.

    Returns:
        The figure.

    Raises:
        ValueError: there is no panel, or ``windows`` names one that does not exist.
    """
    _require_any(panels)
    windows = windows or {}
    if unknown := windows.keys() - panels.keys():
        raise ValueError(f"windows must name panels among {list(panels)}, got {sorted(unknown)}")
    matrices = {title: torch.as_tensor(matrix).detach().double() for title, matrix in panels.items()}
    everything = torch.cat([matrix.flatten() for matrix in matrices.values()])
    limits = (everything.min().item(), everything.max().item()) if shared_colours else None
    widths = [matrix.shape[1] for matrix in matrices.values()]
    height = FULL_WIDTH * max(matrix.shape[0] for matrix in matrices.values()) / (sum(widths) + 0.4) + 0.4
    figure = Figure(figsize=(FULL_WIDTH, height))
    axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)
    for ax, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        draw_grid(
            ax,
            matrix,
            title=title,
            fmt=fmt,
            fontsize=fontsize,
            limits=limits,
            faded=matrix == 0 if faded_zeros else None,
            highlight=windows.get(title, ()),
        )
    return figure


def plot_maps(
    panels: Mapping[str, ArrayLike | Tensor],
    *,
    columns: int = 3,
    shared_scale: bool = False,
    colour_map: str | None = None,
) -> Figure:
    """Pictures or feature maps in rows, each under its title.

    Args:
        panels: title to picture (H, W), (H, W, 3) or a tensor with channels first.
        columns: pictures in a row.
        shared_scale: whether all maps share one scale of values; otherwise each uses its own range.
        colour_map: matplotlib name, such as ``"gray"``; default is the map of the course.

    Returns:
        The figure.

    Raises:
        ValueError: there is no panel.
    """
    _require_any(panels)
    images = {title: torch.as_tensor(image).detach() for title, image in panels.items()}
    scale = {}
    if shared_scale:
        scale = {
            "vmin": min(image.min().item() for image in images.values()),
            "vmax": max(image.max().item() for image in images.values()),
        }
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    first = next(iter(images.values()))
    aspect = first.shape[-2] / first.shape[-1] if first.ndim == 2 or first.shape[0] in (1, 3) else 1.0
    figure = Figure(figsize=(FULL_WIDTH, rows * (FULL_WIDTH / columns * aspect + 0.3)))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.set_visible(False)
    for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
        show_picture(ax, image, title=title, cmap=colour_map, **scale)
    return figure


def plot_responses(
    positions: ArrayLike, curves: Mapping[str, ArrayLike], *, x_label: str, y_label: str = "response"
) -> Figure:
    """Responses of cells or features along one quantity, one line each, named in a legend above.

    Args:
        positions: values of the x axis.
        curves: name to values, one a position.
        x_label: label of the x axis.
        y_label: label of the y axis.

    Returns:
        The figure.

    Raises:
        ValueError: there is no curve, or more than the five line styles.
    """
    _require_any(curves)
    if len(curves) > len(_LINES):
        raise ValueError(f"curves must be at most {len(_LINES)}, got {len(curves)}")
    figure = Figure(figsize=(FULL_WIDTH, 3.0))
    ax = figure.subplots()
    for style, (name, values) in zip(_LINES, curves.items(), strict=False):
        ax.plot(np.asarray(positions), np.asarray(values), label=name, markersize=5, **style)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left")
    return figure


def plot_heads(counts: Mapping[str, tuple[int, int]]) -> Figure:
    """Parameters in the body and in the head of networks, as stacked bars.

    Args:
        counts: network to (parameters of the convolutional body, parameters of the head).

    Returns:
        The figure.

    Raises:
        ValueError: there is no network.
    """
    _require_any(counts)
    names = list(counts)
    body = np.array([counts[name][0] for name in names]) / 1e6
    head = np.array([counts[name][1] for name in names]) / 1e6
    places = np.arange(len(names))
    figure = Figure(figsize=(FULL_WIDTH, 0.9 + 0.55 * len(names)))
    ax = figure.subplots()
    ax.barh(places, body, color=ROLE["input"], label="body")
    ax.barh(places, head, left=body, color=tint(ROLE["lost"], 0.35), hatch="//", label="head")
    for place, part, total in zip(places, head, body + head, strict=True):
        ax.text(total + 0.012 * (body + head).max(), place, f"head {part / total:.1%}", va="center")
    ax.set_yticks(places, names)
    ax.set_xlim(0, 1.36 * (body + head).max())
    ax.invert_yaxis()
    ax.set_xlabel("parameters (millions)")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def plot_adaptive_windows(cases: Mapping[tuple[int, int], Sequence[tuple[int, int]]]) -> Figure:
    """Which input cells each output cell of adaptive pooling reads, along one axis.

    Args:
        cases: (input size, output size) to the windows, (start, end) each with the end exclusive.

    Returns:
        The figure: one axes a case, the input as a row of cells on top, one bar below for every window.

    Raises:
        ValueError: there is no case.
    """
    if not cases:
        raise ValueError("cases must hold at least one entry, got none")
    heights = [len(windows) + 1.5 for windows in cases.values()]
    figure = Figure(figsize=(FULL_WIDTH, 0.15 * sum(heights) + 0.3 * len(cases)))
    axes = figure.subplots(len(cases), 1, height_ratios=heights)
    longest = max(size for size, _ in cases)
    for ax, ((size, output), windows) in zip(np.atleast_1d(axes), cases.items(), strict=True):
        for cell in range(size):
            ax.add_patch(Rectangle((cell, 0), 1, 1, facecolor=tint(ROLE["input"]), edgecolor="white"))
            ax.text(cell + 0.5, 0.5, str(cell), ha="center", va="center", fontsize=9, color=ROLE["text"])
        for row, (start, end) in enumerate(windows):
            _draw_bar(ax, start, end, 1.35 + row)
        ax.set(xlim=(-0.1, longest + 0.1), ylim=(len(windows) + 1.4, -0.05))
        ax.axis("off")
        ax.set_title(f"{size} cells to {output}", loc="left")
    return figure


def _draw_bar(ax: Axes, start: int, end: int, top: float) -> None:
    ax.add_patch(Rectangle((start + 0.06, top), end - start - 0.12, 0.75, facecolor=ROLE["kernel"], edgecolor="none"))


def plot_window_boxes(image: Tensor, cases: Mapping[str, Sequence[tuple[int, int, int, int]]]) -> Figure:
    """A picture with the windows of several output sizes outlined on it.

    Args:
        image: (3, H, W) or (H, W).
        cases: title to windows (row, column, height, width) in pixels.

    Returns:
        The figure, one copy of the picture a case.

    Raises:
        ValueError: there is no case.
    """
    _require_any(cases)
    height, width = image.shape[-2:]
    figure = Figure(figsize=(FULL_WIDTH, FULL_WIDTH / len(cases) * height / width + 0.35))
    axes = figure.subplots(1, len(cases), squeeze=False)
    for ax, (title, boxes) in zip(axes[0], cases.items(), strict=True):
        show_picture(ax, image, title=title)
        draw_windows(ax, [(row - 0.5, column - 0.5, h, w, "kernel") for row, column, h, w in boxes])
    return figure


def plot_power_means(values: Tensor, powers: Sequence[float], means: Sequence[float]) -> Figure:
    """The L_p mean of one window against p, between its average and its maximum.

    Args:
        values: the numbers of one window, not negative.
        powers: p of each mean, >= 1.
        means: the pooled value for each p.

    Returns:
        The figure; the p axis is logarithmic to base 2.
    """
    figure = Figure(figsize=(FULL_WIDTH, 2.9))
    ax = figure.subplots()
    for name, level in (("max", values.max().item()), ("average", values.mean().item())):
        style = {key: METHOD_STYLES[name][key] for key in ("color", "linestyle")}
        ax.axhline(level, **style)
        ax.annotate(
            name,
            (powers[-1], level),
            xytext=(0, 5),
            textcoords="offset points",
            ha="right",
            color=METHOD_STYLES[name]["color"],
        )
    ax.plot(powers, means, color=ROLE["text"], marker="o", label="$L_p$")
    ax.set_xscale("log", base=2)
    ax.set_xticks(powers, [f"{power:g}" for power in powers])
    ax.minorticks_off()
    span = values.max().item() - values.mean().item()
    ax.set(xlabel="p", ylabel="pooled value", ylim=(None, values.max().item() + 0.15 * span))
    return figure


def plot_stochastic_samples(values: Tensor, samples: Tensor, expected: float) -> Figure:
    """How often stochastic pooling picks each number of a window, beside the probability it should have.

    Args:
        values: the numbers of one window, distinct and not negative, at least one positive.
        samples: results of many forward passes in training mode.
        expected: the result in evaluation mode.

    Returns:
        The figure: bars are probabilities, dots the measured shares; the dashed line marks the value used in
        evaluation.
    """
    values = values.flatten().double().sort().values
    samples = samples.flatten().double()
    shares = [(samples == value).double().mean().item() for value in values]
    probabilities = (values / values.sum()).numpy()
    width = 0.5 * torch.diff(values).min().item()
    figure = Figure(figsize=(FULL_WIDTH, 3.0))
    ax = figure.subplots()
    ax.bar(values.numpy(), probabilities, width=width, color=tint(ROLE["input"], 0.4), label="probability a / sum")
    ax.plot(values.numpy(), shares, "o", color=ROLE["text"], label="measured share (training)")
    ax.axvline(expected, color=ROLE["lost"], linestyle="--", label="value in evaluation")
    ax.set_xticks(values.numpy(), [f"{value:g}" for value in values])
    ax.set(xlabel="activation in the window", ylabel="share of draws", ylim=(0, None))
    figure.legend(loc="outside upper left", ncols=2)
    return figure
