"""Figures about what counts inside a receptive field: effective fields, and a task that needs a certain reach."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from coursekit.plots.style import FULL_WIDTH, ROLE, VALUE_MAP
from coursekit.receptive_field.effective import EffectiveReceptiveField

__all__ = ["plot_effective_fields", "plot_effective_profiles", "plot_effective_widths", "plot_reach"]


def plot_effective_fields(
    measured: Mapping[str, EffectiveReceptiveField], *, mass: float = 0.95, field_size: int | None = None
) -> Figure:
    """Heat maps of how much each pixel counts, with the square that holds most of it.

    Args:
        measured: title to an effective field on a picture, (H, W).
        mass: what the dashed square holds.
        field_size: side of the theoretical field, outlined where it lies inside the picture.

    Returns:
        One panel each. A pixel's colour is the square root of its share, each panel on its own scale, so that weak
        pixels can be seen.
    """
    figure = Figure(figsize=(FULL_WIDTH, FULL_WIDTH / len(measured) + 0.45))
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for ax, (title, field) in zip(panels, measured.items(), strict=True):
        root = np.sqrt(field.map)
        ax.imshow(root, cmap=VALUE_MAP, vmin=0, vmax=np.quantile(root, 0.999))
        for side, colour, style in ((field.square(mass), "white", "--"), (field_size, ROLE["kernel"], "-")):
            if side is not None and side <= min(field.map.shape):
                corner = [round(centre) - side / 2 for centre in reversed(field.center)]
                look = {"facecolor": "none", "edgecolor": colour, "linestyle": style, "linewidth": 1.8}
                ax.add_patch(Rectangle(corner, side, side, label=f"{side}", **look))
        ax.set(xlim=(-0.5, field.map.shape[1] - 0.5), ylim=(field.map.shape[0] - 0.5, -0.5), title=title)
        ax.axis("off")
    return figure


def plot_effective_profiles(measured: Mapping[str, EffectiveReceptiveField]) -> Figure:
    """The mass of each column against a Gaussian of the same centre and width.

    Args:
        measured: title to an effective field on a picture.

    Returns:
        One panel each: the measured shares as an area, the Gaussian as a dashed line.
    """
    figure = Figure(figsize=(FULL_WIDTH, 2.5))
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for ax, (title, field) in zip(panels, measured.items(), strict=True):
        mass = 100 * field.map.sum(axis=0)
        pixels = np.arange(len(mass))
        sigma = field.width[1] / 4
        bell = 100 * np.exp(-((pixels - field.center[1]) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
        ax.fill_between(pixels, mass, color=ROLE["kernel"], alpha=0.6, linewidth=0, label="measured")
        ax.plot(pixels, bell, color=ROLE["text"], linestyle="--", linewidth=1.5, label="Gaussian")
        ax.set(title=title, xlabel="column", xlim=(0, len(mass) - 1), ylim=(0, None))
    panels[0].set_ylabel("share of the whole, %")
    return figure


def plot_effective_widths(depths: Sequence[int], widths: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Width of the effective field against depth, and the theoretical field, both axes logarithmic.

    Args:
        depths: numbers of 3x3 layers.
        widths: what was measured to widths in pixels, one list a depth with one number a repetition.

    Returns:
        The measured points; the lines 2n + 1 (theoretical) and 4 sqrt(2n / 3) (four standard deviations of n random
        steps of -1, 0 or 1).
    """
    figure = Figure(figsize=(FULL_WIDTH, 3.4))
    ax = figure.subplots()
    depth = np.geomspace(min(depths), max(depths))
    ax.plot(depth, 2 * depth + 1, color=ROLE["input"], label="theoretical: 2n + 1")
    ax.plot(depth, 4 * np.sqrt(2 * depth / 3), color=ROLE["text"], linestyle="--", label="random walk: 4 √(2n/3)")
    looks = (("kernel", "o"), ("output", "s"), ("skip", "^"))
    for (name, values), (role, marker) in zip(widths.items(), looks, strict=False):
        for index, (n, repeats) in enumerate(zip(depths, values, strict=True)):
            look = {"color": ROLE[role], "marker": marker, "markersize": 6, "linestyle": "", "alpha": 0.75}
            ax.plot([n] * len(repeats), repeats, label=name if index == 0 else None, **look)
    ax.set(xscale="log", yscale="log", xlabel="layers n", ylabel="pixels")
    ax.set_xticks(list(depths), [str(n) for n in depths])
    ax.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return figure


def plot_reach(fields: Sequence[int], accuracy: Mapping[int, Sequence[Sequence[float]]]) -> Figure:
    """Accuracy of networks with different fields on a task that needs two marks a given distance apart.

    Args:
        fields: size of each network's field.
        accuracy: distance of the marks to one list a network, each with one accuracy in 0..1 a seed.

    Returns:
        One panel a distance: a pale dot a seed, a line through the means, and the field from which both marks fit.
    """
    figure = Figure(figsize=(FULL_WIDTH, 2.9))
    panels = figure.subplots(1, len(accuracy), squeeze=False, sharey=True)[0]
    for ax, (distance, runs) in zip(panels, accuracy.items(), strict=True):
        percent = 100 * np.asarray(runs, dtype=float)  # (networks, seeds)
        ax.axvline(distance + 1, color=ROLE["input"], linestyle="--", linewidth=1.4, label="both marks fit")
        ax.plot(fields, percent.mean(axis=1), color=ROLE["kernel"], marker="o", markersize=5, label="mean")
        dots = {"linestyle": "", "marker": "o", "markersize": 5, "color": ROLE["text"], "alpha": 0.3}
        ax.plot(np.repeat(fields, percent.shape[1]), percent.ravel(), label="seed", **dots)
        ax.set(xlabel="field in pixels", title=f"marks {distance} apart", xticks=list(fields), ylim=(40, 104))
    panels[0].set_ylabel("accuracy, %")
    return figure
