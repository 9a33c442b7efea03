"""What `coursekit.shapes` says by itself: worked examples, laws, messages and tables."""

import math
import re
from enum import IntEnum
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.shapes import (
    Conv,
    ConvTranspose,
    Pool,
    Sides,
    conv_output_size,
    effective_kernel_size,
    output_size,
    pool_output_size,
    same_padding,
    same_padding_sides,
    tensorflow_same_output_size,
    tensorflow_same_padding,
    trace_sizes,
    transposed_output_size,
    unused_pixels,
    window_counts,
)

sizes = st.integers(1, 40)
kernels = st.integers(1, 8)
strides = st.integers(1, 6)
dilations = st.integers(1, 4)
any_window = st.fixed_dictionaries(
    {"size": sizes, "kernel_size": kernels, "stride": strides, "padding": st.integers(0, 9), "dilation": dilations}
)


def windows_by_hand(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> list[list[int]]:
    """Every whole window as the list of the pixels under its taps, counted from the first input pixel."""
    windows = []
    start = -padding
    while start + dilation * (kernel_size - 1) <= size + padding - 1:
        windows.append([start + tap * dilation for tap in range(kernel_size)])
        start += stride
    return windows


# Worked examples, from networks everyone knows.


@pytest.mark.parametrize(
    ("size", "layer", "expected"),
    [
        (224, Conv(7, stride=2, padding=3), 112),  # ResNet, stem
        (112, Pool(3, stride=2, padding=1), 56),  # ResNet, pooling after the stem
        (224, Conv(11, stride=4, padding=2), 55),  # AlexNet, first layer
        (112, Pool(3, stride=2, ceil_mode=True), 56),  # GoogLeNet, pooling with ceil_mode
        (112, Pool(3, stride=2), 55),
        (32, Conv(5), 28),  # LeNet-5
        (225, Conv(3, stride=2, padding=1), 113),
        (33, Conv(3, padding=18, dilation=18), 33),  # DeepLabV3, widest branch
        (7, ConvTranspose(4, stride=2, padding=1), 14),  # DCGAN, doubling
        (7, ConvTranspose(3, stride=2, padding=1, output_padding=1), 14),
    ],
)
def test_layers_of_well_known_networks(size: int, layer: Any, expected: int):
    assert layer.output_size(size) == expected
    assert layer.output_size((size, size)) == (expected, expected)


def test_an_int_gives_an_int_and_a_tuple_a_tuple():
    assert output_size(7, 3, 2) == 3
    assert output_size((7,), 3, 2) == (3,)
    assert output_size((7, 8), (3, 2), 2, (1, 0)) == (4, 4)
    assert output_size([7, 8, 9], 3) == (5, 6, 7)
    assert effective_kernel_size(3, 2) == 5
    assert effective_kernel_size((3, 5), (2, 1)) == (5, 5)
    assert effective_kernel_size(3, (1, 6, 18)) == (3, 13, 37)
    assert same_padding((3, 5)) == (1, 2)
    assert same_padding_sides((2, 3)) == (Sides(0, 1), Sides(1, 1))
    assert tensorflow_same_padding((224, 225), 3, 2) == (Sides(0, 1), Sides(1, 1))
    assert tensorflow_same_output_size((224, 225), 2) == (112, 113)
    assert unused_pixels((8, 7), 3, 2) == (1, 0)


# Laws.


@given(any_window)
def test_the_formula_counts_the_windows_that_fit(window: dict[str, int]):
    by_hand = windows_by_hand(**window)
    if by_hand:
        assert output_size(**window) == len(by_hand)
    else:
        with pytest.raises(ValueError, match="more than the padded input"):
            output_size(**window)


@given(any_window)
def test_ceil_mode_adds_at_most_one_window_and_only_for_pixels_left_over(window: dict[str, int]):
    size, stride, padding = window["size"], window["stride"], window["padding"]
    whole = windows_by_hand(**window)
    start_of_next = len(whole) * stride - padding
    end_of_last = start_of_next - stride + effective_kernel_size(window["kernel_size"], window["dilation"])
    adds_one = start_of_next < size and end_of_last < size + padding
    if whole or adds_one:
        assert output_size(**window, ceil_mode=True) == len(whole) + adds_one
    else:
        with pytest.raises(ValueError, match="ceil_mode forgives at most"):
            output_size(**window, ceil_mode=True)


@given(any_window)
def test_window_counts_and_unused_pixels_agree_with_the_windows_one_by_one(window: dict[str, int]):
    by_hand = windows_by_hand(**window)
    if not by_hand:
        return
    size = window["size"]
    assert window_counts(**window) == [sum(pixel in taps for taps in by_hand) for pixel in range(size)]
    assert unused_pixels(**window) == sum(pixel > by_hand[-1][-1] for pixel in range(size))


@given(sizes, kernels, dilations)
def test_same_padding_keeps_the_size(size: int, kernel_size: int, dilation: int):
    before, after = same_padding_sides(kernel_size, dilation)
    assert after - before in (0, 1)
    assert output_size(size + before + after, kernel_size, dilation=dilation) == size
    if before == after:
        assert same_padding(kernel_size, dilation) == before
        assert conv_output_size(size, kernel_size, 1, same_padding(kernel_size, dilation), dilation) == size
    else:
        with pytest.raises(ValueError, match=f"{before} before and {after} after"):
            same_padding(kernel_size, dilation)


@given(sizes, kernels, strides, dilations)
def test_tensorflow_same_pads_as_little_as_gives_size_over_stride_rounded_up(
    size: int, kernel_size: int, stride: int, dilation: int
):
    before, after = tensorflow_same_padding(size, kernel_size, stride, dilation)
    wanted = math.ceil(size / stride)
    assert tensorflow_same_output_size(size, stride) == wanted
    assert after - before in (0, 1)
    total = before + after
    assert output_size(size + total, kernel_size, stride, dilation=dilation) == wanted
    if total:  # with one pixel less, one window less fits, or none at all
        fewer = windows_by_hand(size + total - 1, kernel_size, stride, 0, dilation)
        assert len(fewer) == wanted - 1


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "expected"),
    [
        (224, 3, 2, Sides(0, 1)),  # MobileNet and EfficientNet, first layer
        (224, 7, 2, Sides(2, 3)),  # ResNet's stem, as TensorFlow pads it
        (225, 3, 2, Sides(1, 1)),
        (13, 6, 5, Sides(1, 2)),  # the example of TensorFlow's documentation: 3 pixels, 1 left, 2 right
        (5, 2, 1, Sides(0, 1)),
        (4, 1, 2, Sides(0, 0)),  # nothing to pad: the formula alone would give -1
    ],
)
def test_tensorflow_same_padding_of_published_examples(size: int, kernel_size: int, stride: int, expected: Sides):
    assert tensorflow_same_padding(size, kernel_size, stride) == expected


