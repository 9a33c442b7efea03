"""The taps of every sliding, slicing and resizing operation are the inputs that PyTorch's own operation reads."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from coursekit.receptive_field.taps import (
    NONE,
    Taps,
    adaptive_windows,
    filtered,
    picked,
    resized,
    scattered,
    shifted,
    sliding_windows,
)

SIZES = st.integers(1, 14)


def read_by(operation, size: int) -> list[list[int]]:
    """For each output of an operation on (1, 1, size), the inputs with a gradient that is not zero."""
    jacobian = torch.autograd.functional.jacobian(operation, torch.rand(1, 1, size, dtype=torch.float64))
    table = jacobian.reshape(-1, size).abs() > 1e-9
    return [row.nonzero().flatten().tolist() for row in table]


def listed(taps: Taps) -> list[list[int]]:
    """The taps of each output in order, without those outside."""
    return [sorted({int(tap) for tap in row if tap < taps.size}) for row in taps.index]


@given(SIZES, st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))
def test_sliding_windows(size, kernel_size, stride, padding, dilation):
    assume(size + 2 * padding > dilation * (kernel_size - 1))
    weight = torch.ones(1, 1, kernel_size, dtype=torch.float64)
    found = read_by(lambda x: F.conv1d(x, weight, None, stride, padding, dilation), size)
    assert listed(sliding_windows(size, len(found), kernel_size, stride, padding, dilation)) == found


@given(SIZES, st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.data())
def test_scattered(size, kernel_size, stride, padding, dilation, data):
    extra = data.draw(st.integers(0, max(stride, dilation) - 1))
    assume((size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + extra + 1 > 0)
    weight = torch.ones(1, 1, kernel_size, dtype=torch.float64)
    found = read_by(lambda x: F.conv_transpose1d(x, weight, None, stride, padding, extra, 1, dilation), size)
    assert listed(scattered(size, len(found), kernel_size, stride, padding, dilation)) == found


@given(SIZES, SIZES)
def test_adaptive_windows(size, outputs):
    assert listed(adaptive_windows(size, outputs)) == read_by(lambda x: F.adaptive_avg_pool1d(x, outputs), size)


@given(SIZES, st.integers(0, 5), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6))
def test_slices_and_padding(size, start, step, before, after):
    assume(start < size)
    found = read_by(lambda x: x[..., start::step], size)
    assert listed(shifted(size, len(found), start, step)) == found
    padded = read_by(lambda x: F.pad(x, (before, after)), size)
    assert listed(shifted(size, len(padded), -before)) == padded


@given(st.integers(2, 14), st.data())
def test_picked_indices(size, data):
    index = data.draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=8))
    found = read_by(lambda x: x[..., torch.tensor(index)], size)
    taps = picked(size, np.array(index))
    assert listed(taps) == found
    if taps.table is not None:
        assert [taps.table[0, 0] + o * taps.advance for o in range(len(index))] == [row[0] for row in found]


MODES = [("nearest", None), ("nearest-exact", None), ("linear", False), ("linear", True)]


@pytest.mark.parametrize(("mode", "align_corners"), MODES)
@given(SIZES, SIZES)
@settings(max_examples=60)
def test_resizing_to_a_size(mode, align_corners, size, outputs):
    found = read_by(lambda x: F.interpolate(x, outputs, mode=mode, align_corners=align_corners), size)
    assert listed(resized(size, outputs, mode, bool(align_corners), None)) == found


@pytest.mark.parametrize(("mode", "align_corners"), MODES)
@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0, 2.5, 3.0, 0.75, 1.3])
@pytest.mark.parametrize("size", [4, 7, 10])
def test_resizing_by_a_factor(mode, align_corners, scale, size):
    found = read_by(lambda x: F.interpolate(x, scale_factor=scale, mode=mode, align_corners=align_corners), size)
    assert listed(resized(size, len(found), mode, bool(align_corners), scale)) == found


@pytest.mark.parametrize("align_corners", [False, True])
@given(st.integers(2, 14), st.integers(1, 14))
@settings(max_examples=60)
def test_cubic_resizing(align_corners, size, outputs):
    def along_the_width(x):
        rows = x.unsqueeze(2).repeat(1, 1, 3, 1)
        return F.interpolate(rows, (3, outputs), mode="bicubic", align_corners=align_corners)[:, :, 1]

    assert listed(resized(size, outputs, "cubic", align_corners, None)) == read_by(along_the_width, size)


@pytest.mark.parametrize(("mode", "support"), [("bilinear", 1.0), ("bicubic", 2.0)])
@given(st.integers(2, 14), st.integers(1, 14))
@settings(max_examples=60)
def test_antialiased_resizing(mode, support, size, outputs):
    def along_the_width(x):
        rows = x.unsqueeze(2).repeat(1, 1, 3, 1)
        return F.interpolate(rows, (3, outputs), mode=mode, antialias=True)[:, :, 1]

    assert listed(filtered(size, outputs, support, False, None)) == read_by(along_the_width, size)


@given(st.integers(6, 12), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
def test_far_from_the_border_the_table_repeats(size, kernel_size, stride, padding):
    for taps in (
        sliding_windows(size, 40, kernel_size, stride, padding, 1),
        scattered(size, 40, kernel_size, stride, padding, 1),
        adaptive_windows(size, 3 * size),
    ):
        for output, row in enumerate(taps.index):
            cycle, phase = divmod(output, taps.period)
            endless = {int(tap) + cycle * taps.advance for tap in taps.table[phase] if tap != NONE}
            assert {int(tap) for tap in row if tap < size} == {tap for tap in endless if 0 <= tap < size}


def test_what_leaves_positions_alone_is_the_identity():
    assert sliding_windows(5, 5, 1, 1, 0, 1).is_identity
    assert shifted(5, 5, 0).is_identity
    assert not shifted(5, 4, 0).is_identity
    assert not sliding_windows(5, 5, 3, 1, 1, 1).is_identity
