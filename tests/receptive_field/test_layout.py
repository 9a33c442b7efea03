"""Reshaping moves the positions of an axis to where the elements really go."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coursekit.receptive_field.layout import Block, Place, blocks_of, moved, reshaped

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)


@st.composite
def reshapes(draw):
    """Two shapes with the same number of elements."""
    before = tuple(draw(SHAPES))
    left, after = int(np.prod(before)), []
    while left > 1 and len(after) < 4:
        after.append(draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0])))
        left //= after[-1]
    return before, (*after, left) if left > 1 or not after else tuple(after)


@given(reshapes())
def test_blocks_cover_both_shapes_and_hold_the_same_elements(shapes):
    before, after = shapes
    blocks = blocks_of(before, after)
    assert [dim for block in blocks for dim in block.before] == list(range(len(before)))
    assert [dim for block in blocks for dim in block.after] == list(range(len(after)))
    for block in blocks:
        assert np.prod([before[dim] for dim in block.before]) == np.prod([after[dim] for dim in block.after])


def test_blocks_by_example():
    assert blocks_of((2, 6, 5), (2, 3, 2, 5)) == [Block((0,), (0,)), Block((1,), (1, 2)), Block((2,), (3,))]
    assert blocks_of((4, 3, 3), (4, 9)) == [Block((0,), (0,)), Block((1, 2), (1,))]


@given(reshapes(), st.data())
def test_arrays_that_broadcast_are_reshaped_like_full_ones(shapes, data):
    before, after = shapes
    kept = data.draw(st.lists(st.booleans(), min_size=len(before), max_size=len(before)))
    short = tuple(n if keep else 1 for n, keep in zip(before, kept, strict=True))
    array = np.arange(int(np.prod(short))).reshape(1, *short)
    found = reshaped(array, before, after, blocks_of(before, after))
    full = np.broadcast_to(array, (1, *before)).reshape(1, *after)
    np.testing.assert_array_equal(np.broadcast_to(found, (1, *after)), full)


@given(reshapes(), st.data())
def test_a_place_says_where_each_element_comes_from(shapes, data):
    before, after = shapes
    dim = data.draw(st.integers(0, len(before) - 1))
    assume(before[dim] > 1)
    place = Place(dim, 1, before[dim])
    blocks = blocks_of(before, after)
    new, _plane = moved(None, place, before, after, blocks, frozenset())
    if new is None:
        return
    indices = np.indices(before)[dim].reshape(after)  # the position of every element
    claimed = np.indices(after)[new.dim] // new.inner % new.extent
    if new.extent == place.extent:
        np.testing.assert_array_equal(indices, claimed)
    else:  # finer or coarser positions: each stands for one place or for neighbouring ones
        ratio = new.extent / place.extent
        low = np.floor(claimed / ratio) if ratio > 1 else claimed / ratio
        assert (indices >= low).all()
        assert (indices < low + max(1, 1 / ratio)).all()


@pytest.mark.parametrize(
    ("before", "after", "dim", "place"),
    [
        ((1, 4, 6, 5), (1, 4, 30), 2, Place(2, 5, 6)),  # flattened: the row is index // 5
        ((1, 4, 6, 5), (1, 4, 30), 3, Place(2, 1, 5)),  # the column is index % 5
        ((1, 4, 6, 5), (4, 6, 5), 2, Place(1, 1, 6)),
        ((1, 4, 6, 5), (2, 2, 6, 5), 2, Place(2, 1, 6)),
        ((1, 4, 6), (1, 4, 3, 2), 2, Place(2, 1, 3)),  # pairs of positions: one coarse position each
        ((1, 4, 6, 6), (1, 4, 4, 9), 3, None),  # rows of 9 cut the columns at other places each time
    ],
)
def test_places_by_example(before, after, dim, place):
    taken = frozenset(range(2, len(before))) - {dim}  # where the positions of the other axis lie
    new, plane = moved(None, Place(dim, 1, before[dim]), before, after, blocks_of(before, after), taken)
    assert (new, plane) == (place, None)
