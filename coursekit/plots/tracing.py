"""Figures about following shapes: what hooks see, sizes through a network, routes of a block, where the costs sit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from coursekit.plots.grids import text_colour_on, tint
from coursekit.plots.style import FULL_WIDTH, ROLE

__all__ = [
    "Block",
    "plot_branch_sizes",
    "plot_costs",
    "plot_flatten",
    "plot_live_memory",
    "plot_memory_pairs",
    "plot_operations",
    "plot_routes",
    "plot_size_steps",
]

_DASHES: Final = (0, (3, 2))


@dataclass(frozen=True)
class Block:
    """A block with two routes that meet in an addition.

    Attributes:
        title: of the drawing.
        start: shape of the input as text.
        main: (what a layer does, shape of its output as text), first layer first; at least one.
        shortcut: the same for the other route; empty where the input itself is added.
    """

    title: str
    start: str
    main: tuple[tuple[str, str], ...]
    shortcut: tuple[tuple[str, str], ...] = ()

    @property
    def ends(self) -> tuple[str, str]:
        """Shapes that meet: of the main route and of the shortcut."""
        return self.main[-1][1], self.shortcut[-1][1] if self.shortcut else self.start


# --- What runs -------------------------------------------------------------------------------------------------


def plot_operations(operations: Sequence[tuple[str, str, bool]], start: str) -> Figure:
    """A chain of operations from top to bottom; those that no hook sees are dashed and pale.

    Args:
        operations: (name, shape of the result as text, whether a module stands for it), at least one.
        start: shape of the input as text.

    Raises:
        ValueError: no operation.
    """
    if not operations:
        raise ValueError("operations must hold at least one operation, got none")
    figure = Figure(figsize=(FULL_WIDTH, 0.47 * (len(operations) + 1)))
    ax = figure.subplots()
    ax.text(1.35, 0, f"input  {start}", ha="center", va="center", fontsize=10)
    for row, (name, shape, seen) in enumerate(operations, start=1):
        _arrow(ax, (1.35, -row + 0.78), (1.35, -row + 0.32), ROLE["text"])
        _box(ax, 1.35, -row, name, ROLE["kernel"] if seen else ROLE["lost"], width=1.7, hollow=not seen)
        ax.text(2.4, -row, shape, va="center", fontsize=10)
        ax.text(3.75, -row, "in the table" if seen else "not seen", va="center", fontsize=10, color=_note(seen))
    ax.set(xlim=(0.4, 4.7), ylim=(-len(operations) - 0.45, 0.4))
    ax.axis("off")
    return figure


def _note(seen: bool) -> str:
    return ROLE["text"] if seen else ROLE["lost"]


# --- Sizes through a network -----------------------------------------------------------------------------------


def plot_size_steps(networks: Mapping[str, Sequence[tuple[int, int]]], input_size: int = 224) -> Figure:
    """The side of the map after each layer, on a logarithmic axis; one panel a network.

    Above each step stands the largest number of channels at this size.

    Args:
        networks: name to (side, channels) of the map after each layer, at least one layer.
        input_size: side of the picture.

    Raises:
        ValueError: no network, or one without layers.
    """
    if not networks or not all(networks.values()):
        raise ValueError("networks must hold at least one network, and each at least one layer")
    figure = Figure(figsize=(FULL_WIDTH, 2.25 * len(networks) + 0.2))
    panels = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    sides = sorted({side for layers in networks.values() for side, _ in layers} | {input_size})
    for ax, (name, layers) in zip(panels, networks.items(), strict=True):
        heights = np.array([side for side, _ in layers])
        ax.axhline(input_size, color=ROLE["input"], linestyle=":", linewidth=1.5)
        edges = np.arange(len(layers) + 1) + 0.5  # layer i lies between i - 0.5 and i + 0.5
        ax.stairs(heights, edges, baseline=None, color=ROLE["output"], linewidth=2.5)
        for side in dict.fromkeys(heights.tolist()):
            places = np.flatnonzero(heights == side)
            channels = max(channels for height, channels in layers if height == side)
            narrow = len(places) < 0.08 * len(layers)  # the number is wider than its step
            x = places[0] + 0.5 if narrow else places.mean() + 1
            ax.text(x, side * 1.12, f"{channels:,}", ha="left" if narrow else "center", va="bottom", fontsize=10)
        ax.set_yscale("log", base=2)
        ax.set_yticks(sides, [str(side) for side in sides])
        ax.minorticks_off()
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(ylim=(sides[0] / 1.3, sides[-1] * 1.9), xlim=(0, len(layers) + 1), ylabel="pixels")
        ax.set_title(name, loc="left")
        ax.grid(axis="y", color=ROLE["grid"], linewidth=0.7)
    panels[-1].set_xlabel("layer, counted along the main path")
    return figure


def plot_branch_sizes(sizes: Sequence[int], branches: Mapping[str, Sequence[int]]) -> Figure:
    """Output size of branches of one block over the size of its input; sizes where they differ are marked.

    Args:
        sizes: of the input.
        branches: name to output size for each of ``sizes``; two branches.

    Raises:
        ValueError: other than two branches, or a branch with another number of sizes.
    """
    if len(branches) != 2:
        raise ValueError(f"branches must be two, got {len(branches)}")
    for name, outputs in branches.items():
        if len(outputs) != len(sizes):
            raise ValueError(f"branch {name!r} must have {len(sizes)} output sizes, got {len(outputs)}")
    figure = Figure(figsize=(FULL_WIDTH, 2.9))
    ax = figure.subplots()
    first, second = (np.array(outputs) for outputs in branches.values())
    x = np.array(sizes)
    apart = first != second
    ax.vlines(x[apart], first[apart], second[apart], color=ROLE["lost"], linewidth=3, label="do not fit")
    looks = ({"color": ROLE["output"], "marker": "o"}, {"color": ROLE["skip"], "marker": "s", "fillstyle": "none"})
    for (name, outputs), look in zip(branches.items(), looks, strict=True):
        ax.plot(x, outputs, linestyle="none", markersize=6, label=name, **look)
    ax.set(xlabel="input size in pixels", ylabel="output size")
    ax.set_xticks(x[:: max(1, len(x) // 8)])
    ax.legend(loc="upper left")
    return figure


# --- The routes of a block -------------------------------------------------------------------------------------


def plot_routes(blocks: Sequence[Block]) -> Figure:
    """Blocks side by side, each with its main route, its shortcut and the shapes that meet where they are added.

    Args:
        blocks: one or two.

    Raises:
        ValueError: no block, more than two, or a block without a layer on its main route.
    """
    if not 1 <= len(blocks) <= 2:
        raise ValueError(f"blocks must be one or two, got {len(blocks)}")
    for block in blocks:
        if not block.main:
            raise ValueError(f"main must hold at least one layer, got none for {block.title!r}")
    rows = max(len(block.main) for block in blocks)
    figure = Figure(figsize=(FULL_WIDTH, 0.9 * rows + 1.5))
    panels = figure.subplots(1, len(blocks), squeeze=False)[0]
    for ax, block in zip(panels, blocks, strict=True):
        _draw_block(ax, block, rows)
    return figure


def _draw_block(ax: Axes, block: Block, rows: int) -> None:
    """Layers of the main route at y = -1, -2, ...; the addition below the last of them."""
    left, right, meeting = 0.0, 1.25, -rows - 1.0
    ax.text(0.62, 0.05, block.start, ha="center", va="center", fontsize=10)
    for x, layers, colour in ((left, block.main, ROLE["kernel"]), (right, block.shortcut, ROLE["skip"])):
        line = ROLE["text"] if x == left else ROLE["skip"]
        if layers:
            _arrow(ax, (0.62, -0.12), (x, -0.62), line)
        else:
            ax.plot([0.62, x, x], [-0.12, -0.62, -rows - 0.36], color=line, linewidth=1.4)
            _arrow(ax, (x, -rows - 0.36), (0.74, meeting + 0.18), line)
        for row, (label, shape) in enumerate(layers, start=1):
            _box(ax, x, -row + 0.12, label, colour, width=1.12, height=0.44)
            ax.text(x, -row - 0.24, shape, ha="center", va="center", fontsize=10)
            end = -row - 0.62 if row < len(layers) else meeting + 0.18
            _arrow(ax, (x, -row - 0.36), (x if row < len(layers) else (0.5 if x == left else 0.74), end), line)
    fits = block.ends[0] == block.ends[1]
    ax.text(
        0.62,
        meeting,
        "+" if fits else "≠",
        ha="center",
        va="center",
        fontsize=17,
        weight="bold",
        color=ROLE["skip"] if fits else ROLE["lost"],
    )
    ax.text(
        0.62,
        meeting - 0.42,
        block.ends[0] if fits else "cannot be added",
        ha="center",
        va="center",
        fontsize=10,
        color=ROLE["text"] if fits else ROLE["lost"],
    )
    ax.set(xlim=(-0.62, 1.87), ylim=(meeting - 0.6, 0.3), title=block.title)
    ax.axis("off")


def plot_flatten(pictures: int, parts: int) -> Figure:
    """What ``flatten(1)`` and a hard-coded ``view(-1, n)`` make of a batch whose maps hold ``parts`` times n numbers.

    Args:
        pictures: in the batch, one to three; each keeps its colour.
        parts: how many rows of n numbers each picture fills, at least 1.

    Raises:
        ValueError: a number outside its range.
    """
    if not 1 <= pictures <= 3:
        raise ValueError(f"pictures must be one to three, got {pictures}")
    if parts < 1:
        raise ValueError(f"parts must be at least 1, got {parts}")
    colours = [ROLE["input"], ROLE["kernel"], ROLE["skip"]]
    kept = [[(picture, part) for part in range(parts)] for picture in range(pictures)]
    cut = [[cell] for row in kept for cell in row]
    figure = Figure(figsize=(FULL_WIDTH, 0.36 * pictures * parts + 0.75))
    panels = figure.subplots(1, 2, width_ratios=[parts + 1.2, 2.2])
    for ax, rows, title in zip(panels, (kept, cut), ("flatten(1)", "view(-1, n)"), strict=True):
        for y, row in enumerate(rows):
            for x, (picture, part) in enumerate(row):
                colour = tint(colours[picture], 0.15 + 0.5 * part / parts)
                ax.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
            ax.text(-0.12, y + 0.5, f"{y}", ha="right", va="center", fontsize=10)
        ax.set(xlim=(-0.6, len(rows[0]) + 0.6), ylim=(pictures * parts + 0.1, -0.1))
        ax.set_title(f"{title}: {len(rows)} row{'s' if len(rows) > 1 else ''}", loc="left")
        ax.axis("off")
    return figure


# --- Where the costs sit ---------------------------------------------------------------------------------------


def plot_costs(networks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Shares of every cost by part of the network: one row of panels a network, one panel a kind of cost.

    Args:
        networks: name to {kind of cost: {part: amount}}; all networks have the same kinds, in the same order.

    Raises:
        ValueError: no network, or kinds that differ.
    """
    kinds = {tuple(costs) for costs in networks.values()}
    if len(kinds) != 1 or not next(iter(kinds)):
        raise ValueError("networks must hold at least one network, all with the same kinds of cost")
    (columns,) = kinds
    longest = max(len(parts) for costs in networks.values() for parts in costs.values())
    figure = Figure(figsize=(FULL_WIDTH, len(networks) * (0.29 * longest + 0.75)))
    bands = figure.subfigures(len(networks), 1, squeeze=False)[:, 0]
    for band, (name, costs) in zip(bands, networks.items(), strict=True):
        band.suptitle(name, x=0.01, ha="left", weight="bold", fontsize=11)
        axes = band.subplots(1, len(columns), squeeze=False)[0]
        for column, (ax, kind) in enumerate(zip(axes, columns, strict=True)):
            parts = costs[kind]
            shares = 100 * np.array(list(parts.values())) / sum(parts.values())
            rows = np.arange(len(parts))
            ax.barh(rows, shares, height=0.66, color=[_cost_colour(share, shares) for share in shares])
            for row, share in enumerate(shares):
                text = f"{share:.0f}%" if share >= 1 or share == 0 else "<1%"
                ax.text(share + 2, row, text, va="center", fontsize=10)
            ax.set(xlim=(0, 128), ylim=(len(parts) - 0.4, -0.6), xticks=[], title=kind)
            ax.set_yticks(rows, list(parts) if column == 0 else [""] * len(parts))
            ax.tick_params(axis="y", length=0)
            ax.spines["bottom"].set_visible(False)
    return figure


