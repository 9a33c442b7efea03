"""Figures about receptive fields: what a position sees, where, and how the field grows through a network."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from coursekit.plots.grids import show_picture, tint
from coursekit.plots.stride import draw_strip, draw_window
from coursekit.plots.style import FULL_WIDTH, ROLE
from coursekit.receptive_field import ReceptiveField
from coursekit.shapes import Conv, output_size

__all__ = [
    "draw_receptive_field",
    "plot_border_fields",
    "plot_branches",
    "plot_field_growth",
    "plot_field_windows",
    "plot_network_fields",
    "plot_receptive_field",
    "plot_receptive_fields",
    "plot_tap_combs",
    "plot_tap_tree",
]


# --- A field over an image ---------------------------------------------------------------------------------------


def plot_receptive_field(
    field: ReceptiveField, image: ArrayLike | torch.Tensor | None = None, position: Sequence[int] | None = None
) -> Figure:
    """One position's receptive field over an image, the part outside the image included.

    Args:
        field: of a network for pictures: two axes.
        image: (H, W), (H, W, 3), (1, H, W) or (3, H, W), of the field's input size; None draws an empty grid.
        position: row and column of the feature map; None: the middle, ``size // 2``.

    Returns:
        The image; on it, in orange, the pixels that reach the position, hatched what lies in the padding, and a dot at
        the centre.

    Raises:
        ValueError: the field has not two axes, the image is of another size, or the position lies outside the map.
    """
    place = _place(field, position)
    figure = Figure(figsize=(0.75 * FULL_WIDTH, 0.75 * FULL_WIDTH))
    draw_receptive_field(figure.subplots(), field, image, place, title=f"{field.layer}, position {place}")
    return figure


def plot_receptive_fields(
    field: ReceptiveField, positions: Sequence[Sequence[int]], image: ArrayLike | torch.Tensor | None = None
) -> Figure:
    """The fields of several positions, one panel each, all drawn at one scale.

    Args:
        field: as in `plot_receptive_field`, as are ``image`` and the errors raised.
        positions: row and column of each.
        image: the picture below all of them.
    """
    places = [_place(field, position) for position in positions]
    figure = Figure(figsize=(FULL_WIDTH, FULL_WIDTH / len(places) + 0.4))
    panels = figure.subplots(1, len(places), squeeze=False)[0]
    for ax, place in zip(panels, places, strict=True):
        draw_receptive_field(ax, field, image, place, title=f"position {place}")
    for limits, getter in (("xlim", Axes.get_xlim), ("ylim", Axes.get_ylim)):
        ends = np.array([getter(ax) for ax in panels])
        widest = (ends[:, 0].min(), ends[:, 1].max()) if limits == "xlim" else (ends[:, 0].max(), ends[:, 1].min())
        for ax in panels:
            ax.set(**{limits: widest})
    return figure


def draw_receptive_field(
    ax: Axes,
    field: ReceptiveField,
    image: ArrayLike | torch.Tensor | None = None,
    position: Sequence[int] | None = None,
    *,
    title: str = "",
) -> None:
    """Draw what `plot_receptive_field` shows on axes of your own; pixel ``i`` has its middle at ``i``."""
    place = _place(field, position)
    height, width = field.input_size
    if image is None:
        ax.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor=tint(ROLE["input"]), label="image"))
        if max(height, width) <= 40:
            lines = {"colors": "white", "linewidth": 0.8, "zorder": 2}
            ax.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, **lines)
            ax.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, **lines)
        ax.axis("off")
    else:
        drawn = show_picture(ax, image, cmap="gray")
        if drawn.get_array().shape[:2] != field.input_size:
            raise ValueError(
                f"image must be {height} x {width}, as the field's input, got {drawn.get_array().shape[:2]}"
            )
    (top, bottom), (left, right) = (_reach(field, axis, place[axis]) for axis in (0, 1))
    whole = {"facecolor": "none", "edgecolor": ROLE["padding"], "hatch": "///", "linewidth": 1.2, "zorder": 0}
    ax.add_patch(_box(top, bottom, left, right, label="field", **whole))
    (y0, y1), (x0, x1) = (field.bounds()[axis][place[axis]] for axis in (0, 1))
    inside = {"facecolor": (*tint(ROLE["kernel"], 0.2), 0.35), "edgecolor": ROLE["kernel"], "linewidth": 2, "zorder": 3}
    if y1 >= y0 and x1 >= x0:
        ax.add_patch(_box(y0, y1, x0, x1, label="inside", **inside))
    ax.plot((left + right) / 2, (top + bottom) / 2, "o", color=ROLE["text"], markersize=4, zorder=4, label="centre")
    margin = 0.03 * max(height, width, bottom - top, right - left)
    ax.set(
        xlim=(min(left, 0) - 0.5 - margin, max(right, width - 1) + 0.5 + margin),
        ylim=(max(bottom, height - 1) + 0.5 + margin, min(top, 0) - 0.5 - margin),
        aspect="equal",
        title=title,
    )


def _box(top: float, bottom: float, left: float, right: float, **looks: object) -> Rectangle:
    return Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, **looks)


def _place(field: ReceptiveField, position: Sequence[int] | None) -> tuple[int, ...]:
    if len(field.input_size) != 2:
        raise ValueError(f"field must have two axes, height and width, got {len(field.input_size)}")
    place = tuple(size // 2 for size in field.output_size) if position is None else tuple(position)
    if len(place) != 2 or not all(0 <= i < n for i, n in zip(place, field.output_size, strict=True)):
        raise ValueError(f"position must lie in the map of {field.output_size} positions, got {place}")
    return place


def _reach(field: ReceptiveField, axis: int, index: int) -> tuple[int, int]:
    """First and last pixel of a field, also outside the image; the part inside alone where fields are uneven."""
    stride, size = field.stride[axis], field.size[axis]
    if stride is not None:
        first = field.start[axis] + index * stride
        if field.centers()[axis][index] == first + (size - 1) / 2:
            return int(first), int(first) + size - 1
    first, last = field.bounds()[axis][index]
    return int(first), int(last)


# --- One axis ----------------------------------------------------------------------------------------------------


def plot_tap_tree(size: int, layers: Sequence[Conv], position: int | None = None) -> Figure:
    """Rows of units, the input at the bottom, and the lines by which one unit of the last layer reads it.

    Args:
        size: pixels of the input.
        layers: convolutions one after the other, without padding.
        position: unit of the last layer; None: the middle one.

    Returns:
        One row of squares a layer; what the unit depends on is filled, what it does not is pale.
    """
    sizes, jumps, starts = [size], [1], [0.0]
    for layer in layers:
        sizes.append(output_size(sizes[-1], layer.kernel_size, layer.stride, 0, layer.dilation))
        starts.append(starts[-1] + jumps[-1] * layer.dilation * (layer.kernel_size - 1) / 2)
        jumps.append(jumps[-1] * layer.stride)
    figure = Figure(figsize=(FULL_WIDTH, 0.85 * len(sizes) + 0.3))
    ax = figure.subplots()
    seen = {sizes[-1] // 2 if position is None else position}
    for level in range(len(layers), -1, -1):
        role = "output" if level == len(layers) else "input" if level == 0 else "kernel"
        for unit in range(sizes[level]):
            x = starts[level] + unit * jumps[level]
            colour = ROLE[role] if unit in seen else tint(ROLE[role])
            label = f"level {level} {'seen' if unit in seen else 'unseen'}"
            ax.add_patch(Rectangle((x - 0.32, level - 0.16), 0.64, 0.32, facecolor=colour, zorder=3, label=label))
        text = f"layer {level}: {len(seen)}" if level else f"input: {len(seen)}"
        ax.text(size - 0.2, level, text, va="center", fontsize=10)
        if level:
            layer = layers[level - 1]
            taps = {u: [u * layer.stride + layer.dilation * k for k in range(layer.kernel_size)] for u in sorted(seen)}
            for unit, below in taps.items():
                for tap in below:
                    ends = [starts[level] + unit * jumps[level], starts[level - 1] + tap * jumps[level - 1]]
                    ax.plot(ends, [level, level - 1], color=ROLE["padding"], linewidth=1, zorder=1, label="tap")
            seen = {tap for below in taps.values() for tap in below}
    ax.set(xlim=(-0.6, size + 2.6), ylim=(-0.4, len(layers) + 0.4))
    ax.axis("off")
    return figure


def plot_field_windows(field: ReceptiveField, positions: Sequence[int], axis: int = 0) -> Figure:
    """The fields of some positions as brackets below a row of pixels, along one axis.

    Args:
        field: evenly spaced along this axis.
        positions: of the feature map, one bracket each.
        axis: which axis.

    Returns:
        Pixels outside the image are drawn as padding; a bracket that reaches there is dashed; dots mark the centres.
    """
    size = field.input_size[axis]
    reaches = [_reach(field, axis, position) for position in positions]
    before = max(0, -min(first for first, _ in reaches))
    after = max(0, max(last for _, last in reaches) - size + 1)
    figure = Figure(figsize=(FULL_WIDTH, 0.8 + 0.4 * len(positions)))
    ax = figure.subplots()
    draw_strip(ax, size, before=before, after=after)
    for row, (position, (first, last)) in enumerate(zip(positions, reaches, strict=True)):
        level = 0.95 + 0.8 * row
        draw_window(ax, first, last - first + 1, level, dashed=first < 0 or last >= size)
        ax.text(-before - 0.8, -level, f"position {position}", ha="right", va="center", fontsize=10)
    span = size + before + after
    ax.set(xlim=(-before - 0.5 - 0.24 * span, size + after - 0.3), ylim=(-1.5 - 0.8 * (len(positions) - 1), 0.6))
    return figure


def plot_branches(size: int, branches: Mapping[str, tuple[int, int]]) -> Figure:
    """What one position sees through each of several branches, below a row of pixels, and through all together.

    Args:
        size: pixels of the input.
        branches: name to first and last pixel.

    Returns:
        A bracket with its centre for each branch, and a green one for the union.
    """
    figure = Figure(figsize=(FULL_WIDTH, 1.2 + 0.4 * len(branches)))
    ax = figure.subplots()
    draw_strip(ax, size)
    union = (min(first for first, _ in branches.values()), max(last for _, last in branches.values()))
    for row, (name, (first, last)) in enumerate({**branches, "union": union}.items()):
        level = 0.95 + 0.8 * row
        colour = ROLE["output"] if name == "union" else ROLE["kernel"]
        draw_window(ax, first, last - first + 1, level, colour=colour)
        ax.text(-0.8, -level, name, ha="right", va="center", fontsize=10)
    ax.set(xlim=(-0.5 - 0.38 * size, size - 0.3), ylim=(-1.5 - 0.8 * len(branches), 0.6))
    return figure


def plot_tap_combs(combs: Mapping[str, tuple[int, int]], *, taps: int = 3) -> Figure:
    """Where the taps of a kernel lie in the input and how much each of them sees, for several networks below it.

    Args:
        combs: title to (field of one tap, pixels between neighbouring taps).
        taps: of the kernel along one axis.

    Returns:
        One row a network: a bar for each tap; bars that touch or overlap leave no gap. The title ends with the field
        of all taps together.
    """
    figure = Figure(figsize=(FULL_WIDTH, 0.95 * len(combs) + 0.5))
    rows = figure.subplots(len(combs), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (title, (size, jump)) in zip(rows, combs.items(), strict=True):
        for tap in range(taps):
            centre = (tap - (taps - 1) / 2) * jump
            shown = max(size, 1.5)  # one pixel must stay visible
            span = Rectangle((centre - shown / 2, 0.12 + 0.28 * tap), shown, 0.22, color=ROLE["kernel"], label="tap")
            ax.add_patch(span)
        total = size + (taps - 1) * jump
        ax.set(ylim=(0, 1.05), yticks=[])
        ax.set_title(f"{title}: {total} pixels", loc="left")
        ax.spines["left"].set_visible(False)
    widest = max(size + (taps - 1) * jump for size, jump in combs.values())
    rows[-1].set(xlim=(-widest / 2 - 2, widest / 2 + 2), xlabel="input pixels from the centre")
    return figure


def plot_border_fields(field: ReceptiveField, measured: np.ndarray | None = None, axis: int = 0) -> Figure:
    """The field of every position along one axis: the part inside the image, and what lies outside.

    Args:
        field: evenly spaced along this axis.
        measured: (positions, 2), first and last pixel as found on the real network; drawn as ticks.
        axis: which axis.

    Returns:
        One horizontal line a position: solid inside the image, dotted outside.
    """
    size, count = field.input_size[axis], field.output_size[axis]
    figure = Figure(figsize=(FULL_WIDTH, 0.28 * count + 1.3))
    ax = figure.subplots()
    ax.axvspan(-0.5, size - 0.5, color=tint(ROLE["input"]), label="image")
    for position, (first, last) in enumerate(field.bounds()[axis]):
        ends = _reach(field, axis, position)
        ax.plot(
            ends, [position] * 2, color=ROLE["padding"], linestyle=":", label="closed form" if not position else None
        )
        label = "inside the image" if not position else None
        ax.plot([first, last], [position] * 2, color=ROLE["kernel"], linewidth=4, solid_capstyle="butt", label=label)
    if measured is not None:
        rows = np.arange(count)
        for column, label in ((0, "measured"), (1, None)):
            marks = {"linestyle": "", "marker": "|", "markersize": 11, "markeredgewidth": 2, "color": ROLE["text"]}
            ax.plot(measured[:, column], rows, label=label, **marks)
    ax.set(xlabel="input pixel", ylabel="position", yticks=range(count), ylim=(count - 0.5, -0.5))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.55 / (0.28 * count)), ncols=2)
    return figure


# --- Whole networks ----------------------------------------------------------------------------------------------


def plot_field_growth(networks: Mapping[str, Sequence[ReceptiveField]], input_size: int | None = None) -> Figure:
    """Size of the field after each layer that widens it, on a logarithmic scale.

    Args:
        networks: name to the fields of its layers, in the order of the calls.
        input_size: drawn as a horizontal line.

    Returns:
        One line a network over the share of its widening layers that have been passed; a ring where the stride grows.
    """
    styles = [("kernel", "-", "o"), ("output", "--", "s"), ("skip", "-.", "^"), ("lost", ":", "D")]
    figure = Figure(figsize=(FULL_WIDTH, 3.6))
    ax = figure.subplots()
    for (name, fields), (role, line, marker) in zip(networks.items(), styles, strict=False):
        sizes, growing = [1], []
        jump = 1
        for one in fields:
            size, stride = one.size[0], one.stride[0]
            if size > sizes[-1]:
                sizes.append(size)
            if stride is not None and stride > jump:
                growing.append(len(sizes) - 1)
                jump = stride
        look = {"color": ROLE[role], "linestyle": line, "marker": marker, "markersize": 6, "markerfacecolor": "white"}
        ax.plot(range(len(sizes)), sizes, label=name, markevery=growing, **look)
    if input_size is not None:
        ax.axhline(input_size, color=ROLE["input"], linewidth=1.2, label=f"image, {input_size}")
    ax.set(yscale="log", xlabel="layers that widen the field", ylabel="field in pixels")
    ticks = [1, 3, 10, 30, 100, 300, 1000]
    ax.set_yticks(ticks, [str(tick) for tick in ticks], minor=False)
    ax.minorticks_off()
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower right")
    return figure


def plot_network_fields(
    sizes: Mapping[str, int], input_size: int | Mapping[str, int], gates: Sequence[str] = ()
) -> Figure:
    """Fields of whole networks as bars; what exceeds the image is hatched.

    Args:
        sizes: network to the size of its local field.
        input_size: side of the image, for all networks or for each.
        gates: networks whose gates see the whole image anyway; marked with a ring behind the bar.

    Returns:
        One bar a network, with the number of pixels behind it.
    """
    figure = Figure(figsize=(FULL_WIDTH, 0.27 * len(sizes) + 0.8))
    ax = figure.subplots()
    limit = 1.27 * max(sizes.values())
    for row, (name, size) in enumerate(sizes.items()):
        image = input_size[name] if isinstance(input_size, Mapping) else input_size
        inside = min(size, image)
        ax.barh(row, inside, height=0.62, color=ROLE["kernel"], label="inside")
        if size > inside:
            beyond = {"facecolor": "white", "edgecolor": ROLE["padding"], "hatch": "////", "linewidth": 0.8}
            ax.barh(row, size - inside, left=inside, height=0.62, label="beyond", **beyond)
        ax.text(size + 0.01 * limit, row, f"{size:,}", va="center", fontsize=10)
        if name in gates:
            ring = {"markerfacecolor": "none", "markersize": 7, "markeredgewidth": 1.6, "color": ROLE["skip"]}
            ax.plot(0.985 * limit, row, "o", label="gates", **ring)
    ax.set_yticks(range(len(sizes)), list(sizes))
    ax.set(xlim=(0, limit), ylim=(len(sizes) - 0.4, -0.6), xlabel="local field in pixels")
    ax.tick_params(axis="y", length=0)
    return figure
