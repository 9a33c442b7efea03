"""The figures about traces draw the operations, sizes, routes and shares that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from coursekit.plots.style import FULL_WIDTH, ROLE
from coursekit.plots.tracing import (
    Block,
    plot_branch_sizes,
    plot_costs,
    plot_flatten,
    plot_live_memory,
    plot_memory_pairs,
    plot_operations,
    plot_routes,
    plot_size_steps,
)

MAIN = (("3×3, stride 2", "8×4×4"), ("3×3", "8×4×4"))


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def boxes(ax: Axes) -> list[FancyBboxPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def bars(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def test_an_operation_that_no_hook_sees_is_a_hollow_dashed_box() -> None:
    (ax,) = plot_operations([("conv2d", "8×4×4", True), ("add", "8×4×4", False)], "3×8×8").axes
    seen, unseen = boxes(ax)
    assert seen.get_facecolor() == to_rgba(ROLE["kernel"])
    assert unseen.get_facecolor() == to_rgba("white")
    assert (seen.get_linestyle(), unseen.get_linestyle()) == ("-", (0, (3, 2)))
    assert texts(ax)[0] == "input  3×8×8"
    assert texts(ax)[1:] == ["conv2d", "8×4×4", "in the table", "add", "8×4×4", "not seen"]


def test_size_steps_follow_the_sides_and_name_the_most_channels_of_each() -> None:
    layers = [(32, 8), (32, 16), (16, 64), (16, 32), (8, 32)]
    (ax,) = plot_size_steps({"small": layers}, input_size=64).axes
    (stairs,) = ax.patches
    np.testing.assert_array_equal(stairs.get_data().values, [32, 32, 16, 16, 8])
    np.testing.assert_array_equal(stairs.get_data().edges, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    assert texts(ax) == ["16", "64", "32"]
    assert [text.get_position()[0] for text in ax.texts] == [1.5, 3.5, 5.0]  # over the middle of its step
    assert ax.get_title(loc="left") == "small"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["8", "16", "32", "64"]


def test_branch_sizes_join_the_sizes_that_do_not_fit_and_no_others() -> None:
    sizes = [8, 9, 10, 11]
    (ax,) = plot_branch_sizes(sizes, {"up": [4, 5, 5, 6], "down": [4, 4, 5, 5]}).axes
    (apart,) = ax.collections
    np.testing.assert_array_equal(apart.get_segments(), [[[9, 5], [9, 4]], [[11, 6], [11, 5]]])
    np.testing.assert_array_equal(apart.get_color()[0], to_rgba(ROLE["lost"]))
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"up", "down", "do not fit"}


def test_routes_that_end_in_one_shape_meet_in_a_plus() -> None:
    (ax,) = plot_routes([Block("fits", "4×8×8", MAIN, (("1×1, stride 2", "8×4×4"),))]).axes
    assert "+" in texts(ax)
    assert "≠" not in texts(ax)
    assert texts(ax)[-1] == "8×4×4"
    assert len(boxes(ax)) == 3
    assert ax.get_title() == "fits"


@pytest.mark.parametrize("shortcut", [(("1×1", "8×8×8"),), ()])
def test_routes_that_end_in_two_shapes_do_not_meet(shortcut: tuple[tuple[str, str], ...]) -> None:
    (ax,) = plot_routes([Block("broken", "4×8×8", MAIN, shortcut)]).axes
    (sign,) = [text for text in ax.texts if text.get_text() == "≠"]
    assert sign.get_color() == ROLE["lost"]
    assert texts(ax)[-1] == "cannot be added"


def test_an_empty_shortcut_ends_in_the_shape_of_the_input() -> None:
    assert Block("same", "8×4×4", MAIN).ends == ("8×4×4", "8×4×4")
    (ax,) = plot_routes([Block("same", "8×4×4", MAIN)]).axes
    assert len(boxes(ax)) == 2
    assert "+" in texts(ax)


def test_flatten_keeps_a_row_a_picture_and_view_cuts_it() -> None:
    kept, cut = plot_flatten(pictures=2, parts=3).axes
    assert [cell.get_xy() for cell in bars(kept)] == [(x, y) for y in range(2) for x in range(3)]
    assert [cell.get_xy() for cell in bars(cut)] == [(0, y) for y in range(6)]
    assert [cell.get_facecolor() for cell in bars(kept)] == [cell.get_facecolor() for cell in bars(cut)]
    assert kept.get_title(loc="left") == "flatten(1): 2 rows"
    assert cut.get_title(loc="left") == "view(-1, n): 6 rows"


def test_costs_are_shares_of_each_kind_and_the_largest_part_stands_out() -> None:
    costs = {"parameters": {"body": 1, "head": 3}, "MACs": {"body": 995, "head": 5}}
    figure = plot_costs({"net": costs})
    parameters, macs = figure.axes
    assert [bar.get_width() for bar in bars(parameters)] == [25, 75]
    assert texts(parameters) == ["25%", "75%"]
    assert texts(macs) == ["100%", "<1%"]
    assert [bar.get_facecolor() == to_rgba(ROLE["kernel"]) for bar in bars(parameters)] == [False, True]
    assert [label.get_text() for label in parameters.get_yticklabels()] == ["body", "head"]
    assert (parameters.get_title(), macs.get_title()) == ("parameters", "MACs")


def test_live_memory_draws_inference_forward_and_training_there_and_back() -> None:
    (ax,) = plot_live_memory([3, 2], [1, 4, 5, 2], layers=2).axes
    training, inference = ax.lines[:2]
    np.testing.assert_array_equal(training.get_xydata(), [[1, 1], [2, 4], [3, 5], [4, 2]])
    np.testing.assert_array_equal(inference.get_xydata(), [[1, 3], [2, 2]])
    assert ax.lines[2].get_xdata() == [2.5, 2.5]  # between forward and backward


def test_memory_pairs_name_the_amounts_and_their_ratio() -> None:
    (ax,) = plot_memory_pairs({"shallow": (10, 25), "deep": (10, 80)}).axes
    assert [bar.get_width() for bar in bars(ax)] == [10, 10, 25, 80]
    assert [text.strip() for text in texts(ax)] == ["25 MB, 2.5×", "10 MB", "80 MB, 8.0×", "10 MB"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["shallow", "deep"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_operations([], "3"), "at least one operation"),
        (lambda: plot_size_steps({}), "at least one network"),
        (lambda: plot_size_steps({"none": []}), "at least one layer"),
        (lambda: plot_branch_sizes([8], {"one": [4]}), "two, got 1"),
        (lambda: plot_branch_sizes([8], {"one": [4], "two": [4, 5]}), "'two' must have 1 output sizes, got 2"),
        (lambda: plot_routes([]), "one or two, got 0"),
        (lambda: plot_routes([Block("empty", "3", ())]), "got none for 'empty'"),
        (lambda: plot_flatten(0, 2), "one to three, got 0"),
        (lambda: plot_flatten(2, 0), "at least 1, got 0"),
        (lambda: plot_costs({}), "at least one network"),
        (lambda: plot_costs({"a": {"MACs": {"x": 1}}, "b": {"bytes": {"x": 1}}}), "same kinds"),
        (lambda: plot_live_memory([1], [1, 2, 3], 1), "got 1 and 3"),
        (lambda: plot_memory_pairs({}), "at least one network"),
        (lambda: plot_memory_pairs({"a": (0, 1)}), "must be positive"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(draw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(
    "figure",
    [
        plot_operations([("conv2d", "8×4×4", True)], "3×8×8"),
        plot_size_steps({"a": [(112, 64)], "b": [(56, 64)]}),
        plot_branch_sizes([8, 9], {"a": [4, 5], "b": [4, 4]}),
        plot_routes([Block("same", "8×4×4", MAIN)] * 2),
        plot_flatten(3, 2),
        plot_costs({"net": {"MACs": {"body": 1, "head": 1}}}),
        plot_live_memory([1], [1, 2], 1),
        plot_memory_pairs({"net": (1, 2)}),
    ],
)
def test_figures_of_traces_fit_a_phone_and_do_not_stay_open(figure: Figure) -> None:
    assert figure.get_figwidth() <= FULL_WIDTH
    assert not plt.get_fignums()
