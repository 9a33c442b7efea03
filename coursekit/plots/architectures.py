"""Networks as drawings: their history, their blocks, the pyramid of their feature maps, and what each layer costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon

from coursekit.plots.grids import text_colour_on, tint
from coursekit.plots.style import FULL_WIDTH, ROLE

__all__ = [
    "BLOCKS",
    "MILESTONES",
    "Block",
    "Milestone",
    "plot_blocks",
    "plot_layer_costs",
    "plot_pyramid",
    "plot_timeline",
]


@dataclass(frozen=True)
class Milestone:
    """One network of the timeline.

    Attributes:
        year: when it was first published; for a paper with a preprint, the year of the preprint.
        name: of a network that the paper reports results for, in most cases its deepest.
        layers: layers with weights along the main path, as the paper counts them.
        lesson: what the field learnt from it, in a few words.
        key: of the source in ``references.bib``.
    """

    year: int
    name: str
    layers: int
    lesson: str
    key: str


MILESTONES: Final = (
    Milestone(1998, "LeNet-5", 7, "Learn the filters; share them over all places", "lecun1998gradient"),
    Milestone(2012, "AlexNet", 8, "The same idea at scale wins: data, GPUs, ReLU", "krizhevsky2012imagenet"),
    Milestone(2014, "VGG-19", 19, "One brick, 3×3, stacked deep, is enough", "simonyan2015very"),
    Milestone(2014, "GoogLeNet", 22, "1×1 convolutions make depth and branches cheap", "szegedy2015going"),
    Milestone(2015, "ResNet-152", 152, "Shortcuts let very deep networks train", "he2016deep"),
    Milestone(2016, "ResNet-1001", 1001, "A clean shortcut carries past 1,000 layers", "he2016identity"),
    Milestone(2016, "DenseNet-201", 201, "Reuse all earlier maps; fewer weights will do", "huang2017densely"),
    # The paper gives no count. Stem, head and classifier are 3; MBConv has 2 layers in stage 1, 3 in the others.
    Milestone(2019, "EfficientNet-B7", 164, "Depth, width and resolution grow together", "tan2019efficientnet"),
)


@dataclass(frozen=True)
class Block:
    """A building block as a column of bricks.

    Attributes:
        name: title of the drawing.
        channels: of the input.
        bricks: (what the brick does, channels that it puts out), first brick first.
        shortcut: whether the input is added to the output.
    """

    name: str
    channels: int
    bricks: tuple[tuple[str, int], ...]
    shortcut: bool


BLOCKS: Final = (
    Block("VGG-16", 256, (("3×3", 256), ("3×3", 256)), shortcut=False),
    Block("ResNet-50", 256, (("1×1", 64), ("3×3", 64), ("1×1", 256)), shortcut=True),
    Block("EfficientNet-Lite0", 40, (("1×1", 240), ("5×5 depthwise", 240), ("1×1", 40)), shortcut=True),
)


def plot_timeline(milestones: Sequence[Milestone] = MILESTONES) -> Figure:
    """One row a network, oldest on top: year, name, a bar of its layers on a logarithmic axis, and its lesson.

    Args:
        milestones: at least one, in the order in which they are to be drawn.

    Raises:
        ValueError: no milestone.
    """
    if not milestones:
        raise ValueError("milestones must hold at least one network, got none")
    figure = Figure(figsize=(FULL_WIDTH, 0.74 * len(milestones) + 0.6))
    ax = figure.subplots()
    rows = np.arange(len(milestones))
    layers = [milestone.layers for milestone in milestones]
    ax.barh(rows, layers, height=0.26, color=ROLE["output"])
    for row, milestone in zip(rows, milestones, strict=True):
        ax.text(1.05, row - 0.3, f"{milestone.year}", va="center", weight="bold")
        ax.text(2.25, row - 0.3, milestone.name, va="center", weight="bold")
        ax.text(milestone.layers * 1.08, row, f"{milestone.layers:,}", va="center", fontsize=10)
        ax.text(1.05, row + 0.29, milestone.lesson, va="center", fontsize=10)
    ax.set(xscale="log", xlim=(1, 2000), ylim=(len(milestones) - 0.45, -0.5), yticks=[])
    ax.set_xlabel("layers with weights")
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    ax.spines["left"].set_visible(False)
    return figure


def plot_blocks(blocks: Sequence[Block] = BLOCKS) -> Figure:
    """Blocks side by side, input on top; a brick is as wide as it has many channels, on a logarithmic scale.

    Args:
        blocks: one to three; more do not fit a phone.

    Raises:
        ValueError: no block, or more than three.
    """
    if not 1 <= len(blocks) <= 3:
        raise ValueError(f"blocks must be one to three, got {len(blocks)}")
    rows = max(len(block.bricks) for block in blocks)
    figure = Figure(figsize=(FULL_WIDTH, 0.78 * rows + 1.35))
    axes = figure.subplots(1, len(blocks), squeeze=False)
    for ax, block in zip(axes[0], blocks, strict=True):
        _draw_block(ax, block, rows)
    return figure


def _draw_block(ax: Axes, block: Block, rows: int) -> None:
    """Bricks at y = -1, -2, ...; the input enters at y = 0 and the output leaves below row ``rows``."""
    ax.set(xlim=(-1.15, 1.15), ylim=(-rows - 1.55, 0.75), title=block.name)
    ax.axis("off")
    most = max(block.channels, *(channels for _, channels in block.bricks))
    ax.text(0, 0.38, f"{block.channels} channels", ha="center", va="center", fontsize=10)
    last, colour = -len(block.bricks), text_colour_on(ROLE["kernel"])
    for row, (label, channels) in enumerate(block.bricks, start=1):
        half = max(0.98 + 0.16 * np.log2(channels / most), 0.45)
        _arrow(ax, (0, 0.15 if row == 1 else -row + 0.68), (0, -row + 0.35), ROLE["text"])
        box = FancyBboxPatch(
            (-half, -row - 0.3), 2 * half, 0.6, boxstyle="round,pad=0,rounding_size=0.08", facecolor=ROLE["kernel"]
        )
        ax.add_patch(box)
        ax.text(0, -row, f"{label}\n{channels}", ha="center", va="center", fontsize=10, linespacing=1.05, color=colour)
    if block.shortcut:
        _arrow(ax, (0, last - 0.32), (0, last - 0.62), ROLE["text"])
        ax.text(0, last - 0.82, "+", ha="center", va="center", fontsize=13, weight="bold", color=ROLE["skip"])
        ax.plot([0, 1.1, 1.1], [0.08, 0.08, last - 0.82], color=ROLE["skip"])
        _arrow(ax, (1.1, last - 0.82), (0.16, last - 0.82), ROLE["skip"])
        _arrow(ax, (0, last - 1.0), (0, last - 1.4), ROLE["text"])
    else:
        _arrow(ax, (0, last - 0.32), (0, last - 0.72), ROLE["text"])


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=0, color=colour, linewidth=1.5
    )
    ax.add_patch(arrow)


def plot_pyramid(maps: Sequence[tuple[str, tuple[int, int, int]]]) -> Figure:
    """Feature maps as slabs: as tall as the map, as thick as the square root of its channels.

    Args:
        maps: (label, (channels, height, width)) from the input to the last feature map, at least two.

    Raises:
        ValueError: fewer than two maps, or a size below 1.
    """
    if len(maps) < 2:
        raise ValueError(f"maps must hold at least two feature maps, got {len(maps)}")
    for label, shape in maps:
        if min(shape) < 1:
            raise ValueError(f"sizes must be at least 1, got {shape} for {label!r}")
    tallest = max(height for _, (_, height, _) in maps)
    thickest = max(channels for _, (channels, _, _) in maps) ** 0.5
    figure = Figure(figsize=(FULL_WIDTH, 3.0))
    ax = figure.subplots()
    left, gap = 0.0, 0.36
    for i, (label, (channels, height, width)) in enumerate(maps):
        tall, deep, thick = 2.3 * height / tallest, 0.62 * width / tallest, 0.62 * channels**0.5 / thickest
        colour = ROLE["input"] if i == 0 else ROLE["output"]
        span = max(thick + deep, 0.55)
        centre = left + span / 2
        _draw_slab(ax, centre - (thick + deep) / 2, tall, thick, deep, colour)
        ax.text(centre, -1.32, f"{channels:,}", ha="center", weight="bold")
        ax.text(centre, -1.58, f"{height}×{width}", ha="center", fontsize=10)
        ax.text(centre, -1.84, label, ha="center", fontsize=10)
        left += span + gap * (i < len(maps) - 1)
    ax.set(xlim=(-0.15, left + 0.15), ylim=(-1.95, 1.65), aspect="equal")
    ax.axis("off")
    return figure


def _draw_slab(ax: Axes, x: float, tall: float, thick: float, deep: float, colour: str) -> None:
    """A box seen from the front right: the wide side towards the reader is the map, its edge the channels."""
    low, high, rise = -tall / 2, tall / 2, 0.35 * deep
    front = [(x, low), (x + thick, low), (x + thick, high), (x, high)]
    side = [(x + thick, low), (x + thick + deep, low + rise), (x + thick + deep, high + rise), (x + thick, high)]
    top = [(x, high), (x + thick, high), (x + thick + deep, high + rise), (x + deep, high + rise)]
    for corners, white in ((front, 0.0), (side, 0.55), (top, 0.75)):
        ax.add_patch(Polygon(corners, facecolor=tint(colour, white), edgecolor="white", linewidth=0.8))


def plot_layer_costs(layers: Sequence[tuple[int, int, float]]) -> Figure:
    """Cost of each convolution as a bar, grouped by the size of its map, with two predictions for every group.

    Both start from the most expensive layer of the first group. When a map has 1/f of the positions and g times the
    channels, the right prediction is g² / f of it, because a layer joins every input channel with every output channel;
    the wrong one is g / f.

    Args:
        layers: (side of the output map in pixels, its channels, multiply-accumulates), in the order of the network.

    Raises:
        ValueError: no layer.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer, got none")
    sides, channels, macs = (np.array(column) for column in zip(*layers, strict=True))
    billions = macs / 1e9
    start = billions[sides == sides[0]].max()
    figure = Figure(figsize=(FULL_WIDTH, 3.4))
    ax = figure.subplots()
    ax.bar(np.arange(len(layers)), billions, width=0.8, color=tint(ROLE["output"], 0.35))
    for i, side in enumerate(dict.fromkeys(sides.tolist())):
        first, last = np.flatnonzero(sides == side)[[0, -1]]
        positions, grown = (side / sides[0]) ** 2, channels[first] / channels[0]
        for power, colour, dashes, label in ((2, "text", "-", "right: ¼ × 4"), (1, "lost", "--", "wrong: ¼ × 2")):
            predicted = start * positions * grown**power
            style = {"color": ROLE[colour], "linestyle": dashes, "label": label if i == 0 else None}
            ax.plot([first - 0.5, last + 0.5], [predicted, predicted], **style)
        ax.text((first + last) / 2, -0.055 * start, f"{side}²", ha="center", va="top", fontsize=10)
        if i > 0:
            ax.axvline(first - 0.5, color=ROLE["grid"], linewidth=1, zorder=0)
    ax.set(xticks=[], xlim=(-0.6, len(layers) - 0.4), ylim=(0, 1.28 * start), ylabel="billion MACs")
    ax.set_xlabel("layers in order, by size of their map", labelpad=20)
    ax.legend(loc="upper left", ncols=2, borderaxespad=0)
    return figure
