"""Sizes and refusals of `coursekit.shapes` against PyTorch's layers on the CPU.

The first test draws 21,600 settings: 1,800 for each of four operations in one, two and three dimensions. It counts
them: each of the twelve fails if fewer than 900 of its settings differ from each other (10,800 in all), or if PyTorch
refuses less than a tenth of them or more than two fifths.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from coursekit.shapes import (
    conv_output_size,
    pool_output_size,
    same_padding_sides,
    transposed_output_size,
)

SETTINGS_EACH = 1_800
DISTINCT_EACH = 900

LAYERS = {
    "conv": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    "max pool": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    "avg pool": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    "transposed": (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
}
OURS: dict[str, Callable[..., Any]] = {
    "conv": conv_output_size,
    "max pool": pool_output_size,
    "avg pool": pool_output_size,
    "transposed": transposed_output_size,
}

#: Smallest and largest value drawn for each setting of one axis.
RANGES = {"size": (1, 14), "kernel_size": (1, 6), "stride": (1, 4), "padding": (0, 4)}
RANGES_OF_ONE = {
    "conv": {"dilation": (1, 3)},
    "max pool": {"dilation": (1, 3)},
    "avg pool": {},
    "transposed": {"dilation": (1, 3), "output_padding": (0, 3)},
}
#: What no layer takes.
OUT_OF_RANGE = [("size", 0), ("kernel_size", 0), ("kernel_size", -1), ("stride", 0), ("stride", -2), ("padding", -1)]
OUT_OF_RANGE_OF_ONE = {
    "conv": [("dilation", 0), ("dilation", -1)],
    "max pool": [("dilation", 0), ("dilation", -1)],
    "avg pool": [],
    "transposed": [("dilation", 0), ("dilation", -1), ("output_padding", -1)],
}
POOL_OPTIONS = [
    {"ceil_mode": ceil_mode} | stride for ceil_mode in (True, False) for stride in ({}, {}, {}, {"stride": None})
]
OPTIONS = {
    "conv": [{}] * 6 + [{"padding": "same"}, {"padding": "valid"}],
    "max pool": POOL_OPTIONS,
    "avg pool": POOL_OPTIONS,
    "transposed": [{}],
}


def torch_output_size(operation: str, size: tuple[int, ...], **arguments: Any) -> tuple[int, ...] | None:
    """Size that PyTorch's layer gives on real data, or None if it refuses to be built or to be applied."""
    layer = LAYERS[operation][len(size) - 1]
    channels = () if "pool" in operation else (1, 1)
    try:
        result = tuple(layer(*channels, **arguments)(torch.zeros(1, 1, *size)).shape[2:])
    except (RuntimeError, TypeError, ValueError):
        return None
    if 0 in result and torch.backends.mkldnn.enabled:
        # oneDNN lets an empty output pass where PyTorch's own kernels refuse it: those decide.
        with torch.backends.mkldnn.flags(enabled=False):
            return torch_output_size(operation, size, **arguments)
    return result


def our_output_size(operation: str, size: tuple[int, ...], **arguments: Any) -> tuple[int, ...] | None:
    """The same from this project; only a ValueError counts as a refusal."""
    try:
        return OURS[operation](size, **arguments)
    except ValueError:
        return None


