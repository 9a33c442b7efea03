"""The stride figures draw what the arithmetic says: windows, unread pixels, output sizes."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coursekit.plots.stride import (
    plot_coverage,
    plot_output_size,
    plot_pictures,
    plot_skip_sizes,
    plot_strided_maps,
    plot_strides,
)
from coursekit.plots.style import FULL_WIDTH, ROLE
from coursekit.shapes import Conv, Pool


def kinds(ax: Axes) -> list[str]:
    """What each square of a strip is, from left to right."""
    squares = sorted(ax.patches, key=lambda square: square.get_x())
    return [square.get_label() for square in squares]


def brackets(ax: Axes) -> list[tuple[float, float]]:
    """First and last pixel under each window."""
    lines = [line for line in ax.lines if line.get_label() == "window"]
    return [(round(line.get_xdata()[0] + 0.4), round(line.get_xdata()[1] - 0.4)) for line in lines]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def unread_by_torch(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> list[int]:
    x = torch.ones(1, 1, size, requires_grad=True)
    F.conv1d(x, torch.ones(1, 1, kernel_size), stride=stride, padding=padding, dilation=dilation).sum().backward()
    return (x.grad[0, 0] == 0).nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (size, settings)
        for size, settings in itertools.product((7, 8, 10), itertools.product((1, 2, 3), (1, 2, 4), (0, 1), (1, 2)))
        if settings[3] * (settings[0] - 1) < size
    ],
)
def test_coverage_crosses_out_exactly_the_pixels_without_gradient(
    size: int, settings: tuple[int, int, int, int]
) -> None:
    (ax,) = plot_coverage([(size, Conv(*settings))]).axes
    kernel_size, stride, padding, dilation = settings
    drawn = kinds(ax)[padding : padding + size]
    assert [pixel for pixel, kind in enumerate(drawn) if kind == "lost"] == unread_by_torch(size, *settings)
    count = F.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size), None, stride, padding, dilation).numel()
    extent = dilation * (kernel_size - 1)
    assert brackets(ax) == [(i * stride - padding, i * stride - padding + extent) for i in range(count)]


def test_coverage_title_names_windows_and_unread_pixels() -> None:
    (ax,) = plot_coverage([(10, Conv(3, 2))]).axes
    assert ax.get_title(loc="left") == "$H$ = 10, $K$ = 3, $S$ = 2: 4 windows, unread: 9"


def test_coverage_draws_a_hanging_window_dashed_and_its_missing_pixel_as_beyond() -> None:
    (ax,) = plot_coverage([(6, Pool(3, 2, ceil_mode=True))]).axes
    assert kinds(ax) == ["input"] * 6 + ["beyond"]
    assert brackets(ax) == [(0, 2), (2, 4), (4, 6)]
    assert [line.is_dashed() for line in ax.lines if line.get_label() == "window"] == [False, False, True]


def test_coverage_draws_the_window_that_ceil_mode_leaves_out_in_the_colour_of_loss() -> None:
    (ax,) = plot_coverage([(5, Pool(2, 3, padding=1, ceil_mode=True))]).axes
    colours = [line.get_color() for line in ax.lines if line.get_label() == "window"]
    assert brackets(ax) == [(-1, 0), (2, 3), (5, 6)]
    assert colours == [ROLE["kernel"], ROLE["kernel"], ROLE["lost"]]
    assert "2 windows, 1 left out, unread: 1, 4" in ax.get_title(loc="left")


def test_coverage_strips_share_one_scale() -> None:
    figure = plot_coverage([(4, Conv(3)), (10, Conv(3))])
    widths = {round(float(np.diff(ax.get_xlim())[0]), 6) for ax in figure.axes}
    assert len(widths) == 1


def test_output_size_picture_cuts_the_padded_length_into_window_steps_and_rest() -> None:
    (ax,) = plot_output_size(10, 3, 2, 1).axes
    labels = texts(ax)
    assert "$H + 2P$ = 12 pixels" in labels
    assert "first window\n$K$ = 3" in labels
    assert "room to move: $H + 2P - K$ = 9\n" in labels
    assert labels.count("$S$ = 2") == 4
    assert "1 left" in labels
    assert brackets(ax) == [(-1, 1), (1, 3), (3, 5), (5, 7), (7, 9)]
    assert ax.get_title() == "4 whole steps fit, so there are 5 windows"


def test_output_size_picture_without_remainder_names_none() -> None:
    (ax,) = plot_output_size(9, 3, 2, 0).axes
    assert not any("left" in text for text in texts(ax))


def test_strides_puts_a_dot_at_the_centre_of_every_window() -> None:
    figure = plot_strides(size=11, kernel_size=3, strides=(1, 2, 4))
    top, bottom = figure.axes[:3], figure.axes[3:]
    for ax, below, stride, count in zip(top, bottom, (1, 2, 4), (9, 5, 3), strict=True):
        (dots,) = [collection for collection in ax.collections if len(collection.get_offsets()) == count**2]
        assert sorted(set(dots.get_offsets()[:, 0])) == [1.5 + stride * index for index in range(count)]
        assert ax.get_title() == f"stride {stride}"
        assert below.get_title() == f"output {count}×{count}"
        assert below.get_xlim() == ax.get_xlim()  # cells of one size


def test_strided_maps_share_grey_levels_and_keep_their_pixels() -> None:
    maps = {"stride 1": torch.arange(101.0 * 7).view(101, 7) / 7, "stride 2": torch.full((3, 3), 4.0)}
    figure = plot_strided_maps(maps)
    for ax, (title, values) in zip(figure.axes, maps.items(), strict=True):
        (image,) = ax.images
        assert ax.get_title() == title
        assert image.get_clim() == pytest.approx((1, 100), abs=0.2)  # percentiles 1 and 99 of the first map
        np.testing.assert_array_equal(image.get_array(), values)


def test_strided_maps_begin_with_the_picture_and_draw_all_pixels_equally_large() -> None:
    picture = torch.rand(3, 8, 8)
    figure = plot_strided_maps({"stride 1": torch.rand(6, 6), "stride 2": torch.rand(3, 3)}, picture)
    figure.draw_without_rendering()
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), picture.permute(1, 2, 0))
    assert [ax.get_title() for ax in figure.axes] == ["picture", "stride 1", "stride 2"]
    sizes = [ax.images[0].get_window_extent().height / ax.images[0].get_array().shape[0] for ax in figure.axes]
    np.testing.assert_allclose(sizes, sizes[0], rtol=0.02)


def test_pictures_are_drawn_from_black_to_white_in_the_given_order() -> None:
    pictures = {name: torch.rand(4, 4) for name in "abcd"}
    figure = plot_pictures(pictures, columns=3)
    drawn = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in drawn] == list("abcd")
    for ax, picture in zip(drawn, pictures.values(), strict=True):
        assert ax.images[0].get_clim() == (0, 1)
        np.testing.assert_array_equal(ax.images[0].get_array(), picture)


def test_skip_sizes_marks_every_skip_that_does_not_fit() -> None:
    odd, even = plot_skip_sizes([225, 224], depth=3).axes
    assert [text for text in texts(odd) if text.isdigit()] == ["225", "226", "113", "114", "57", "58", "29"]
    assert texts(odd).count("≠") == 3
    assert odd.get_title() == "input 225: 3 of 3 skips fail"
    assert [text for text in texts(even) if text.isdigit()] == ["224", "224", "112", "112", "56", "56", "28"]
    assert texts(even).count("=") == 3
    assert even.get_title() == "input 224: all fit"


def test_skip_sizes_counts_only_the_levels_that_fail() -> None:
    (ax,) = plot_skip_sizes([12], depth=3).axes  # 12, 6, 3, 2: only the deepest doubling misses
    assert texts(ax).count("≠") == 1
    assert texts(ax).count("=") == 2


@pytest.mark.parametrize(
    "figure",
    [plot_strides(), plot_output_size(10, 3, 2, 1), plot_coverage([(9, Conv(3, 2))]), plot_skip_sizes([225, 224])],
)
def test_figures_fit_a_phone_and_do_not_stay_open(figure: Figure) -> None:
    assert figure.get_figwidth() <= FULL_WIDTH
    assert not plt.get_fignums()
