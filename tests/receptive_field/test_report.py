"""What a receptive field says of itself: per axis, at the borders, in tables, and by the name of a layer."""

import copy
import dataclasses
import io
import pickle
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console
from torch import nn

from coursekit import receptive_field
from coursekit.receptive_field import ReceptiveField, receptive_fields
from coursekit.receptive_field.report import EachAxis


def network() -> nn.Sequential:
    """Two convolutions with stride 2 and a pooled head."""
    body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, (3, 5), (2, 1), (1, 2)))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def field() -> ReceptiveField:
    return receptive_field(network(), (32, 20))


def printed(value: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(value)
    return console.file.getvalue()


class Tags(HTMLParser):
    """Refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scopes: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open += [tag] if tag != "br" else []
        self.scopes += [value for name, value in attributes if name == "scope"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_numbers_of_a_small_network_by_hand(field):
    # Height: 3, then 3 + 2 * 2 = 7; start -1 - 2 = -3. Width: 3, then 3 + 4 * 2 = 11; start -1 - 2 * 2 = -5.
    assert (field.layer, field.map_layer) == ("0.2", "0.2")
    assert (field.input_size, field.output_size) == ((32, 20), (8, 10))
    assert (field.size, field.stride, field.start) == ((7, 11), (4, 2), (-3, -5))
    assert field.agrees
    assert not field.sees_everything
    assert field.misaligned == ()


def test_bounds_are_cut_to_the_image_and_centres_are_not(field):
    rows, columns = field.bounds()
    assert rows.tolist() == [[max(0, 4 * i - 3), min(31, 4 * i + 3)] for i in range(8)]
    assert columns.tolist() == [[max(0, 2 * i - 5), min(19, 2 * i + 5)] for i in range(10)]
    heights, widths = field.centers()
    assert heights.tolist() == [4.0 * i for i in range(8)]
    assert widths.tolist() == [2.0 * i for i in range(10)]


def test_bounds_are_a_copy(field):
    field.bounds()[0][:] = -9
    assert field.bounds()[0][0].tolist() == [0, 3]


def test_a_layer_behind_global_pooling_is_described_by_its_last_map():
    head = receptive_field(network(), (32, 20), "3")
    assert (head.layer, head.map_layer, head.size) == ("3", "0.2", (7, 11))
    assert head.sees_everything
    for text in (printed(head), str(head)):
        assert "last " in text
        assert "'0.2'" in text


def test_a_position_that_no_pixel_reaches_has_no_centre():
    field = receptive_field(nn.Sequential(nn.ZeroPad2d((3, 0, 0, 0)), nn.Conv2d(3, 4, 1)), 4)
    assert field.bounds()[1].tolist() == [[0, -1]] * 3 + [[i, i] for i in range(4)]
    gap = receptive_field(nn.ConvTranspose2d(3, 4, 1, stride=3), 4)
    assert np.isnan(gap.centers()[0]).tolist() == [False, True, True] * 3 + [False]
    assert gap.bounds()[0][1].tolist() == [0, -1]


def test_stride_after_upsampling_is_a_fraction_and_none_where_positions_are_uneven():
    assert receptive_field(nn.Upsample(scale_factor=2), 8).stride == (Fraction(1, 2),) * 2
    assert isinstance(receptive_field(nn.Conv2d(3, 4, 3, 2), 9).stride[0], int)
    uneven = receptive_field(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(5)), 7, "1")
    assert (uneven.size, uneven.stride) == ((3, 3), (Fraction(7, 5),) * 2)


@pytest.mark.parametrize(
    ("values", "truth"), [((True, True), True), ((True, False), False), ((False, False), False), ((True,), True)]
)
def test_each_axis_is_true_when_all_axes_are(values, truth):
    axes = EachAxis(values)
    assert bool(axes) is truth
    assert tuple(axes) == values
    assert axes == values


def test_sees_everything_per_axis():
    field = receptive_field(nn.Conv2d(3, 4, (3, 21), padding=(1, 10)), (32, 10))
    assert field.sees_everything == (False, True)
    assert not field.sees_everything


def test_it_does_not_change_and_can_be_kept(field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        field.size = (1, 1)
    again = receptive_field(network(), (32, 20))
    assert again == field == copy.deepcopy(field) == pickle.loads(pickle.dumps(field))
    assert hash(again) == hash(field)
    assert receptive_field(network(), (32, 24)) != field


def test_words(field):
    assert str(field) == (
        "Receptive field of '0.2', input 32 × 20: size 7 × 11, stride 4 × 2, start −3, −5, 8 × 10 positions"
    )
    text = printed(field)
    for word in ("height", "width", "Sees everything", "−5", "'0.2'"):
        assert word in text
    Tags(field._repr_html_())
    assert Tags(field._repr_html_()).scopes.count("row") == 2
    assert "depth" in printed(receptive_field(nn.Conv3d(3, 4, 3), (5, 6, 7)))
    assert "length" in printed(receptive_field(nn.Conv1d(3, 4, 3), (5,)))


def test_a_table_of_all_layers():
    table = receptive_fields(network(), (32, 20))
    assert [row.layer for row in table][:4] == ["0.0", "0.1", "0.2", "0"]
    assert len(table) == len(list(table))
    assert table["0.0"].size == (3, 3)
    assert table["0"].size == receptive_field(network(), (32, 20), "0").size
    with pytest.raises(KeyError, match="nowhere"):
        table["nowhere"]
    frame = table.to_pandas()
    assert list(frame.columns) == ["layer", "kind", "output_size", "size", "stride", "start", "sees_everything"]
    assert frame.kind[:4].tolist() == ["Conv2d", "ReLU", "Conv2d", "Sequential"]
    assert frame["size"][2] == (7, 11)
    lines = str(table).splitlines()
    assert lines[0] == "Receptive fields of Sequential, input 32 × 20"
    assert len(lines) == 3 + len(table)
    assert Tags(table._repr_html_()).scopes.count("row") == len(table)
    assert "7 × 11" in printed(table)


def test_names_are_escaped():
    class Sneaky(nn.ReLU):
        pass

    Sneaky.__name__ = "<b>[red]"
    table = receptive_fields(nn.Sequential(nn.Conv2d(3, 4, 3), Sneaky()), 8)
    assert "<b>" not in table._repr_html_()
    assert "<b>[red]" in printed(table)
    assert "<b>[red]" in str(table)


def test_a_table_without_layers_is_empty():
    table = receptive_fields(nn.Conv2d(3, 4, 3), 8)
    assert (len(table), list(table)) == (0, [])
    assert "Receptive fields of Conv2d" in str(table)
    Tags(table._repr_html_())
    assert len(table.to_pandas()) == 0


def test_the_function_and_the_package_of_the_same_name():
    import coursekit.receptive_field.report

    assert coursekit.receptive_field is receptive_field
    assert isinstance(coursekit.receptive_field(nn.Conv2d(3, 4, 3), 8), ReceptiveField)
