"""Figures on aliasing and on how features change when the picture shifts."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES, ROLE

__all__ = ["plot_change_by_shift", "plot_sampled_wave"]

_BASELINE = {"color": ROLE["padding"], "marker": "x", "linestyle": "-"}
_BASELINE_LABEL = "no subsampling"
_MARKERS = "osD^v"


def plot_sampled_wave(frequency: float, step: int, length: int = 24) -> Figure:
    """A wave, its samples, and the slowest wave that goes through the same samples.

    Sampled every ``step`` pixels, a wave of f cycles a pixel looks like one of |f - k / step|, where k is the whole
    number that makes this smallest (Shannon 1949: it is the wave itself only below 1 / (2 step)).

    Args:
        frequency: cycles per pixel, between 0 and 0.5.
        step: distance of the samples, in pixels, >= 1.
        length: pixels shown.

    Returns:
        The figure.

    Raises:
        ValueError: ``frequency`` or ``step`` lies outside its range.
    """
    if not 0 < frequency <= 0.5:
        raise ValueError(f"frequency must lie above 0 and at most at 0.5, got {frequency}")
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    alias = abs(frequency - round(frequency * step) / step)
    fine = np.linspace(0, length, 50 * length + 1)
    sampled = np.arange(0, length + 1, step)
    figure = Figure(figsize=(FULL_WIDTH, 3.2))
    ax = figure.subplots()
    ax.plot(
        fine,
        np.cos(2 * np.pi * frequency * fine),
        color=ROLE["input"],
        linewidth=1,
        label=f"the wave: {frequency:g} cycles per pixel",
    )
    ax.plot(
        fine,
        np.cos(2 * np.pi * alias * fine),
        color=ROLE["lost"],
        linestyle="--",
        label=f"what the samples show: {alias:.2g} cycles per pixel",
    )
    ax.plot(
        sampled,
        np.cos(2 * np.pi * frequency * sampled),
        "o",
        color=ROLE["text"],
        clip_on=False,
        label=f"samples, every {step} pixels",
    )
    ax.set(xlabel="pixel", ylabel="value", xlim=(0, length))
    figure.legend(loc="outside upper left")
    return figure


def plot_change_by_shift(
    shifts: Sequence[int], panels: Mapping[str, Mapping[str, ArrayLike]], *, y_label: str = "relative change"
) -> Figure:
    """Curves over the shift of the input, one panel below the other.

    Args:
        shifts: shift of the input in pixels.
        panels: title to {name of the curve: one value a shift}. Names of
            :data:`coursekit.plots.style.METHOD_STYLES` have their colours; ``"none"`` is drawn
            grey and called "no subsampling".
        y_label: label of the y axes.

    Returns:
        The figure. Panels share the x axis; the legend lists every name once.

    Raises:
        ValueError: there is no panel, or a curve has another length than ``shifts``.
    """
    if not panels:
        raise ValueError("panels must hold at least one entry, got none")
    figure = Figure(figsize=(FULL_WIDTH, 0.7 + 2.3 * len(panels)))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    handles = {}
    for ax, (title, curves) in zip(axes[:, 0], panels.items(), strict=True):
        for index, (name, values) in enumerate(curves.items()):
            if len(np.asarray(values)) != len(shifts):
                raise ValueError(f"{name} must have {len(shifts)} values, got {len(np.asarray(values))}")
            fallback = {"color": cycle[index % len(cycle)], "marker": _MARKERS[index % len(_MARKERS)], "linestyle": "-"}
            style = _BASELINE if name == "none" else METHOD_STYLES.get(name, fallback)
            label = _BASELINE_LABEL if name == "none" else name
            (handles[label],) = ax.plot(shifts, np.asarray(values), markersize=5, **style)
        ax.set(ylabel=y_label, ylim=(0, None), xticks=list(shifts))
        ax.set_title(title, loc="left")
    axes[-1, 0].set_xlabel("shift of the picture (pixels)")
    columns = 3 if max(map(len, handles)) <= 14 else 2
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=columns)
    return figure
