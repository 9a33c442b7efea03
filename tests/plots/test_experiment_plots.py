"""The figures of recorded runs show every seed, the mean and the spread."""

import numpy as np
import pytest

from coursekit.plots.experiments import METHOD_LABELS, plot_accuracy, plot_shift_consistency
from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES

ACCURACY = {"max": [0.80, 0.84, 0.82], "strided": [0.70, 0.90, 0.80]}


def test_accuracy_shows_every_seed() -> None:
    (ax,) = plot_accuracy(ACCURACY).axes
    for method, values in ACCURACY.items():
        (dots,) = [line for line in ax.lines if line.get_label() == f"{method} seeds"]
        np.testing.assert_allclose(dots.get_xdata(), 100 * np.array(values))
        assert dots.get_color() == METHOD_STYLES[method]["color"]


def test_accuracy_bars_are_the_mean_and_one_sample_standard_deviation() -> None:
    (ax,) = plot_accuracy(ACCURACY).axes
    for container, values in zip(ax.containers, ACCURACY.values(), strict=True):
        mark, _, (bar,) = container.lines
        percent = 100 * np.array(values)
        spread = percent.std(ddof=1)
        np.testing.assert_allclose(mark.get_xdata(orig=False), [percent.mean()])
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [percent.mean() - spread, percent.mean() + spread])


def test_accuracy_rows_carry_the_names_of_the_methods_from_top_to_bottom() -> None:
    (ax,) = plot_accuracy(ACCURACY).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [METHOD_LABELS[method] for method in ACCURACY]
    assert ax.yaxis_inverted()


def test_accuracy_refuses_a_spread_of_one_seed() -> None:
    with pytest.raises(ValueError, match="at least 2 seeds, 'max' has 1"):
        plot_accuracy({"max": [0.8]})


def test_shift_consistency_draws_the_mean_in_a_band_from_lowest_to_highest_seed() -> None:
    curves = {"blur": [[1.0, 0.9, 0.8], [1.0, 0.7, 0.6]], "max": [[1.0, 0.5, 0.5], [1.0, 0.5, 0.7]]}
    (ax,) = plot_shift_consistency([0, 1, 2], curves).axes
    for line, band, (method, values) in zip(ax.lines, ax.collections, curves.items(), strict=True):
        percent = 100 * np.array(values)
        np.testing.assert_allclose(line.get_ydata(), percent.mean(axis=0))
        assert line.get_label() == METHOD_LABELS[method]
        assert line.get_marker() == METHOD_STYLES[method]["marker"]
        corners = band.get_paths()[0].vertices
        for shift in range(3):
            here = corners[corners[:, 0] == shift, 1]
            np.testing.assert_allclose([here.min(), here.max()], [percent[:, shift].min(), percent[:, shift].max()])
    assert ax.get_xlabel() == "shift in pixels"


def test_shift_consistency_refuses_curves_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"\(seeds, 3 shifts\), got shape \(1, 2\)"):
        plot_shift_consistency([0, 1, 2], {"max": [[1.0, 0.9]]})


@pytest.mark.parametrize("plot", [plot_accuracy, lambda values: plot_shift_consistency([0], values)])
def test_unknown_methods_are_named_in_the_error(plot) -> None:
    with pytest.raises(ValueError, match="got 'median'"):
        plot({"median": [0.1, 0.2]})


def test_figures_fit_a_phone() -> None:
    assert plot_accuracy(ACCURACY).get_figwidth() <= FULL_WIDTH
    assert plot_shift_consistency([0], {"max": [[1.0]]}).get_figwidth() <= FULL_WIDTH