def _cost_colour(share: float, shares: np.ndarray) -> str | tuple[float, float, float]:
    """The largest part stands out."""
    return ROLE["kernel"] if share == shares.max() else tint(ROLE["kernel"], 0.55)


def plot_live_memory(inference: Sequence[float], training: Sequence[float], layers: int) -> Figure:
    """Memory that lives while each layer is at work: forwards, and for training backwards as well.

    Args:
        inference: megabytes during each layer of the forward pass.
        training: megabytes during each layer of the forward pass, then of the backward pass.
        layers: layers of the network; ``inference`` has as many values, ``training`` twice as many.

    Raises:
        ValueError: a series of another length.
    """
    if len(inference) != layers or len(training) != 2 * layers:
        raise ValueError(
            f"inference must have {layers} and training {2 * layers} values, got {len(inference)} and {len(training)}"
        )
    figure = Figure(figsize=(FULL_WIDTH, 3.1))
    ax = figure.subplots()
    steps = np.arange(1, 2 * layers + 1)
    ax.fill_between(steps, training, step="mid", color=tint(ROLE["skip"], 0.7))
    ax.step(steps, training, where="mid", color=ROLE["skip"], linestyle="--", label="training")
    ax.fill_between(steps[:layers], inference, step="mid", color=tint(ROLE["output"], 0.45))
    ax.step(steps[:layers], inference, where="mid", color=ROLE["output"], label="inference")
    ax.axvline(layers + 0.5, color=ROLE["text"], linewidth=1, linestyle=":")
    top = 1.2 * max(*inference, *training)
    ax.text(layers, 0.97 * top, "forward", ha="right", va="top", fontsize=10)
    ax.text(layers + 1, 0.97 * top, "backward", ha="left", va="top", fontsize=10)
    ax.set(ylim=(0, top), xlim=(0.5, 2 * layers + 0.5), ylabel="MB alive", xlabel="layers, first to last and back")
    ax.set_xticks([])
    ax.legend(loc="upper left")
    return figure


