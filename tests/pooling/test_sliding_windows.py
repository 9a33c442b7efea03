"""The shared view of all windows, and what is built on it."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import LAYOUTS, agree, feature_map, gradient, pooling_settings

from coursekit import pooling
from coursekit.pooling import WindowGrid, sliding_windows, tile_windows
from coursekit.pooling.windows import chosen_windows, pixel_counts, pixel_numbers
from coursekit.shapes import pool_output_size


@settings(max_examples=80)
@given(pooling_settings(dilated=True), st.integers(0, 2**32 - 1))
def test_the_view_shows_every_window(case, seed):
    arguments, size = case
    x = feature_map(seed, size)
    grid = WindowGrid.of(**arguments)
    windows = sliding_windows(x, grid, fill=-math.inf)
    assert windows.shape == (2, 2, *pool_output_size(size, **arguments), *arguments["kernel_size"])
    agree(windows.amax((-2, -1)), pooling.max_pool2d_reference(x.numpy(), **arguments), exact=True)
    first = [
        (i * grid.stride[0] - grid.padding[0], j * grid.stride[1] - grid.padding[1])
        for i, j in np.ndindex(*windows.shape[2:4])
    ]
    corners = torch.tensor(
        [
            x[1, 0, row, column].item() if 0 <= row < size[0] and 0 <= column < size[1] else -math.inf
            for row, column in first
        ],
        dtype=x.dtype,
    )
    agree(windows[1, 0, :, :, 0, 0].flatten(), corners, exact=True)


def test_without_padding_the_view_copies_nothing():
    x = feature_map(0, (6, 7))
    windows = sliding_windows(x, WindowGrid.of(3, 1, dilation=2))
    assert windows.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    x[0, 0, 4, 4] = 99.0
    assert windows[0, 0, 0, 0, 2, 2] == 99.0
    assert windows.shape == (2, 2, 2, 3, 3, 3)


@settings(max_examples=40)
@given(pooling_settings(dilated=True), st.integers(0, 2**32 - 1))
def test_tiled_windows_pool_to_the_same_maxima(case, seed):
    arguments, size = case
    x = feature_map(seed, size)
    tiles = tile_windows(x, WindowGrid.of(**arguments), fill=-math.inf)
    agree(F.max_pool2d(tiles, arguments["kernel_size"]), F.max_pool2d(x, **arguments), exact=True)


def test_tiles_of_overlapping_windows_by_hand():
    x = torch.arange(6.0).reshape(1, 2, 3)
    tiles = tile_windows(x, WindowGrid.of(2, 1))
    assert tiles.tolist() == [[[0, 1, 1, 2], [3, 4, 4, 5]]]


@settings(max_examples=40)
@given(pooling_settings(dilated=True), st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS))
def test_chosen_windows_are_those_of_the_view(case, seed, layout):
    arguments, size = case
    x = feature_map(seed, size, layout=layout, kind="special")
    grid = WindowGrid.of(**arguments)
    windows = sliding_windows(x, grid)
    chosen = torch.rand(windows.shape[:-2]) < 0.4
    agree(chosen_windows(x, grid, chosen), windows[chosen], exact=True)
    agree(chosen_windows(x[0], grid, chosen[0]), windows[0][chosen[0]], exact=True)
    ours = gradient(lambda x: chosen_windows(x, grid, chosen), x)
    agree(ours, gradient(lambda x: sliding_windows(x, grid)[chosen], x))


def test_pixels_are_numbered_in_reading_order():
    assert pixel_numbers(torch.zeros(5, 2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


@settings(max_examples=40)
@given(pooling_settings(dilated=False), st.booleans())
def test_pixel_counts_are_the_divisors_of_the_average(case, include_pad):
    arguments, size = case
    x = torch.ones(1, 1, *size, dtype=torch.float64)
    sums = F.avg_pool2d(x, **arguments, divisor_override=1)
    average = F.avg_pool2d(x, **arguments, count_include_pad=include_pad)
    counts = pixel_counts(WindowGrid.of(**arguments), x, include_pad=include_pad)
    agree(counts.expand_as(sums), (sums / average).round())


def test_gradients_flow_through_the_view_to_every_window_a_pixel_lies_in():
    grid = WindowGrid.of(3, 1, 1)
    slopes = gradient(lambda x: sliding_windows(x, grid)[..., 1, 1], feature_map(0, (4, 4)))
    upstream = np.random.default_rng(7).normal(size=(2, 2, 4, 4))
    agree(slopes, upstream)
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    sliding_windows(x, grid).sum().backward()
    assert x.grad[0, 0].tolist() == [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]


@pytest.mark.parametrize(
    ("arguments", "overlaps"),
    [
        ({"kernel_size": 2}, False),
        ({"kernel_size": 3, "stride": 2}, True),
        ({"kernel_size": 2, "stride": 2, "dilation": 2}, True),
        ({"kernel_size": 2, "stride": 3, "dilation": 2}, False),
        ({"kernel_size": (1, 2), "stride": (1, 1)}, True),
    ],
    ids=str,
)
def test_windows_overlap_if_the_stride_is_shorter_than_their_reach(arguments, overlaps):
    assert WindowGrid.of(**arguments).overlaps is overlaps