def tame(operation: str, axis: dict[str, int], same: bool) -> dict[str, int]:
    """The nearest setting that should be allowed, so that not nearly all draws are refused."""
    axis = dict(axis)
    if "pool" in operation:
        axis["padding"] = min(axis["padding"], axis["kernel_size"] // 2)
    span = axis.get("dilation", 1) * (axis["kernel_size"] - 1) + 1
    if operation == "transposed":
        axis["output_padding"] = min(axis["output_padding"], max(axis["stride"], axis["dilation"]) - 1)
        whole = (axis["size"] - 1) * axis["stride"] + span
        axis["padding"] = min(axis["padding"], (whole - 1) // 2)
    elif same:
        axis["stride"] = 1
    else:
        axis["size"] = max(axis["size"], span - 2 * axis["padding"])
    return axis


def layer_settings(operation: str, rank: int) -> st.SearchStrategy[dict[str, Any]]:
    """Size and arguments of a layer: most should be allowed, one in several is out of range, one is anything.

    With three axes there are more ways to be allowed, and hypothesis, which also draws numbers from the code that
    happens to be loaded, tries many of them: there the others get a larger share.
    """
    ranges = RANGES | RANGES_OF_ONE[operation]
    out_of_range = OUT_OF_RANGE + OUT_OF_RANGE_OF_ONE[operation]
    faults = [(axis, name, value) for axis in range(rank) for name, value in out_of_range]
    allowed = 3 if rank == 3 else 5
    care = [None] * allowed * len(faults) + ["careless"] * len(faults) + faults
    # A few large draws instead of many small ones: the same settings in a fraction of the time.
    every_axis = list(itertools.product(*(range(low, high + 1) for low, high in ranges.values())))
    every_choice = list(itertools.product(care, OPTIONS[operation]))

    def build(choice: tuple[Any, dict[str, Any]], drawn: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
        fault, option = choice
        axes = [dict(zip(ranges, values, strict=True)) for values in drawn]
        if operation == "avg pool" and rank == 3:  # stricter than the others here, see the test on AvgPool3d
            axes = [axis | {"size": max(axis["size"], axis["kernel_size"])} for axis in axes]
        if fault is None:
            axes = [tame(operation, axis, same=option.get("padding") == "same") for axis in axes]
        elif fault != "careless":
            place, name, value = fault
            axes[place] = axes[place] | {name: value}
        columns = {name: tuple(axis[name] for axis in axes) for name in ranges}
        size = columns.pop("size")
        return {"size": size} | {name: _int_if_equal(column) for name, column in columns.items()} | option

    one_axis = st.sampled_from(every_axis)
    equal_axes = one_axis.map(lambda values: (values,) * rank)
    axes = st.one_of(equal_axes, st.tuples(*[one_axis] * rank)) if rank > 1 else equal_axes
    return st.builds(build, st.sampled_from(every_choice), axes)


def _int_if_equal(column: tuple[int, ...]) -> int | tuple[int, ...]:
    return column[0] if len(set(column)) == 1 else column


@dataclass
class Tally:
    """Which settings were compared, and how many of them PyTorch refused."""

    distinct: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def add(self, setting: dict[str, Any], refused: bool) -> None:
        self.distinct.add(repr(setting))
        if refused:
            self.refused.add(repr(setting))


@pytest.mark.filterwarnings(
    "ignore:Initializing zero-element tensors", "ignore:Using padding='same' with even kernel", "ignore:TF32"
)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("operation", LAYERS)
def test_sizes_and_refusals_equal_those_of_torch(operation: str, rank: int):
    tally = Tally()

    @settings(max_examples=SETTINGS_EACH)
    @given(layer_settings(operation, rank))
    def compare(setting: dict[str, Any]) -> None:
        expected = torch_output_size(operation, **setting)
        assert our_output_size(operation, **setting) == expected
        tally.add(setting, refused=expected is None)

    compare()
    assert len(tally.distinct) >= DISTINCT_EACH
    assert 0.1 <= len(tally.refused) / len(tally.distinct) <= 0.4


def test_avg_pool3d_alone_refuses_an_input_shorter_than_the_kernel():
    setting = {"kernel_size": 3, "stride": 1, "padding": 1}
    assert pool_output_size((2, 2, 2), **setting) == (2, 2, 2)
    assert nn.MaxPool3d(**setting)(torch.zeros(1, 1, 2, 2, 2)).shape[2:] == (2, 2, 2)
    assert nn.AvgPool2d(**setting)(torch.zeros(1, 1, 2, 2)).shape[2:] == (2, 2)
    with pytest.raises(RuntimeError, match="smaller than kernel size"):
        nn.AvgPool3d(**setting)(torch.zeros(1, 1, 2, 2, 2))


@pytest.mark.filterwarnings("ignore:TF32")
def test_an_empty_transposed_output_is_refused_as_by_the_kernels_of_torch_itself():
    layer = nn.ConvTranspose2d(1, 1, kernel_size=4, padding=(0, 2))
    with (
        torch.backends.mkldnn.flags(enabled=False),
        pytest.raises(RuntimeError, match=r"\(4 x 0\)\. Output size is too small"),
    ):
        layer(torch.zeros(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"axis 1: padding 2 cuts 4 pixels off an output of 4 and leaves none"):
        transposed_output_size((1, 1), 4, padding=(0, 2))


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 6])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_same_padding_sides_put_the_extra_pixel_where_torch_puts_it(kernel_size: int, dilation: int):
    image, weight = torch.randn(1, 1, 9), torch.randn(1, 1, kernel_size)
    sides = same_padding_sides(kernel_size, dilation)
    by_hand = nn.functional.conv1d(nn.functional.pad(image, sides), weight, dilation=dilation)
    by_torch = nn.functional.conv1d(image, weight, padding="same", dilation=dilation)
    torch.testing.assert_close(by_hand, by_torch)


#: Ways to write a setting that are no plain int and no tuple with one int per axis, and the layer of which it is part.
ODD_WAYS = [
    ("conv", (7, 7), {"kernel_size": [3, 2]}),
    ("conv", (7, 7), {"kernel_size": (3,)}),
    ("conv", (7, 7), {"kernel_size": (3, 3, 3)}),
    ("conv", (7, 7), {"kernel_size": 3, "stride": (2,)}),
    ("conv", (7, 7), {"kernel_size": 3, "stride": np.array([2, 1])}),
    ("conv", (7, 7), {"kernel_size": 3, "stride": ()}),
    ("conv", (7, 7), {"kernel_size": 3, "padding": (1, 1, 1)}),
    ("conv", (7, 7), {"kernel_size": 3, "padding": "SAME"}),
    ("conv", (7, 7), {"kernel_size": 3, "padding": "same", "stride": (1, 2)}),
    ("conv", (7, 7), {"kernel_size": np.int64(3), "stride": (np.int32(2), 1)}),
    ("conv", (7,), {"kernel_size": (3, 3)}),
    ("conv", (7,), {"kernel_size": 3, "dilation": (2,)}),
    ("max pool", (7, 7), {"kernel_size": (2,)}),
    ("max pool", (7, 7), {"kernel_size": (2, 3), "stride": (2,)}),
    ("max pool", (7, 7), {"kernel_size": (2, 3, 4)}),
    ("max pool", (7, 7), {"kernel_size": torch.tensor(2)}),
    ("max pool", (7,), {"kernel_size": np.int64(2), "padding": np.uint8(1)}),
    ("avg pool", (7, 7), {"kernel_size": [2, 3], "padding": (1,)}),
    ("avg pool", (7,), {"kernel_size": (2, 2)}),
    ("transposed", (7, 7), {"kernel_size": (2,), "stride": 2}),
    ("transposed", (7, 7), {"kernel_size": 2, "stride": (2,), "output_padding": (1,)}),
    ("transposed", (7, 7), {"kernel_size": 2, "stride": (2, 1), "dilation": (1, 2), "output_padding": 1}),
    ("transposed", (7, 7), {"kernel_size": 2, "stride": (2, 1), "dilation": (2, 1), "output_padding": 1}),
]


@pytest.mark.parametrize(("operation", "size", "arguments"), ODD_WAYS)
def test_lists_short_tuples_and_numpy_integers_count_as_they_do_in_torch(
    operation: str, size: tuple[int, ...], arguments: dict[str, Any]
):
    assert our_output_size(operation, size, **arguments) == torch_output_size(operation, size, **arguments)


NO_INTEGERS = [
    ("conv", {"kernel_size": 3.0}),
    ("conv", {"kernel_size": 3, "stride": 1.0}),
    ("conv", {"kernel_size": 3, "stride": True}),
    ("conv", {"kernel_size": 3, "stride": (1, 1.0)}),
    ("conv", {"kernel_size": 3, "padding": None}),
    ("max pool", {"kernel_size": (2, 2.0)}),
    ("max pool", {"kernel_size": True}),
    ("max pool", {"kernel_size": 2, "padding": "same"}),
    ("max pool", {"kernel_size": 2, "ceil_mode": 1}),
    ("avg pool", {"kernel_size": 2, "stride": 2.0}),
    ("avg pool", {"kernel_size": 2, "padding": False}),
    ("transposed", {"kernel_size": 2, "padding": "same"}),
    ("transposed", {"kernel_size": 2, "stride": 2, "output_padding": 1.0}),
]


@pytest.mark.parametrize(("operation", "arguments"), NO_INTEGERS)
def test_what_is_no_integer_is_refused_as_torch_does_and_named(operation: str, arguments: dict[str, Any]):
    assert torch_output_size(operation, (7, 7), **arguments) is None
    with pytest.raises(TypeError, match=list(arguments)[-1]):
        OURS[operation]((7, 7), **arguments)


def test_a_bool_is_refused_where_torch_takes_it_for_a_number():
    assert torch_output_size("conv", (7, 7), kernel_size=True) == (7, 7)
    with pytest.raises(TypeError, match=r"kernel_size must be an int, got True \(a bool\)"):
        conv_output_size((7, 7), True)
