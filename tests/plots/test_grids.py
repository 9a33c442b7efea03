"""What the shared drawing primitives put on the axes."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from coursekit.plots.grids import (
    draw_arrow_between,
    draw_grid,
    draw_windows,
    show_picture,
    text_colour_on,
    tint,
)
from coursekit.plots.style import ROLE, VALUE_MAP


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def numbers_on(ax) -> dict[tuple[int, int], str]:
    """Row and column of every number on a grid."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def cell_colours(ax) -> np.ndarray:
    return np.asarray(ax.collections[0].get_array())


def test_every_value_stands_in_its_own_cell_with_row_zero_on_top(ax):
    draw_grid(ax, [[1, 2, 3], [4, 5, 6]])
    assert numbers_on(ax) == {(r, c): str(3 * r + c + 1) for r in range(2) for c in range(3)}
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_tensors_with_gradients_are_accepted(ax):
    draw_grid(ax, torch.eye(2, requires_grad=True))
    assert numbers_on(ax)[(0, 0)] == "1"


def test_format_and_minus_sign(ax):
    draw_grid(ax, [[-0.25]], fmt="{:.2f}")
    assert numbers_on(ax) == {(0, 0): "\N{MINUS SIGN}0.25"}


def test_empty_format_writes_no_numbers(ax):
    draw_grid(ax, np.ones((3, 3)), fmt="")
    assert not ax.texts


def test_nan_leaves_its_cell_empty_and_white(ax):
    draw_grid(ax, [[1.0, np.nan]])
    assert set(numbers_on(ax)) == {(0, 0)}
    np.testing.assert_array_equal(cell_colours(ax)[0, 1], [1, 1, 1])


def test_infinities_are_written_and_do_not_set_the_colours(ax):
    draw_grid(ax, [[-np.inf, 0.0, 1.0]])
    assert numbers_on(ax)[(0, 0)] == "\N{MINUS SIGN}inf"
    np.testing.assert_allclose(cell_colours(ax)[0, 1], mpl.colormaps[VALUE_MAP](0.0)[:3])
    np.testing.assert_allclose(cell_colours(ax)[0, 2], mpl.colormaps[VALUE_MAP](1.0)[:3])


def test_limits_fix_the_colour_map_across_grids(ax):
    draw_grid(ax, [[5.0]], limits=(0, 10))
    np.testing.assert_allclose(cell_colours(ax)[0, 0], mpl.colormaps[VALUE_MAP](0.5)[:3])


def test_without_colour_by_value_all_cells_have_the_tint_of_the_role(ax):
    draw_grid(ax, [[1, 2]], role="output", colour_by_value=False)
    np.testing.assert_allclose(cell_colours(ax), np.full((1, 2, 3), tint(ROLE["output"])))


def test_faded_cells_are_paler_and_the_others_are_not(ax):
    draw_grid(ax, [[0.0, 1.0]], faded=[[True, False]])
    colours = cell_colours(ax)
    assert colours[0, 0].sum() > np.sum(mpl.colormaps[VALUE_MAP](0.0)[:3]) + 1
    np.testing.assert_allclose(colours[0, 1], mpl.colormaps[VALUE_MAP](1.0)[:3])


def test_highlight_outlines_the_window_in_the_colour_of_its_role(ax):
    draw_grid(ax, np.zeros((4, 5)), highlight=[(1, 2, 2, 3, "kernel")])
    outlines = [
        p for p in ax.patches if isinstance(p, Rectangle) and to_rgb(p.get_edgecolor()) == to_rgb(ROLE["kernel"])
    ]
    assert [(p.get_y(), p.get_x(), p.get_height(), p.get_width()) for p in outlines] == [(1, 2, 2, 3)]


def test_wrong_arguments_are_refused_with_what_was_given(ax):
    with pytest.raises(ValueError, match=r"\(3,\)"):
        draw_grid(ax, [1, 2, 3])
    with pytest.raises(ValueError, match=r"\(1, 2\), got \(2, 1\)"):
        draw_grid(ax, [[1, 2]], faded=[[True], [False]])
    with pytest.raises(ValueError, match="'nothing'"):
        draw_grid(ax, [[1]], role="nothing")
    with pytest.raises(ValueError, match="'nothing'"):
        draw_windows(ax, [(0, 0, 1, 1, "nothing")])
    with pytest.raises(ValueError, match=r"1\.5"):
        tint("red", 1.5)


def test_text_is_white_on_dark_and_dark_on_light():
    assert text_colour_on("black") == "#FFFFFF"
    assert text_colour_on("white") == ROLE["text"]
    assert text_colour_on("yellow") == ROLE["text"]
    assert text_colour_on("navy") == "#FFFFFF"


def _contrast(first, second) -> float:
    def luminance(colour) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_numbers_have_contrast_on_every_colour_of_the_map_pale_or_not(ax):
    values = np.linspace(0, 1, 50)[:, None]
    draw_grid(ax, np.hstack([values, values]), faded=np.hstack([values < 0, values >= 0]))
    colours = cell_colours(ax)
    for text in ax.texts:
        column, row = (int(v) for v in text.get_position())
        minimum = 3.0 if column else 3.8  # the middle of the map leaves no better choice; pale numbers are secondary
        assert _contrast(text.get_color(), colours[row, column]) >= minimum


def test_arrow_runs_between_two_axes_and_carries_its_label():
    figure, (left, right) = plt.subplots(1, 2)
    arrow = draw_arrow_between(left, right, label="pool")
    assert arrow in figure.artists
    assert arrow.coords1 is left.transAxes
    assert arrow.coords2 is right.transAxes
    assert [t.get_text() for t in left.texts] == ["pool"]
    other = plt.figure()
    with pytest.raises(ValueError, match="same figure"):
        draw_arrow_between(left, other.add_subplot())
    plt.close("all")


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6)])
def test_grey_pictures_are_shown_as_they_are(ax, shape):
    pixels = torch.arange(24.0).reshape(shape)
    drawn = show_picture(ax, pixels, title="belt")
    np.testing.assert_array_equal(drawn.get_array(), pixels.reshape(4, 6).numpy())
    assert ax.get_title() == "belt"
    assert not ax.axison


def test_colour_tensors_get_their_channels_last(ax):
    pixels = torch.rand(3, 4, 6)
    np.testing.assert_allclose(show_picture(ax, pixels).get_array(), pixels.permute(1, 2, 0).numpy())


def test_a_picture_of_another_shape_is_refused(ax):
    with pytest.raises(ValueError, match=r"\(2, 4, 6\)"):
        show_picture(ax, torch.zeros(2, 4, 6))
