"""The receptive-field figures draw the fields that the tool computes, pixel for pixel."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from coursekit.plots.receptive_field import (
    plot_border_fields,
    plot_branches,
    plot_field_growth,
    plot_field_windows,
    plot_network_fields,
    plot_receptive_field,
    plot_receptive_fields,
    plot_tap_combs,
    plot_tap_tree,
)
from coursekit.plots.style import FULL_WIDTH
from coursekit.receptive_field import ReceptiveField, receptive_field, receptive_fields
from coursekit.shapes import Conv


@pytest.fixture(scope="module")
def field() -> ReceptiveField:
    """Size 7, stride 4, start -3 on 12 x 16 pixels: 3 x 4 positions."""
    return receptive_field(two_strides(nn.Conv2d), (12, 16), in_channels=1)


def two_strides(conv: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(conv(1, 1, 3, stride=2, padding=1), conv(1, 1, 3, stride=2, padding=1))


def box(ax: Axes, label: str) -> tuple[float, float, float, float] | None:
    """First row, last row, first column and last column of a drawn box."""
    found = [patch for patch in ax.patches if patch.get_label() == label]
    if not found:
        return None
    (patch,) = found
    top, left = patch.get_y() + 0.5, patch.get_x() + 0.5
    return top, top + patch.get_height() - 1, left, left + patch.get_width() - 1


def centre(ax: Axes) -> tuple[float, float]:
    (dot,) = [line for line in ax.lines if line.get_label() == "centre"]
    return float(dot.get_ydata()[0]), float(dot.get_xdata()[0])


@pytest.mark.parametrize("position", [(0, 0), (0, 2), (1, 1), (2, 3)])
def test_field_is_drawn_where_it_lies_and_what_is_seen_inside_the_image(
    field: ReceptiveField, position: tuple[int, int]
) -> None:
    (ax,) = plot_receptive_field(field, position=position).axes
    row, column = position
    assert box(ax, "field") == (4 * row - 3, 4 * row + 3, 4 * column - 3, 4 * column + 3)
    assert box(ax, "inside") == (*field.bounds()[0][row], *field.bounds()[1][column])
    assert box(ax, "image") == (0, 11, 0, 15)
    assert centre(ax) == (field.centers()[0][row], field.centers()[1][column])


def test_field_that_reaches_beyond_the_last_pixel_is_drawn_whole() -> None:
    odd = receptive_field(two_strides(nn.Conv2d), 13, in_channels=1)
    (ax,) = plot_receptive_field(odd, position=(3, 3)).axes
    assert box(ax, "field") == (9, 15, 9, 15)
    assert box(ax, "inside") == (9, 12, 9, 12)
    assert centre(ax) == (12, 12)


def test_field_of_the_middle_position_is_the_default(field: ReceptiveField) -> None:
    (ax,) = plot_receptive_field(field).axes
    assert ax.get_title() == f"{field.layer}, position (1, 2)"
    assert centre(ax) == (4, 8)


def test_whole_field_fits_into_the_view(field: ReceptiveField) -> None:
    (ax,) = plot_receptive_field(field, position=(0, 0)).axes
    assert ax.get_xlim()[0] < -3.5
    assert ax.get_ylim()[1] < -3.5
    assert ax.get_ylim()[0] > 11.5  # rows are counted from the top


@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3), (1, 12, 16), (3, 12, 16)])
def test_image_lies_under_the_field(field: ReceptiveField, shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    (ax,) = plot_receptive_field(field, image).axes
    assert ax.images[0].get_array().shape[:2] == (12, 16)
    assert box(ax, "image") is None


def test_image_of_another_size_is_refused(field: ReceptiveField) -> None:
    with pytest.raises(ValueError, match=r"image must be 12 x 16, as the field's input, got \(16, 12\)"):
        plot_receptive_field(field, torch.rand(16, 12))


@pytest.mark.parametrize("position", [(3, 0), (0, 4), (-1, 0), (1,)])
def test_position_outside_the_map_is_refused(field: ReceptiveField, position: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"position must lie in the map of \(3, 4\) positions"):
        plot_receptive_field(field, position=position)


def test_field_of_one_axis_is_refused() -> None:
    one = receptive_field(two_strides(nn.Conv1d), (12,), in_channels=1)
    with pytest.raises(ValueError, match="two axes, height and width, got 1"):
        plot_receptive_field(one)


def test_uneven_field_is_drawn_from_its_own_bounds() -> None:
    net = nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3, padding=1))
    uneven = receptive_field(net, 12, in_channels=1)
    for row in range(12):
        (ax,) = plot_receptive_field(uneven, position=(row, 5)).axes
        top, bottom, *_ = box(ax, "field")
        if 0 < row < 11:  # away from the border the field is what is seen
            assert (top, bottom) == tuple(uneven.bounds()[0][row])


def test_several_positions_share_one_scale(field: ReceptiveField) -> None:
    figure = plot_receptive_fields(field, [(0, 0), (2, 3)])
    assert [ax.get_title() for ax in figure.axes] == ["position (0, 0)", "position (2, 3)"]
    assert len({ax.get_xlim() for ax in figure.axes}) == 1
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert figure.axes[0].get_xlim()[0] < -3.5  # wide enough for the leftmost field


@pytest.mark.parametrize(
    "layers", [[Conv(3)] * 3, [Conv(3), Conv(3, stride=2), Conv(3)], [Conv(3, dilation=2), Conv(2, stride=2)]]
)
def test_tree_fills_exactly_the_pixels_that_reach_the_unit(layers: list[Conv]) -> None:
    (ax,) = plot_tap_tree(13, layers, position=1).axes
    drawn = sorted(p.get_x() + 0.32 for p in ax.patches if p.get_label() == "level 0 seen")
    net = nn.Sequential(*(nn.Conv1d(1, 1, layer.kernel_size, layer.stride, 0, layer.dilation) for layer in layers))
    for conv in net:
        nn.init.ones_(conv.weight)
    x = torch.ones(1, 1, 13, requires_grad=True)
    net(x)[0, 0, 1].backward()
    assert np.round(drawn).astype(int).tolist() == x.grad[0, 0].nonzero().flatten().tolist()
    assert f"input: {len(drawn)}" in [text.get_text() for text in ax.texts]


def test_tree_begins_at_the_middle_unit() -> None:
    (ax,) = plot_tap_tree(9, [Conv(3)]).axes
    drawn = sorted(round(p.get_x() + 0.32) for p in ax.patches if p.get_label() == "level 0 seen")
    assert drawn == [3, 4, 5]


def windows(ax: Axes) -> list[tuple[int, int]]:
    lines = [line for line in ax.lines if line.get_label() == "window"]
    return [(round(line.get_xdata()[0] + 0.4), round(line.get_xdata()[1] - 0.4)) for line in lines]


def test_windows_stand_at_the_fields_and_are_dashed_in_the_padding(field: ReceptiveField) -> None:
    (ax,) = plot_field_windows(field, [0, 1, 2]).axes
    assert windows(ax) == [(-3, 3), (1, 7), (5, 11)]
    assert [line.is_dashed() for line in ax.lines if line.get_label() == "window"] == [True, False, False]
    assert [p.get_label() for p in ax.patches].count("padding") == 3


def test_windows_along_the_width_use_the_width(field: ReceptiveField) -> None:
    (ax,) = plot_field_windows(field, [3], axis=1).axes
    assert windows(ax) == [(9, 15)]


def test_branches_end_with_their_union() -> None:
    (ax,) = plot_branches(12, {"left": (2, 4), "right": (4, 8)}).axes
    assert windows(ax) == [(2, 4), (4, 8), (2, 8)]
    assert [text.get_text() for text in ax.texts][-3:] == ["left", "right", "union"]


def test_combs_draw_each_tap_and_name_the_total() -> None:
    first, second = plot_tap_combs({"pools": (32, 32), "points": (1, 32)}).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in first.patches if bar.get_label() == "tap"]
    assert bars == [(-48, 32), (-16, 32), (16, 32)]
    assert first.get_title(loc="left") == "pools: 96 pixels"
    assert second.get_title(loc="left") == "points: 65 pixels"
    assert first.get_xlim() == second.get_xlim()


def test_border_figure_shows_bounds_closed_form_and_measured(field: ReceptiveField) -> None:
    measured = field.bounds()[0]
    (ax,) = plot_border_fields(field, measured).axes
    solid = [tuple(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 4]
    dotted = [tuple(line.get_xdata()) for line in ax.lines if line.get_linestyle() == ":"]
    ticks = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "|"]
    assert solid == [(0, 3), (1, 7), (5, 11)]
    assert dotted == [(-3, 3), (1, 7), (5, 11)]
    assert ticks == [[0, 1, 5], [3, 7, 11]]


def test_border_figure_without_measurement_draws_no_ticks(field: ReceptiveField) -> None:
    (ax,) = plot_border_fields(field).axes
    assert not [line for line in ax.lines if line.get_marker() == "|"]


def test_growth_lists_each_wider_size_and_rings_each_stride() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3))
    (ax,) = plot_field_growth({"net": list(receptive_fields(net, 16, in_channels=1))}, input_size=16).axes
    (line,) = [line for line in ax.lines if line.get_label() == "net"]
    assert list(line.get_ydata()) == [1, 3, 4, 8]
    assert line.get_markevery() == [2]
    assert "image, 16" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_network_bars_are_split_at_the_image() -> None:
    (ax,) = plot_network_fields({"small": 100, "large": 300}, {"small": 224, "large": 200}, gates=["large"]).axes
    widths = [(bar.get_label(), bar.get_x(), bar.get_width()) for container in ax.containers for bar in container]
    spans = [(x, width) for _, x, width in widths]
    assert spans == [(0, 100), (0, 200), (200, 100)]
    assert [text.get_text() for text in ax.texts] == ["100", "300"]
    (ring,) = [line for line in ax.lines if line.get_label() == "gates"]
    assert ring.get_ydata()[0] == 1


def test_figures_fit_a_phone_and_do_not_stay_open(field: ReceptiveField) -> None:
    figures: list[Figure] = [
        plot_receptive_field(field),
        plot_receptive_fields(field, [(0, 0), (1, 1)]),
        plot_tap_tree(9, [Conv(3)]),
        plot_field_windows(field, [0]),
        plot_branches(9, {"a": (1, 2)}),
        plot_tap_combs({"a": (3, 2)}),
        plot_border_fields(field),
        plot_network_fields({"a": 3}, 9),
    ]
    for figure in figures:
        assert figure.get_figwidth() <= FULL_WIDTH
    assert not plt.get_fignums()