def plot_memory_pairs(networks: Mapping[str, tuple[float, float]]) -> Figure:
    """Two bars a network, inference and training, with their ratio.

    Args:
        networks: name to (megabytes in inference, megabytes in training), at least one.

    Raises:
        ValueError: no network, or an amount that is not positive.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    if min(min(pair) for pair in networks.values()) <= 0:
        raise ValueError("amounts of memory must be positive")
    figure = Figure(figsize=(FULL_WIDTH, 0.56 * len(networks) + 0.9))
    ax = figure.subplots()
    rows = np.arange(len(networks))
    inference, training = (np.array(column) for column in zip(*networks.values(), strict=True))
    looks = (
        {"facecolor": ROLE["output"], "label": "inference"},
        {"facecolor": tint(ROLE["skip"], 0.3), "hatch": "//", "edgecolor": "white", "label": "training"},
    )
    for offset, amounts, look in zip((-0.2, 0.2), (inference, training), looks, strict=True):
        ax.barh(rows + offset, amounts, height=0.36, **look)
    for row, (less, more) in enumerate(zip(inference, training, strict=True)):
        ax.text(more, row + 0.2, f"  {more:.0f} MB, {more / less:.1f}×", va="center", fontsize=10)
        ax.text(less, row - 0.2, f"  {less:.0f} MB", va="center", fontsize=10)
    ax.set(xlim=(0, 1.42 * training.max()), ylim=(len(networks) - 0.45, -0.55), xlabel="MB for one picture")
    ax.set_yticks(rows, list(networks))
    ax.tick_params(axis="y", length=0)
    ax.legend(handles=[Patch(**look) for look in looks], loc="upper right")
    return figure


# --- Pieces ----------------------------------------------------------------------------------------------------


def _box(
    ax: Axes, x: float, y: float, text: str, colour: str, *, width: float, height: float = 0.6, hollow: bool = False
) -> None:
    """A brick with its text; a hollow one is dashed."""
    shape = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor="white" if hollow else colour,
        edgecolor=colour,
        linestyle=_DASHES if hollow else "-",
        linewidth=1.5,
    )
    ax.add_patch(shape)
    ink = ROLE["text"] if hollow else text_colour_on(colour)
    ax.text(x, y, text, ha="center", va="center", fontsize=10, color=ink)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, color=colour, linewidth=1.4
    )
    ax.add_patch(arrow)