@given(sizes, kernels, strides, st.integers(0, 3), dilations, st.integers(0, 5))
def test_a_transposed_convolution_undoes_the_size_of_a_convolution(
    size: int, kernel_size: int, stride: int, padding: int, dilation: int, extra: int
):
    extra = min(extra, stride - 1)
    span = dilation * (kernel_size - 1) + 1
    if (size - 1) * stride + span + extra <= 2 * padding:
        return
    larger = transposed_output_size(size, kernel_size, stride, padding, dilation, extra)
    assert conv_output_size(larger, kernel_size, stride, padding, dilation) == size


# Pixels that few windows see.


def test_a_stride_of_two_with_an_odd_kernel_sees_every_second_pixel_more_often():
    assert window_counts(9, 3, stride=2) == [1, 1, 2, 1, 2, 1, 2, 1, 1]
    assert window_counts(8, 4, stride=2, padding=1) == [1, 2, 2, 2, 2, 2, 2, 1]


def test_pixels_between_windows_or_taps_count_zero():
    assert window_counts(7, 2, stride=3) == [1, 1, 0, 1, 1, 0, 0]
    assert window_counts(5, 3, dilation=2) == [1, 0, 1, 0, 1]


def test_what_falls_off_the_edge():
    assert unused_pixels(8, 3, stride=2) == 1
    assert unused_pixels(8, 3, stride=2, padding=1) == 0
    assert unused_pixels(8, 3, stride=2, ceil_mode=True) == 0
    assert unused_pixels(1, 1, stride=10, padding=3) == 1  # the only window lies in the padding


