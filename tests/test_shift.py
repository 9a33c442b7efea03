"""Shifted crops, fixed filters, and the two measures of change."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.shift import (
    fixed_filter_network,
    oriented_edges,
    photographs,
    relative_change,
    shifted_crops,
    winner_agreement,
)


def test_photographs_are_grey_and_large_enough_to_crop():
    pictures = photographs()
    assert len(pictures) == 11
    for picture in pictures:
        assert picture.ndim == 2
        assert picture.dtype == torch.float32
        assert picture.shape[0] >= 300
        assert picture.shape[1] >= 384
        assert 0 <= picture.min() < picture.max() <= 1


@pytest.fixture
def scenes():
    columns = torch.arange(60.0).expand(50, 60) + 100 * torch.arange(50.0)[:, None]
    return shifted_crops([columns, columns + 0.5], size=20, shifts=[0, 1, 7], crops_per_image=3, seed=1)


def test_crops_have_one_axis_for_shifts_and_one_for_scenes(scenes):
    assert scenes.shape == (3, 6, 1, 20, 20)


def test_content_moves_right_by_the_shift_and_nothing_is_invented(scenes):
    torch.testing.assert_close(scenes[1][..., 1:], scenes[0][..., :-1])
    torch.testing.assert_close(scenes[2][..., 7:], scenes[0][..., :-7])
    steps = scenes.diff(dim=-1)  # every column of the photograph is one more than the one before
    torch.testing.assert_close(steps, torch.ones_like(steps))


def test_scenes_lie_at_different_places_which_the_seed_decides(scenes):
    assert scenes[0, :3, 0, 0, 0].unique().numel() == 3
    picture = torch.rand(50, 60)
    first, again, other = (shifted_crops([picture], 20, [0], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_photograph_of_exactly_the_needed_size_is_enough():
    picture = torch.rand(20, 27)
    crops = shifted_crops([picture], 20, [0, 7], crops_per_image=1)
    assert torch.equal(crops[0, 0, 0], picture[:, 7:])
    assert torch.equal(crops[1, 0, 0], picture[:, :20])


@pytest.mark.parametrize(
    ("shape", "shifts", "message"),
    [
        ((20, 26), [7], "20 x 27, got 20 x 26"),
        ((19, 40), [7], "got 19 x 40"),
        ((40, 40), [-1], "-1"),
        ((40, 40), [], "shifts"),
    ],
)
def test_impossible_crops_are_refused(shape, shifts, message):
    with pytest.raises(ValueError, match=message):
        shifted_crops([torch.rand(shape)], 20, shifts)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_edge_filters_ignore_constant_brightness_and_come_in_both_signs(kernel_size):
    filters = oriented_edges(kernel_size, orientations=4)
    assert filters.shape == (8, 1, kernel_size, kernel_size)
    torch.testing.assert_close(filters.sum((1, 2, 3)), torch.zeros(8), atol=1e-6, rtol=0)
    torch.testing.assert_close(filters.abs().sum((1, 2, 3)), torch.ones(8))
    torch.testing.assert_close(filters[::2], -filters[1::2])


@pytest.mark.parametrize(("angle", "winner"), [(0.0, 0), (0.25, 2), (0.5, 4), (0.75, 6), (1.0, 1)])
def test_the_filter_of_an_orientation_answers_most_to_its_own_ramp(angle, winner):
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    ramp = x * math.cos(math.pi * angle) + y * math.sin(math.pi * angle)
    answers = F.conv2d(ramp[None, None], oriented_edges(5)).flatten()
    assert answers.argmax() == winner


def test_impossible_filters_are_refused():
    with pytest.raises(ValueError, match="got 4"):
        oriented_edges(4)
    with pytest.raises(ValueError, match="got 1"):
        oriented_edges(1)
    with pytest.raises(ValueError, match="got 0"):
        oriented_edges(3, 0)


def test_networks_that_differ_in_downsampling_alone_have_the_same_filters():
    one, other = fixed_filter_network(lambda: nn.MaxPool2d(2)), fixed_filter_network(lambda: nn.AvgPool2d(2))
    convolutions = [[layer for layer in network if isinstance(layer, nn.Conv2d)] for network in (one, other)]
    assert len(convolutions[0]) == 3
    for left, right in zip(*convolutions, strict=True):
        assert torch.equal(left.weight, right.weight)
        assert not left.weight.requires_grad
    assert torch.equal(one[0].weight, oriented_edges())
    assert not torch.equal(one[3].weight, fixed_filter_network(lambda: nn.MaxPool2d(2), seed=1)[3].weight)


def test_each_stage_is_convolution_relu_and_downsampling():
    network = fixed_filter_network(lambda: nn.AvgPool2d(2), stages=2, channels=5)
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.ReLU, nn.AvgPool2d] * 2
    assert network(torch.rand(2, 1, 30, 30)).shape == (2, 5, 6, 6)
    with pytest.raises(ValueError, match="got 0"):
        fixed_filter_network(nn.Identity, 0)


def test_relative_change_is_the_length_of_the_difference_over_the_length_before():
    before = torch.tensor([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0]])
    after = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(relative_change(before, after), torch.tensor([0.0, math.sqrt(2), 1.0]))


def test_relative_change_takes_maps_of_any_shape_and_is_not_symmetric():
    before, after = torch.ones(1, 2, 3, 3), torch.full((1, 2, 3, 3), 3.0)
    assert relative_change(before, after).item() == pytest.approx(2)
    assert relative_change(after, before).item() == pytest.approx(2 / 3)


def test_winner_agreement_counts_places_with_the_same_strongest_channel():
    before = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # (1, 2, 1, 2): channel 0 wins left, 1 wins right
    after = torch.tensor([[[[5.0, 2.0]], [[0.0, 1.0]]]])  # channel 0 wins both
    assert winner_agreement(before, after) == 0.5
    assert winner_agreement(before, 3 * before) == 1.0


def test_winner_agreement_takes_scores_of_classes():
    scores = torch.eye(4)
    assert winner_agreement(scores, scores[[0, 1, 3, 2]]) == 0.5


@pytest.mark.parametrize("measure", [relative_change, winner_agreement])
def test_measures_refuse_shapes_that_differ(measure):
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(2, 2\)"):
        measure(torch.ones(1, 2), torch.ones(2, 2))
