"""Figures of recorded training runs: every seed is shown, means come with their spread."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES, ROLE

__all__ = ["METHOD_LABELS", "plot_accuracy", "plot_shift_consistency"]

#: What the figures call each way to make a feature map smaller.
METHOD_LABELS: Final[dict[str, str]] = {
    "max": "conv + max",
    "average": "conv + average",
    "strided": "strided conv",
    "strided_wider": "strided, wider",
    "blur": "conv + blur",
}

_STYLES: Final = METHOD_STYLES | {"strided_wider": {**METHOD_STYLES["strided"], "marker": "v"}}


def plot_accuracy(accuracy: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy of several methods, one row each: every seed, the mean, and one standard deviation to both sides.

    Args:
        accuracy: method (a key of ``METHOD_LABELS``) to one accuracy in 0..1 a seed; at least two seeds.

    Returns:
        A row of pale dots, one a seed, a large mark at the mean, and a bar of one sample standard deviation.

    Raises:
        ValueError: a method is unknown, or has fewer than two seeds.
    """
    _check_methods(accuracy)
    figure = Figure(figsize=(FULL_WIDTH, 0.55 * len(accuracy) + 0.75))
    ax = figure.subplots()
    for row, (method, values) in enumerate(accuracy.items()):
        if len(values) < 2:
            raise ValueError(f"a spread needs at least 2 seeds, {method!r} has {len(values)}")
        percent = 100 * np.asarray(values, dtype=float)
        style = _STYLES[method]
        ax.plot(
            percent,
            np.full(len(percent), row - 0.22),
            linestyle="",
            marker="o",
            markersize=5,
            alpha=0.55,
            color=style["color"],
            label=f"{method} seeds",
        )
        ax.errorbar(
            percent.mean(),
            row + 0.1,
            xerr=percent.std(ddof=1),
            color=style["color"],
            marker=style["marker"],
            markersize=8,
            capsize=4,
            label=method,
        )
    ax.set_yticks(range(len(accuracy)), [METHOD_LABELS[method] for method in accuracy])
    ax.set(xlabel="test accuracy in per cent", ylim=(len(accuracy) - 0.4, -0.6))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=ROLE["grid"], linewidth=0.8)
    ax.set_axisbelow(True)
    return figure


def plot_shift_consistency(shifts: Sequence[int], consistency: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """How often a network gives the same answer for a shifted picture, by the size of the shift.

    Args:
        shifts: shifts in pixels.
        consistency: method to one curve a seed; each holds one share in 0..1 a shift.

    Returns:
        One line a method, the mean over seeds, in a band from the lowest to the highest seed.

    Raises:
        ValueError: a method is unknown, or a curve does not have one value a shift.
    """
    _check_methods(consistency)
    figure = Figure(figsize=(FULL_WIDTH, 3.4))
    ax = figure.subplots()
    for method, curves in consistency.items():
        percent = 100 * np.asarray(curves, dtype=float)  # (seeds, shifts)
        if percent.ndim != 2 or percent.shape[1] != len(shifts):
            raise ValueError(
                f"consistency of {method!r} must be (seeds, {len(shifts)} shifts), got shape {percent.shape}"
            )
        style = _STYLES[method]
        ax.fill_between(shifts, percent.min(0), percent.max(0), color=style["color"], alpha=0.15, linewidth=0)
        ax.plot(shifts, percent.mean(0), label=METHOD_LABELS[method], **style)
    ax.set(xlabel="shift in pixels", ylabel="same answer, per cent", xticks=list(shifts))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


def _check_methods(values: Mapping[str, object]) -> None:
    for method in values:
        if method not in METHOD_LABELS:
            raise ValueError(f"method must be one of {', '.join(METHOD_LABELS)}, got {method!r}")