# Refusals.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: output_size(5, 5, padding=1, dilation=2),
            "kernel_size 5 with dilation 2 covers 9 pixels, more than the padded input of 7 (size 5, padding 1)",
        ),
        (
            lambda: output_size((9, 3), 5),
            "axis 1: kernel_size 5 covers 5 pixels, more than the padded input of 3 (size 3, padding 0)",
        ),
        (
            lambda: pool_output_size(1, 5, 2, ceil_mode=True),
            "kernel_size 5 covers 5 pixels, more than the padded input of 1 (size 1, padding 0); "
            "ceil_mode forgives at most stride - 1 = 1 missing pixels",
        ),
        (lambda: pool_output_size(5, 3, padding=2), "padding must be at most kernel_size // 2 = 1 for pooling, got 2"),
        (
            lambda: pool_output_size(9, 3, padding=2, dilation=3),
            "padding must be at most kernel_size // 2 = 1 for pooling (dilation 3 does not raise it), got 2",
        ),
        (
            lambda: conv_output_size(8, 5, 2, "same"),
            "padding='same' needs stride 1, got 2: a stride makes the output smaller; give padding in pixels, "
            "for example 2",
        ),
        (lambda: conv_output_size(8, 3, padding="full"), "padding must be an int, 'same' or 'valid', got 'full'"),
        (
            lambda: transposed_output_size(1, 3, 2, 2),
            "padding 2 cuts 4 pixels off an output of 3 and leaves none (size 1, kernel_size 3, stride 2, dilation 1, "
            "output_padding 0); padding must be at most 1",
        ),
        (
            lambda: transposed_output_size(4, 3, 2, output_padding=2),
            "output_padding must be smaller than stride 2 or dilation 1, so at most 1, got 2",
        ),
        (
            lambda: same_padding(4, 3),
            "kernel_size 4 with dilation 3 needs 9 pixels of padding in all, an odd number: 4 before and 5 after "
            "the input (see same_padding_sides); the same padding at both ends needs an odd kernel_size or an even "
            "dilation",
        ),
        (lambda: output_size(0, 1), "size must be at least 1, got 0"),
        (lambda: output_size((5, 5), 3, (1, 0)), "stride must be at least 1, got (1, 0)"),
        (lambda: output_size(5, 3, padding=-1), "padding must be at least 0, got -1"),
        (
            lambda: output_size(5, (3, 3)),
            "kernel_size (3, 3) has 2 entries for 1 axis; give one int, or one int per axis",
        ),
        (
            lambda: output_size((5, 5), 3, (1, 1, 1)),
            "stride (1, 1, 1) has 3 entries for 2 axes; give one int, or one int per axis",
        ),
        (lambda: output_size((), 3), "size () has 0 entries for 0 axes; give one int, or one int per axis"),
    ],
)
def test_a_refusal_names_the_values_and_what_is_allowed(call: Any, message: str):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: output_size(224 / 2, 3), "size must be an int, got 112.0 (a float); divide sizes with //"),
        (lambda: output_size((8, 8.0), 3), "size[1] must be an int, got 8.0 (a float)"),
        (lambda: output_size("8", 3), "size must be an int, got '8' (a str)"),
        (lambda: output_size(8, 3, ceil_mode=1), "ceil_mode must be True or False, got 1"),
        (
            lambda: pool_output_size(8, 2, padding="same"),
            "padding='same' exists only for convolution; pooling takes an int",
        ),
        (lambda: window_counts((8, 8), 3), "window_counts looks at one axis: size must be an int, got (8, 8)"),
    ],
)
def test_what_is_no_integer_is_a_type_error_that_says_what_to_write(call: Any, message: str):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        call()


def test_the_largest_padding_named_in_a_message_is_allowed():
    assert pool_output_size(5, 3, padding=1) == 2
    assert transposed_output_size(1, 3, 2, 1) == 1
    assert transposed_output_size(4, 3, 2, output_padding=1) == 10


# Traces.

STEM = [
    Conv(7, stride=2, padding=3, name="stem"),
    Pool(3, stride=2, padding=1),
    Conv(3, padding="same", name="<block>"),
]


