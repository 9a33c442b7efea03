"""What the figures on aliasing and shift put on their axes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from coursekit.plots.shift import plot_change_by_shift, plot_sampled_wave
from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES, ROLE, use_course_style


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        use_course_style()
        yield


@pytest.mark.parametrize(("frequency", "step", "alias"), [(0.4, 2, 0.1), (0.2, 2, 0.2), (0.3, 4, 0.05), (0.5, 2, 0.0)])
def test_the_alias_passes_through_every_sample(frequency, step, alias):
    wave, seen, samples = plot_sampled_wave(frequency, step).axes[0].lines
    assert f"{alias:.2g} cycles" in seen.get_label()
    for x, y in zip(*samples.get_data(), strict=True):
        for curve in (wave, seen):
            assert np.interp(x, *curve.get_data()) == pytest.approx(y, abs=1e-6)
    assert set(np.diff(samples.get_xdata())) == {step}


def test_the_dashed_wave_has_the_alias_frequency():
    seen = plot_sampled_wave(0.4, 2, length=20).axes[0].lines[1]
    crossings = np.count_nonzero(np.diff(np.sign(seen.get_ydata())))
    assert crossings == 2 * 0.1 * 20


def test_impossible_waves_are_refused():
    with pytest.raises(ValueError, match=r"0\.6"):
        plot_sampled_wave(0.6, 2)
    with pytest.raises(ValueError, match="got 0"):
        plot_sampled_wave(0.4, 0)


def test_every_curve_is_drawn_in_its_panel_in_the_style_of_its_method():
    panels = {"map": {"max": [0, 1, 2], "blur": [0, 0.5, 1]}, "vector": {"max": [0, 3, 0], "none": [0, 0.1, 0.2]}}
    figure = plot_change_by_shift([0, 1, 2], panels)
    upper, lower = figure.axes
    assert [upper.get_title(loc="left"), lower.get_title(loc="left")] == ["map", "vector"]
    np.testing.assert_array_equal(upper.lines[1].get_ydata(), [0, 0.5, 1])
    np.testing.assert_array_equal(lower.lines[0].get_ydata(), [0, 3, 0])
    assert upper.lines[1].get_color() == METHOD_STYLES["blur"]["color"]
    assert to_rgb(lower.lines[1].get_color()) == to_rgb(ROLE["padding"])
    assert "shift" in lower.get_xlabel()
    assert figure.get_figwidth() <= FULL_WIDTH


def test_the_legend_names_each_curve_once_and_the_baseline_in_words():
    panels = {"a": {"max": [0, 1]}, "b": {"max": [0, 1], "none": [0, 1]}}
    (legend,) = plot_change_by_shift([0, 1], panels).legends
    assert [text.get_text() for text in legend.get_texts()] == ["max", "no subsampling"]


def test_curves_of_other_names_differ_in_colour_and_marker():
    lines = plot_change_by_shift([0, 1], {"": {name: [0, 1] for name in "abcd"}}).axes[0].lines
    assert len({line.get_color() for line in lines}) == 4
    assert len({line.get_marker() for line in lines}) == 4


def test_the_change_axis_starts_at_zero():
    assert plot_change_by_shift([0, 1], {"": {"max": [0.5, 1]}}).axes[0].get_ylim()[0] == 0


def test_no_panel_and_curves_of_another_length_are_refused():
    with pytest.raises(ValueError, match="none"):
        plot_change_by_shift([0], {})
    with pytest.raises(ValueError, match="max must have 2 values, got 3"):
        plot_change_by_shift([0, 1], {"": {"max": [0, 1, 2]}})
