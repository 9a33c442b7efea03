"""Figures about stride: windows on grids and strips, sizes through an encoder and decoder, aliasing."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from coursekit.plots.grids import Window, draw_grid, draw_windows, show_picture, tint
from coursekit.plots.style import FULL_WIDTH, ROLE
from coursekit.shapes import Conv, Pool, conv_output_size, effective_kernel_size, output_size

__all__ = [
    "draw_strip",
    "draw_window",
    "plot_coverage",
    "plot_output_size",
    "plot_pictures",
    "plot_skip_sizes",
    "plot_strided_maps",
    "plot_strides",
]


# --- One axis: a row of pixels and the windows on it -----------------------------------------------------------


def draw_strip(
    ax: Axes, size: int, *, before: int = 0, after: int = 0, beyond: int = 0, lost: Sequence[int] = ()
) -> None:
    """Draw one axis of an input as a row of squares; pixel ``i`` is centred at ``x = i``.

    Args:
        ax: axes to draw on.
        size: pixels of the input.
        before: padding pixels on the left, drawn grey and hatched.
        after: padding pixels on the right.
        beyond: places to the right of the padding that a window may hang over, drawn dotted.
        lost: pixels that no window reads, drawn crossed out.
    """
    looks = {
        "input": {"facecolor": tint(ROLE["input"]), "edgecolor": "white", "linewidth": 1.5},
        "lost": {"facecolor": "none", "edgecolor": ROLE["lost"], "hatch": "xxx"},
        "padding": {"facecolor": "none", "edgecolor": ROLE["padding"], "hatch": "////"},
        "beyond": {"facecolor": "none", "edgecolor": ROLE["padding"], "linestyle": ":"},
    }
    for x in range(-before, size + after + beyond):
        kind = "lost" if x in lost else "input" if 0 <= x < size else "padding" if x < size + after else "beyond"
        ax.add_patch(Rectangle((x - 0.5, -0.5), 1, 1, label=kind, **looks[kind]))
        if kind == "input":
            ax.text(x, 0, str(x), ha="center", va="center", fontsize=10)
    ax.set_xlim(-before - 0.6, size + after + beyond - 0.4)
    ax.axis("off")


def draw_window(
    ax: Axes, start: int, extent: int, level: float, *, colour: str = ROLE["kernel"], dashed: bool = False
) -> None:
    """Draw one window below a strip as a bracket with a dot at its centre.

    Args:
        ax: axes with a strip on it.
        start: index of the first pixel under the window; negative in the padding.
        extent: pixels that the window spans.
        level: distance below the strip; windows that overlap need different levels.
        colour: colour of bracket and dot.
        dashed: for a window that reaches past the input or is left out.
    """
    ends = [start - 0.4, start + extent - 0.6]
    style = (0, (2, 1.2)) if dashed else "-"
    ax.plot(ends, [-level] * 2, color=colour, linestyle=style, marker="|", markersize=8, label="window")
    ax.plot([sum(ends) / 2], [-level], color=colour, marker="o", markersize=5, label="centre")


def _window_starts(size: int, layer: Conv | Pool) -> tuple[list[int], list[int]]:
    """First pixels of the windows that are computed, and of one that ``ceil_mode`` leaves out."""
    stride = layer.stride or layer.kernel_size
    ceil_mode = getattr(layer, "ceil_mode", False)
    settings = (layer.kernel_size, stride, layer.padding, layer.dilation)
    count = output_size(size, *settings, ceil_mode=ceil_mode)
    room = size + 2 * layer.padding - effective_kernel_size(layer.kernel_size, layer.dilation)
    wanted = math.ceil(room / stride) + 1 if ceil_mode else count
    starts = [index * stride - layer.padding for index in range(wanted)]
    return starts[:count], starts[count:]


def plot_coverage(cases: Sequence[tuple[int, Conv | Pool]]) -> Figure:
    """Which input pixels the windows of a layer read, one strip a case.

    Args:
        cases: pairs of input size and layer. The layer's padding is a number, the same on both sides.

    Returns:
        One row a case: the pixels, the windows below them, and in the title how many windows there are and which
        pixels none of them reads.
    """
    figure = Figure(figsize=(FULL_WIDTH, 1.35 * len(cases)))
    rows = figure.subplots(len(cases), 1, squeeze=False)[:, 0]
    for ax, (size, layer) in zip(rows, cases, strict=True):
        starts, refused = _window_starts(size, layer)
        extent = effective_kernel_size(layer.kernel_size, layer.dilation)
        taps = {start + step * layer.dilation for start in starts for step in range(layer.kernel_size)}
        lost = [pixel for pixel in range(size) if pixel not in taps]
        last = max(start + extent for start in starts + refused)
        beyond = max(0, last - size - layer.padding)
        draw_strip(ax, size, before=layer.padding, after=layer.padding, beyond=beyond, lost=lost)
        for index, start in enumerate(starts):
            draw_window(ax, start, extent, 0.85 + 0.45 * (index % 2), dashed=start + extent > size + layer.padding)
        for start in refused:
            draw_window(ax, start, extent, 0.85, colour=ROLE["lost"], dashed=True)
        ax.set_ylim(-1.6, 0.6)
        ax.set_title(_coverage_title(size, layer, len(starts), lost, refused), loc="left")
    widest = max(ax.get_xlim()[1] - ax.get_xlim()[0] for ax in rows)
    for ax in rows:  # one scale for all strips, so that pixels can be compared by eye
        ax.set_xlim(ax.get_xlim()[0], ax.get_xlim()[0] + widest)
    return figure


def _coverage_title(size: int, layer: Conv | Pool, count: int, lost: list[int], refused: list[int]) -> str:
    settings = f"$H$ = {size}, $K$ = {layer.kernel_size}, $S$ = {layer.stride or layer.kernel_size}"
    settings += f", $P$ = {layer.padding}" if layer.padding else ""
    settings += ", ceil" if getattr(layer, "ceil_mode", False) else ""
    unread = f", unread: {', '.join(map(str, lost))}" if lost else ""
    left_out = f", {len(refused)} left out" if refused else ""
    return f"{settings}: {count} windows{left_out}{unread}"


def plot_output_size(size: int, kernel_size: int, stride: int, padding: int) -> Figure:
    """The output-size formula as a picture: the first window, the room behind it, the whole steps that fit.

    Args:
        size: pixels of the input.
        kernel_size: pixels under the window.
        stride: pixels from one window to the next.
        padding: pixels added on each side.

    Returns:
        A strip of pixels with the windows below, and under them the padded length cut into first window, steps and
        what is left over.
    """
    figure = Figure(figsize=(FULL_WIDTH, 3.3))
    ax = figure.subplots()
    draw_strip(ax, size, before=padding, after=padding)
    count = output_size(size, kernel_size, stride, padding)
    for index in range(count):
        draw_window(ax, index * stride - padding, kernel_size, 0.9 + 0.42 * (index % 2))
    left, right = -padding - 0.5, size + padding - 0.5
    _measure(ax, left, right, 0.95, f"$H + 2P$ = {size + 2 * padding} pixels", ROLE["text"])
    _measure(ax, left, left + kernel_size, -2.2, f"first window\n$K$ = {kernel_size}", ROLE["kernel"])
    room = size + 2 * padding - kernel_size
    _measure(ax, left + kernel_size, right, -2.2, f"room to move: $H + 2P - K$ = {room}\n", ROLE["text"])
    for step in range(count - 1):
        at = left + kernel_size + step * stride
        _measure(ax, at, at + stride, -3.7, f"$S$ = {stride}", ROLE["output"])
    rest = room - (count - 1) * stride
    if rest:
        _measure(ax, right - rest, right, -3.7, f"{rest} left", ROLE["lost"])
    ax.set_xlim(left - 0.2, right + 0.2)
    ax.set_ylim(-4.7, 1.9)
    ax.set_title(f"{count - 1} whole steps fit, so there are {count} windows")
    return figure


def _measure(ax: Axes, left: float, right: float, y: float, text: str, colour: str) -> None:
    """A dimension line with its text: above the line for positive ``y``, below otherwise."""
    ax.annotate(
        "", (left, y), (right, y), arrowprops={"arrowstyle": "<->", "color": colour, "shrinkA": 0, "shrinkB": 0}
    )
    ax.text(
        (left + right) / 2,
        y + (0.12 if y > 0 else -0.15),
        text,
        ha="center",
        va="bottom" if y > 0 else "top",
        fontsize=10,
        color=ROLE["text"] if colour == ROLE["kernel"] else colour,
    )


# --- Two axes ----------------------------------------------------------------------------------------------------


def plot_strides(size: int = 11, kernel_size: int = 3, strides: Sequence[int] = (1, 2, 4)) -> Figure:
    """Where the windows of one kernel land for several strides, and the output that each stride leaves.

    Args:
        size: height and width of the input.
        kernel_size: height and width of the kernel; odd, so that every window has a middle pixel.
        strides: one column of the figure each.

    Returns:
        Top row: the input with the first window outlined, the second dashed, a dot at each centre. Bottom row: the
        output at the same scale.
    """
    largest = output_size(size, kernel_size, min(strides))
    panel = FULL_WIDTH / len(strides)
    figure = Figure(figsize=(FULL_WIDTH, panel * (1 + largest / size) + 0.45))
    top, bottom = figure.subplots(2, len(strides), squeeze=False, height_ratios=[size, largest])
    for above, below, stride in zip(top, bottom, strides, strict=True):
        draw_grid(above, np.zeros((size, size)), fmt="", colour_by_value=False, role="input")
        first: Window = (0, 0, kernel_size, kernel_size, "kernel")
        second: Window = (0, stride, kernel_size, kernel_size, "kernel")
        draw_windows(above, [first, second])
        above.patches[-1].set(linestyle=(0, (1.5, 1)), linewidth=2)
        count = output_size(size, kernel_size, stride)
        centres = kernel_size / 2 + stride * np.arange(count)
        columns, rows = np.meshgrid(centres, centres)
        above.scatter(columns, rows, s=10, color=ROLE["text"], zorder=4)
        above.set_title(f"stride {stride}")
        draw_grid(below, np.zeros((count, count)), fmt="", colour_by_value=False, role="output")
        below.set(xlim=(-0.06, size + 0.06), ylim=(largest + 0.06, -0.06))  # cells as large as those of the input
        below.set_title(f"output {count}×{count}")
    return figure


def plot_strided_maps(maps: Mapping[str, Tensor], picture: Tensor | None = None) -> Figure:
    """Feature maps of the same picture side by side, all pixels drawn at one size.

    Args:
        maps: title to map, each of shape (H, W); drawn in the given order. All share one scale of grey, from the 1st
            to the 99th percentile of the first map, so that a few strong edges do not hide the others.
        picture: what the maps show, (3, H, W) with values 0 to 1; drawn first.

    Returns:
        One panel a map; a map with half the pixels is half as wide.
    """
    panels = {"picture": picture} if picture is not None else {}
    panels |= maps
    low, high = np.percentile(next(iter(maps.values())).numpy(), [1, 99])
    heights, widths = zip(*(panel.shape[-2:] for panel in panels.values()), strict=True)
    figure = Figure(figsize=(FULL_WIDTH, FULL_WIDTH * max(heights) / sum(widths) + 0.45))
    axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
    for ax, (title, panel) in zip(axes, panels.items(), strict=True):
        show_picture(ax, panel, title=title, vmin=low, vmax=high, cmap="gray")
        ax.set(ylim=(max(heights) - 0.5, -0.5))
    return figure


def plot_pictures(pictures: Mapping[str, Tensor], *, columns: int = 3) -> Figure:
    """Grey pictures in a grid, values 0 to 1 from black to white.

    Args:
        pictures: title to picture, each of shape (H, W).
        columns: panels in a row.

    Returns:
        One panel a picture, all drawn at the same width.
    """
    rows = math.ceil(len(pictures) / columns)
    side = FULL_WIDTH / columns
    figure = Figure(figsize=(FULL_WIDTH, rows * (side + 0.3)))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
        show_picture(ax, picture, title=title, vmin=0, vmax=1, cmap="gray")
    return figure


# --- An encoder, a decoder and their skip connections -------------------------------------------------------------


def plot_skip_sizes(sizes: Sequence[int], depth: int = 3) -> Figure:
    """What a decoder that doubles meets at each skip connection, for several input sizes.

    Every step of the encoder is a convolution with kernel 3, stride 2 and padding 1; every step of the decoder
    doubles the size of the encoder's next map.

    Args:
        sizes: input sizes, one column of the figure each.
        depth: number of times the encoder halves.

    Returns:
        One panel a size; a skip whose two sides differ is dashed and marked.
    """
    figure = Figure(figsize=(FULL_WIDTH, 0.75 * (depth + 1) + 0.4))
    panels = figure.subplots(1, len(sizes), squeeze=False)[0]
    for ax, size in zip(panels, sizes, strict=True):
        encoder = [size]
        for _ in range(depth):
            encoder.append(conv_output_size(encoder[-1], 3, 2, 1))
        for level, (skip, below) in enumerate(itertools.pairwise(encoder)):
            _skip(ax, level, skip, 2 * below)
        _box(ax, 0.5, depth, encoder[-1], ROLE["input"])
        broken = sum(skip != 2 * below for skip, below in itertools.pairwise(encoder))
        ax.set_title(f"input {size}: {broken} of {depth} skips fail" if broken else f"input {size}: all fit")
        ax.set(xlim=(-0.35, 1.35), ylim=(depth + 0.4, -0.5))
        ax.axis("off")
    return figure


def _box(ax: Axes, x: float, level: int, size: int, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "linewidth": 1.8}
    ax.text(x, level, str(size), ha="center", va="center", bbox=box, fontsize=10.5)


def _skip(ax: Axes, level: int, skip: int, decoder: int) -> None:
    """One level: encoder box, decoder box, the skip between them and the two ways down and up."""
    fits = skip == decoder
    colour, style = (ROLE["skip"], "-") if fits else (ROLE["lost"], (0, (3, 2)))
    inset = 0.06 * level  # the U narrows towards its bottom
    arrow = {"arrowstyle": "->", "color": colour, "linestyle": style, "linewidth": 1.8}
    ax.annotate("", (0.82 - inset, level), (0.18 + inset, level), arrowprops=arrow)
    ax.text(0.5, level - 0.08, "=" if fits else "≠", ha="center", va="bottom", color=colour, fontsize=12)
    _box(ax, inset, level, skip, ROLE["input"])
    _box(ax, 1 - inset, level, decoder, ROLE["output"] if fits else ROLE["lost"])
    for x, (tail, head) in ((inset, (level + 0.3, level + 0.72)), (1 - inset, (level + 0.72, level + 0.3))):
        ax.annotate("", (x, head), (x, tail), arrowprops={"arrowstyle": "->", "color": ROLE["padding"]})