def test_a_trace_follows_the_size_through_the_layers():
    trace = trace_sizes((224, 225), STEM)
    assert [row.output_size for row in trace.rows] == [(112, 113), (56, 57), (56, 57)]
    assert [row.input_size for row in trace.rows] == [(224, 225), (112, 113), (56, 57)]
    assert [row.name for row in trace.rows] == ["stem", "Pool", "<block>"]
    assert trace.input == (224, 225)
    assert trace.output == (56, 57)


def test_an_encoder_and_its_decoder_meet_again():
    down, up = Conv(3, stride=2, padding=1), ConvTranspose(3, stride=2, padding=1, output_padding=1)
    assert trace_sizes(32, [down, down, up, up]).output == 32


def test_a_trace_of_no_layers_ends_where_it_starts():
    assert trace_sizes([8, 9], []).output == (8, 9)


def test_a_refusing_layer_is_named_with_its_index():
    with pytest.raises(ValueError, match=r"^layer 2 \('head', Conv\) on size 1: kernel_size 3 covers 3 pixels, more"):
        trace_sizes(4, [Pool(2), Pool(2), Conv(3, name="head")])
    with pytest.raises(
        ValueError, match=r"^layer 1 \(Pool\) on size 4 × 1: axis 1: kernel_size 2 covers 2 pixels, more"
    ):
        trace_sizes((8, 2), [Pool(2), Pool(2)])
    with pytest.raises(TypeError, match=r"^layer 0 \(Conv\) on size 8: stride must be an int, got 0\.5"):
        trace_sizes(8, [Conv(3, stride=0.5)])
    with pytest.raises(TypeError, match=r"^layer 1 must be a Conv, Pool or ConvTranspose, got 'relu'"):
        trace_sizes(8, [Conv(3), "relu"])
    with pytest.raises(ValueError, match=r"^size must be at least 1, got 0$"):
        trace_sizes(0, [])


def test_a_trace_prints_as_an_aligned_table():
    assert str(trace_sizes((224, 225), STEM)).splitlines() == [
        "#  layer    settings                            input      output",
        "-  -------  ----------------------------------  ---------  ---------",
        "0  stem     kernel_size=7, stride=2, padding=3  224 × 225  112 × 113",
        "1  Pool     kernel_size=3, stride=2, padding=1  112 × 113  56 × 57",
        "2  <block>  kernel_size=3, padding='same'       56 × 57    56 × 57",
    ]


class TableReader(HTMLParser):
    """Collects the text and the scope of every cell, and what encloses it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str | None, str]]] = []
        self.caption = ""
        self.open: list[str] = []
        self.feed(html)
        assert not self.open, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append((tag, dict(attrs).get("scope"), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "caption":
            self.caption += data
        else:
            tag, scope, text = self.rows[-1][-1]
            self.rows[-1][-1] = (tag, scope, text + data)


def test_a_trace_shows_as_a_table_that_a_screen_reader_can_read():
    table = TableReader(trace_sizes((224, 225), STEM)._repr_html_())
    assert table.caption == "Size after each layer, from 224 × 225 to 56 × 57"
    head, *body = table.rows
    assert head == [("th", "col", text) for text in ("#", "layer", "settings", "input", "output")]
    assert body[2] == [
        ("td", None, "2"),
        ("th", "row", "<block>"),
        ("td", None, "kernel_size=3, padding='same'"),
        ("td", None, "56\u00a0×\u00a057"),  # a size is not broken at the end of a line
        ("td", None, "56\u00a0×\u00a057"),
    ]
    assert len(body) == len(STEM)


def test_a_setting_that_prints_in_angle_brackets_still_shows():
    class Kernel(IntEnum):
        SMALL = 3

    table = TableReader(trace_sizes(8, [Conv(Kernel.SMALL)])._repr_html_())
    assert table.rows[1][2] == ("td", None, "kernel_size=<Kernel.SMALL: 3>")


def test_layers_cannot_be_changed_and_compare_by_value():
    assert Conv(3, 2) == Conv(3, stride=2)
    with pytest.raises(AttributeError):
        Conv(3).stride = 2
