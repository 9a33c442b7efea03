"""What the figures on pooling put on their axes."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from coursekit.plots.pooling import (
    plot_adaptive_windows,
    plot_heads,
    plot_maps,
    plot_matrices,
    plot_pooling_windows,
    plot_power_means,
    plot_responses,
    plot_stochastic_samples,
    plot_window_boxes,
)
from coursekit.plots.style import FULL_WIDTH, METHOD_STYLES, ROLE, VALUE_MAP, use_course_style


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        use_course_style()
        yield


def boxes_of(ax, role) -> list[tuple[float, ...]]:
    """(row, column, height, width) of the rectangles that have the colour of a role."""
    found = []
    for patch in ax.patches:
        filled = patch.get_fill()
        colour = patch.get_facecolor() if filled else patch.get_edgecolor()
        if isinstance(patch, Rectangle) and to_rgb(colour) == pytest.approx(to_rgb(ROLE[role])):
            found.append((patch.get_y(), patch.get_x(), patch.get_height(), patch.get_width()))
    return found


def numbers(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_pooling_windows_outline_every_window_and_show_the_result():
    x = torch.arange(16.0).reshape(4, 4)
    left, right = plot_pooling_windows(x, F.max_pool2d(x[None, None], 2)[0, 0]).axes
    assert sorted(boxes_of(left, "kernel")) == [(0, 0, 2, 2), (0, 2, 2, 2), (2, 0, 2, 2), (2, 2, 2, 2)]
    assert numbers(right) == ["5", "7", "13", "15"]
    assert numbers(left) == [*map(str, range(16)), "max"]


def test_pooling_windows_fade_all_but_the_winners():
    x = torch.arange(16.0).reshape(4, 4)
    left = plot_pooling_windows(x, F.max_pool2d(x[None, None], 2)[0, 0]).axes[0]
    colours = np.asarray(left.collections[0].get_array())
    full = mpl.colormaps[VALUE_MAP](x.numpy() / 15)[..., :3]
    strong = np.isclose(colours, full).all(-1)
    assert x[torch.from_numpy(strong)].tolist() == [5, 7, 13, 15]


def test_pooling_windows_refuse_an_output_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2, 2\), got \(3, 3\)"):
        plot_pooling_windows(torch.zeros(4, 4), torch.zeros(3, 3))


def test_matrices_stand_side_by_side_with_title_numbers_and_windows():
    figure = plot_matrices(
        {"a": [[1, 2]], "b": torch.tensor([[0.0], [4.0]])}, windows={"b": [(0, 0, 1, 1, "kernel")]}, faded_zeros=True
    )
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("a", "b")
    assert numbers(first) == ["1", "2"]
    assert numbers(second) == ["0", "4"]
    assert boxes_of(second, "kernel") == [(0, 0, 1, 1)]
    assert boxes_of(first, "kernel") == []
    pale = np.asarray(second.collections[0].get_array())[0, 0]
    assert pale.sum() > np.sum(mpl.colormaps[VALUE_MAP](0.0)[:3]) + 1


def test_matrices_share_colours_only_when_asked():
    panels = {"low": [[0.0, 1.0]], "high": [[1.0, 4.0]]}
    own, shared = (
        [np.asarray(ax.collections[0].get_array()) for ax in plot_matrices(panels, shared_colours=flag).axes]
        for flag in (False, True)
    )
    np.testing.assert_allclose(shared[0][0, 1], shared[1][0, 0])
    assert not np.allclose(own[0][0, 1], own[1][0, 0])


def test_matrices_refuse_windows_without_a_panel():
    with pytest.raises(ValueError, match=r"\['c'\]"):
        plot_matrices({"a": [[1]]}, windows={"c": []})


@pytest.mark.parametrize("plot", [plot_matrices, plot_maps, plot_heads])
def test_nothing_to_draw_is_refused(plot):
    with pytest.raises(ValueError, match="none"):
        plot({})


def test_maps_show_each_picture_under_its_title_in_rows():
    panels = {name: torch.rand(1, 6, 8) for name in "abcd"}
    axes = [ax for ax in plot_maps(panels, columns=3).axes if ax.get_visible()]
    assert [ax.get_title() for ax in axes] == list("abcd")
    for ax, image in zip(axes, panels.values(), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0].numpy())
    assert len({round(ax.get_position().y0, 3) for ax in axes}) == 2


def test_maps_share_their_scale_only_when_asked():
    panels = {"a": torch.tensor([[0.0, 1.0]]), "b": torch.tensor([[0.0, 5.0]])}
    shared, own = ([ax.images[0].get_clim() for ax in plot_maps(panels, shared_scale=s).axes] for s in (True, False))
    assert shared == [(0, 5), (0, 5)]
    assert own == [(0, 1), (0, 5)]


def test_responses_are_drawn_by_name_with_styles_that_differ_in_more_than_colour():
    figure = plot_responses([0, 1, 2], {"simple": [0, 1, 0], "complex": [1, 1, 1]}, x_label="position")
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["simple", "complex"]
    np.testing.assert_array_equal(lines[0].get_ydata(), [0, 1, 0])
    assert len({line.get_linestyle() for line in lines}) == 2
    assert figure.axes[0].get_xlabel() == "position"
    with pytest.raises(ValueError, match="at most 5, got 6"):
        plot_responses([0], {str(i): [0] for i in range(6)}, x_label="")


def test_heads_are_bars_of_body_and_head_with_the_share_written():
    ax = plot_heads({"big": (10_000_000, 90_000_000), "small": (3_000_000, 1_000_000)}).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [10, 3, 90, 1]
    assert [bar.get_x() for bar in ax.patches] == [0, 0, 10, 3]
    assert numbers(ax) == ["head 90.0%", "head 25.0%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["big", "small"]


def test_adaptive_windows_lie_below_the_cells_they_read():
    figure = plot_adaptive_windows({(7, 3): [(0, 3), (2, 5), (4, 7)], (4, 2): [(0, 2), (2, 4)]})
    first, second = figure.axes
    bars = boxes_of(first, "kernel")
    assert [(round(x - 0.06, 6), round(x + width + 0.06, 6)) for _, x, _, width in bars] == [(0, 3), (2, 5), (4, 7)]
    assert len({y for y, *_ in bars}) == 3
    assert numbers(first) == list("0123456")
    assert second.get_title(loc="left") == "4 cells to 2"
    assert first.get_xlim() == second.get_xlim()
    with pytest.raises(ValueError, match="none"):
        plot_adaptive_windows({})


def test_window_boxes_cover_whole_pixels():
    image = torch.rand(3, 8, 12)
    axes = plot_window_boxes(image, {"1 × 1": [(0, 0, 8, 12)], "1 × 2": [(0, 0, 8, 6), (0, 6, 8, 6)]}).axes
    assert boxes_of(axes[0], "kernel") == [(-0.5, -0.5, 8, 12)]
    assert boxes_of(axes[1], "kernel") == [(-0.5, -0.5, 8, 6), (-0.5, 5.5, 8, 6)]
    np.testing.assert_allclose(axes[1].images[0].get_array(), image.permute(1, 2, 0))


def test_power_means_run_between_the_lines_of_average_and_maximum():
    window, powers = torch.tensor([1.0, 3.0]), (1, 2, 4)
    means = [(window**p).mean().item() ** (1 / p) for p in powers]
    ax = plot_power_means(window, powers, means).axes[0]
    maximum, average, curve = ax.lines
    assert set(maximum.get_ydata()) == {3.0}
    assert set(average.get_ydata()) == {2.0}
    assert maximum.get_color() == METHOD_STYLES["max"]["color"]
    np.testing.assert_allclose(curve.get_ydata(), means)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4"]


def test_stochastic_bars_are_probabilities_and_dots_are_shares():
    window = torch.tensor([[3.0, 1.0], [0.0, 4.0]])
    samples = torch.tensor([4.0, 4, 3, 1])
    ax = plot_stochastic_samples(window, samples, expected=3.25).axes[0]
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [0, 1 / 8, 3 / 8, 4 / 8])
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in ax.patches], [0, 1, 3, 4])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 0.25, 0.25, 0.5])
    assert set(ax.lines[1].get_xdata()) == {3.25}


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plot_pooling_windows(torch.rand(4, 4), torch.rand(2, 2)),
        lambda: plot_matrices({"a": torch.rand(4, 4), "b": torch.rand(2, 2)}),
        lambda: plot_maps({str(i): torch.rand(8, 8) for i in range(6)}),
        lambda: plot_heads({"a": (1, 2)}),
        lambda: plot_adaptive_windows({(4, 2): [(0, 2), (2, 4)]}),
        lambda: plot_power_means(torch.rand(4), [1, 2], [0.5, 0.6]),
    ],
)
def test_figures_fit_a_phone(figure):
    assert figure().get_figwidth() <= FULL_WIDTH
