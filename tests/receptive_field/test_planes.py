"""The closed form on an axis without end follows the exact intervals, wherever no border is near."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from coursekit.receptive_field.intervals import FAR
from coursekit.receptive_field.planes import Plane
from coursekit.receptive_field.taps import NONE, picked, resized, scattered, shifted, sliding_windows

SIZE = 60


@st.composite
def moves(draw):
    """An operation along one axis: how many outputs it gives, and its taps."""
    kind = draw(st.sampled_from(["window", "scatter", "slice", "resize"]))
    kernel_size, stride, padding = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    if kind == "window":
        return lambda n: sliding_windows(
            n, (n + 2 * padding - kernel_size) // stride + 1, kernel_size, stride, padding, 1
        )
    if kind == "scatter":
        length = kernel_size + stride
        return lambda n: scattered(n, (n - 1) * stride - 2 * padding + length, length, stride, padding, 1)
    if kind == "slice":
        return lambda n: shifted(n, (n - padding - 1) // stride + 1, padding, stride)
    mode = draw(st.sampled_from(["nearest", "nearest-exact", "linear"]))
    return lambda n: resized(n, n * stride, mode, False, float(stride))


def along(table: np.ndarray, taps) -> np.ndarray:
    """Union of (first, -last) over the taps, on an axis of its own."""
    padded = np.concatenate([table, np.full((2, 1), FAR)], axis=1)
    return padded[:, taps.index].min(axis=2)


def endless(taps) -> list[set[int]]:
    """What the table says about each output, on an axis without borders."""
    rows = []
    for output in range(len(taps.index)):
        cycle, phase = divmod(output, taps.period)
        rows.append({int(tap) + cycle * taps.advance for tap in taps.table[phase] if tap != NONE})
    return rows


@given(st.lists(moves(), min_size=1, max_size=4))
def test_it_equals_the_exact_intervals_far_from_the_borders(steps):
    plane, exact = Plane.pixels(1, 0), np.stack([np.arange(SIZE), -np.arange(SIZE)])
    safe = np.ones(SIZE, dtype=bool)  # positions that no border has touched
    for step in steps:
        n = exact.shape[1]
        assume(8 <= n <= 300)
        taps = step(n)
        plane = plane.through(taps)
        exact = along(exact, taps)
        inside = [{int(tap) for tap in row if tap < n} for row in taps.index]
        safe = np.array(
            [row == wanted and all(safe[list(row)]) for row, wanted in zip(inside, endless(taps), strict=True)]
        )
    assume(plane is not None and safe.any())
    np.testing.assert_array_equal(plane.at(np.arange(exact.shape[1]))[:, safe], exact[:, safe])


def test_convolutions_in_a_row_follow_the_recurrence():
    # r += (k - 1) j, j *= s, start -= p j (Araujo et al. 2019)
    plane, size, jump, start = Plane.pixels(1, 0), 1, 1, 0
    for kernel_size, stride, padding in ((7, 2, 3), (3, 2, 1), (3, 1, 1), (5, 3, 0), (2, 2, 1)):
        plane = plane.through(sliding_windows(1000, 300, kernel_size, stride, padding, 1))
        size, start = size + (kernel_size - 1) * jump, start - padding * jump
        jump *= stride
        first, last = plane.at(np.arange(1))[:, 0]
        assert (first, -last - first + 1, plane.rate, plane.period) == (start, size, (jump, 1), 1)


def test_upsampling_has_a_period_and_pooling_takes_it_back():
    doubled = Plane.pixels(1, 0).through(resized(20, 40, "nearest", False, 2.0))
    assert (doubled.period, doubled.advance, doubled.rate) == (2, 1, (1, 2))
    assert doubled.at(np.arange(-2, 4))[0].tolist() == [-1, -1, 0, 0, 1, 1]
    again = doubled.through(sliding_windows(40, 20, 2, 2, 0, 1))
    assert (again.period, again.advance, again.at(np.arange(3))[0].tolist()) == (1, 1, [0, 1, 2])


def test_mirroring_turns_the_direction():
    mirrored = Plane.pixels(1, 0).through(picked(10, np.arange(10)[::-1]))
    assert mirrored.rate == (-1, 1)
    assert mirrored.at(np.arange(3))[0].tolist() == [9, 8, 7]


def test_what_does_not_repeat_has_no_closed_form():
    assert Plane.pixels(1, 0).through(picked(10, np.array([0, 1, 5]))) is None


def test_branches_are_as_far_apart_as_their_centres():
    pixels = Plane.pixels(1, 0)
    narrow = pixels.through(sliding_windows(20, 18, 3, 1, 0, 1))
    centred = pixels.through(sliding_windows(20, 20, 3, 1, 1, 1))
    assert pixels.distance(centred, 1) == 0
    assert pixels.distance(narrow, 1) == 1
    assert pixels.distance(pixels.through(sliding_windows(20, 19, 2, 1, 0, 1)), 1) == 0.5
