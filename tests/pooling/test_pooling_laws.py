"""Laws that hold for every feature map."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import feature_map, pooling_settings

from coursekit import pooling

ROOM = 1e-12  # for rounding

settings_without_dilation = pooling_settings(dilated=False)
seeds = st.integers(0, 2**32 - 1)


def positive(seed: int, size: tuple[int, int]) -> torch.Tensor:
    return feature_map(seed, size).abs()


@settings(max_examples=60)
@given(settings_without_dilation, seeds)
def test_average_then_power_means_in_order_then_maximum(case, seed):
    arguments, size = case
    arguments = {**arguments, "count_include_pad": False}
    x = positive(seed, size)
    maps = [pooling.AvgPool2d(**arguments)(x)]
    maps += [pooling.LPPool2d(p, **arguments)(x) for p in (1, 1.3, 2, 3, 7, 30, 400, math.inf)]
    del arguments["count_include_pad"]
    maps.append(pooling.MaxPool2d(**arguments)(x))
    for smaller, larger in pairwise(maps):
        assert (smaller <= larger * (1 + ROOM)).all()
    torch.testing.assert_close(maps[0], maps[1])
    torch.testing.assert_close(maps[-2], maps[-1])
    torch.testing.assert_close(maps[-3], maps[-1], rtol=0.01, atol=0)


@settings(max_examples=60)
@given(settings_without_dilation, seeds)
def test_mixed_and_stochastic_pooling_lie_between_average_and_maximum(case, seed):
    arguments, size = case
    x = positive(seed, size)
    average = pooling.AvgPool2d(**arguments, count_include_pad=False)(x)
    largest = pooling.MaxPool2d(**arguments)(x)
    mixed = [pooling.MixedPool2d(**arguments, count_include_pad=False, alpha=a)(x) for a in (0.0, 0.2, 0.7, 1.0)]
    for smaller, larger in zip([average, *mixed], [*mixed, largest], strict=True):
        assert (smaller <= larger + ROOM).all()
    expected = pooling.StochasticPool2d(**arguments).eval()(x)
    assert (average <= expected + ROOM).all()
    assert (expected <= largest + ROOM).all()


@settings(max_examples=40)
@given(pooling_settings(dilated=True), seeds)
def test_what_stochastic_pooling_draws_lies_in_the_window(case, seed):
    arguments, size = case
    x = feature_map(seed, size)
    x = x + torch.arange(x.numel()).reshape(x.shape) * 1e-9  # no two pixels alike
    drawn = pooling.StochasticPool2d(**arguments)(x)
    grid = pooling.WindowGrid.of(**arguments)
    pixels = pooling.sliding_windows(x, grid, fill=math.nan).flatten(-2)
    found = (pixels == drawn[..., None]).any(-1)
    empty = ~(pixels > 0).any(-1)
    assert torch.equal(found | (empty & (drawn == 0)), torch.ones_like(found))
    assert torch.equal(empty, drawn == 0)


@settings(max_examples=40)
@given(pooling_settings(dilated=True), seeds)
def test_pooling_commutes_with_a_positive_scale(case, seed):
    arguments, size = case
    x = feature_map(seed, size)
    flat = {name: value for name, value in arguments.items() if name != "dilation"}
    for pool in (
        pooling.MaxPool2d(**arguments),
        pooling.AvgPool2d(**flat),
        pooling.LPPool2d(3, **flat),
        pooling.MixedPool2d(**flat),
        pooling.StochasticPool2d(**arguments).eval(),
    ):
        torch.testing.assert_close(pool(4 * x), 4 * pool(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel_size", range(1, 8))
@pytest.mark.parametrize("padding_mode", ["reflect", "replicate"])
def test_blur_pool_keeps_a_constant(kernel_size, padding_mode):
    x = torch.full((1, 2, 9, 8), 3.5)
    y = pooling.BlurPool2d(kernel_size, 2, padding_mode)(x)
    torch.testing.assert_close(y, torch.full((1, 2, 5, 4), 3.5))


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_blur_pool_removes_the_finest_stripes_that_bare_subsampling_turns_into_a_constant(kernel_size):
    x = torch.ones(1, 1, 8, 8)
    x[..., 1::2] = -1
    assert pooling.BlurPool2d(1)(x).unique().tolist() == [1.0]
    inside = pooling.BlurPool2d(kernel_size)(x)[..., 1:-1]
    torch.testing.assert_close(inside, torch.zeros_like(inside))


def test_channels_and_images_do_not_mix():
    x = feature_map(0, (6, 6), batch=3, channels=4)
    pools = [
        pooling.MaxPool2d(2),
        pooling.AvgPool2d(2),
        pooling.LPPool2d(2, 2),
        pooling.MixedPool2d(2),
        pooling.StochasticPool2d(2).eval(),
        pooling.BlurPool2d(),
        pooling.GlobalAvgPool2d(),
        pooling.AdaptiveMaxPool2d(3),
    ]
    for pool in pools:
        whole = pool(x)
        torch.testing.assert_close(pool(x[1:2, 2:3]), whole[1:2, 2:3])
