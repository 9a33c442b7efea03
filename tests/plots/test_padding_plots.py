"""The padding figures draw the numbers they are given, and the windows where the conventions put them."""

import numpy as np
import pytest
import torch

from coursekit.plots.padding import plot_grids, plot_padding_modes, plot_same_conventions, plot_seams
from coursekit.plots.style import FULL_WIDTH


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "pytorch", "tensorflow"),
    [
        (8, 3, 2, [0, 2, 4, 6], [1, 3, 5, 7]),  # even input: one pixel apart
        (9, 3, 2, [0, 2, 4, 6, 8], [0, 2, 4, 6, 8]),  # odd input: the same
        (8, 5, 2, [0, 2, 4, 6], [1, 3, 5, 7]),
        (8, 3, 1, list(range(8)), list(range(8))),  # no stride: the same
    ],
)
def test_same_conventions_are_drawn_over_the_pixels_they_read(
    size: int, kernel_size: int, stride: int, pytorch: list[int], tensorflow: list[int]
) -> None:
    for ax, centres in zip(plot_same_conventions(size, kernel_size, stride).axes, (pytorch, tensorflow), strict=True):
        dots = [line.get_xdata()[0] for line in ax.lines if line.get_label() == "centre"]
        np.testing.assert_allclose(dots, centres)
        assert ax.get_title(loc="left").endswith("centres " + ", ".join(map(str, centres)))


def test_same_conventions_draws_the_padding_of_each_side() -> None:
    above, below = plot_same_conventions(8, 3, 2).axes
    for ax, outside in ((above, [-1, 8]), (below, [8])):
        drawn = [round(patch.get_x() + 0.5) for patch in ax.patches if patch.get_label() == "padding"]
        assert drawn == outside


def test_padding_modes_frames_the_photograph_inside_each_panel() -> None:
    padded = {mode: torch.rand(3, 14, 20) for mode in ("zeros", "reflect", "replicate", "circular")}
    figure = plot_padding_modes(padded, padding=4)
    assert [ax.get_title() for ax in figure.axes] == list(padded)
    for ax, picture in zip(figure.axes, padded.values(), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), picture.permute(1, 2, 0))
        for frame in ax.patches:
            assert frame.get_bbox().bounds == (3.5, 3.5, 12, 6)  # pixels 4..15 across and 4..9 down


def test_seams_bars_have_the_given_lengths_and_the_line_is_the_inside() -> None:
    jumps = {"zeros": 0.4, "reflect": 0.03, "replicate": 0.0}
    (ax,) = plot_seams(jumps, inside=0.02).axes
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], list(jumps.values()))
    assert [label.get_text() for label in ax.get_yticklabels()] == list(jumps)
    assert ax.lines[0].get_xdata()[0] == 0.02
    written = [text.get_text() for text in ax.texts]
    assert written[:3] == ["0.400", "0.030", "0.000"]
    assert "0.020" in written[3]
    assert ax.yaxis_inverted()  # first mode on top


def test_grids_write_every_value_and_pale_the_zeros() -> None:
    grid = torch.tensor([[0.0, 2.0], [3.0, 4.0]])
    (ax,) = [ax for ax in plot_grids({"counts": grid}, columns=1, fmt="{:.0f}").axes if ax.texts]
    assert ax.get_title() == "counts"
    assert [text.get_text() for text in ax.texts] == ["0", "2", "3", "4"]
    (mesh,) = ax.collections
    colours = np.asarray(mesh.get_array()).reshape(-1, 3)
    assert colours[0].sum() > max(colours[1:].sum(axis=1))  # the pale cell is the brightest


def test_grids_leave_unused_panels_empty() -> None:
    figure = plot_grids({name: torch.ones(2, 2) for name in "abc"}, columns=2, fmt="")
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", ""]
    assert not figure.axes[3].axison
    assert not any(ax.texts for ax in figure.axes)


def test_padding_figures_fit_a_phone() -> None:
    figures = [
        plot_same_conventions(),
        plot_seams({"zeros": 1.0}, 0.1),
        plot_grids({"a": torch.ones(2, 2)}),
        plot_padding_modes({"zeros": torch.rand(3, 8, 8)}, 2),
    ]
    assert all(figure.get_figwidth() <= FULL_WIDTH for figure in figures)
