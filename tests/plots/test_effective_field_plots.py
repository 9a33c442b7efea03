"""The figures about effective fields draw the measured numbers and the laws that they are compared with."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit.plots.effective_field import (
    plot_effective_fields,
    plot_effective_profiles,
    plot_effective_widths,
    plot_reach,
)
from coursekit.plots.style import FULL_WIDTH
from coursekit.receptive_field.effective import EffectiveReceptiveField


@pytest.fixture
def bell() -> EffectiveReceptiveField:
    """A Gaussian of standard deviation 3 around pixel (12, 10) of 25 x 21."""
    rows, columns = np.exp(-((np.arange(25) - 12) ** 2) / 18), np.exp(-((np.arange(21) - 10) ** 2) / 18)
    values = np.outer(rows, columns)
    return EffectiveReceptiveField(layer=None, position=(12, 10), samples=1, map=values / values.sum())


def test_heat_map_is_the_square_root_of_the_shares(bell: EffectiveReceptiveField) -> None:
    (ax,) = plot_effective_fields({"bell": bell}).axes
    np.testing.assert_allclose(ax.images[0].get_array(), np.sqrt(bell.map))
    assert ax.get_title() == "bell"


def test_square_holds_the_mass_around_the_centre_and_the_field_is_outlined(bell: EffectiveReceptiveField) -> None:
    (ax,) = plot_effective_fields({"bell": bell}, field_size=19).axes
    square, field = ax.patches
    assert square.get_width() == square.get_height() == bell.square(0.95)
    assert field.get_width() == 19
    for patch in (square, field):
        assert patch.get_x() + patch.get_width() / 2 == 10
        assert patch.get_y() + patch.get_height() / 2 == 12


def test_field_larger_than_the_picture_is_left_out(bell: EffectiveReceptiveField) -> None:
    (ax,) = plot_effective_fields({"bell": bell}, field_size=99).axes
    assert len(ax.patches) == 1


def test_profile_of_a_gaussian_lies_on_its_gaussian(bell: EffectiveReceptiveField) -> None:
    (ax,) = plot_effective_profiles({"bell": bell}).axes
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), 100 * bell.map.sum(axis=0), atol=0.06)


def test_widths_stand_beside_both_laws() -> None:
    depths = (2, 8, 32)
    (ax,) = plot_effective_widths(depths, {"measured": [[4.5, 4.7], [9.3], [18.4]]}).axes
    lines = {line.get_label(): line for line in ax.lines}
    theoretical, walk = lines["theoretical: 2n + 1"], lines["random walk: 4 √(2n/3)"]
    np.testing.assert_allclose(theoretical.get_ydata()[[0, -1]], [5, 65])
    np.testing.assert_allclose(walk.get_ydata()[[0, -1]], [4 * np.sqrt(4 / 3), 4 * np.sqrt(64 / 3)])
    np.testing.assert_allclose(lines["measured"].get_ydata(), [4.5, 4.7])


def test_reach_shows_every_seed_the_mean_and_the_step() -> None:
    first, second = plot_reach([3, 5], {4: [[0.5, 0.6], [1.0, 0.8]], 8: [[0.5, 0.5], [0.5, 0.5]]}).axes
    lines = {line.get_label(): line for line in first.lines}
    np.testing.assert_allclose(lines["mean"].get_ydata(), [55, 90])
    np.testing.assert_allclose(lines["seed"].get_xdata(), [3, 3, 5, 5])
    np.testing.assert_allclose(lines["seed"].get_ydata(), [50, 60, 100, 80])
    assert lines["both marks fit"].get_xdata()[0] == 5
    assert second.get_title() == "marks 8 apart"


def test_figures_fit_a_phone_and_do_not_stay_open(bell: EffectiveReceptiveField) -> None:
    for figure in (plot_effective_fields({"a": bell, "b": bell}), plot_effective_profiles({"a": bell})):
        assert figure.get_figwidth() <= FULL_WIDTH
    assert not plt.get_fignums()
