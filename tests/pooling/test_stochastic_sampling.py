"""Stochastic pooling in training draws with the right probabilities, each window on its own."""

import math

import numpy as np
import pytest
import torch
from pooling_cases import feature_map

from coursekit.pooling import StochasticPool2d, stochastic_pool2d_reference

WINDOW = np.array([[0.5, 0.0, 3.0], [-2.0, 1.0, 0.25], [1.25, 4.0, 0.0]])
ACTIVATIONS = np.maximum(WINDOW, 0).ravel()
PROBABILITIES = ACTIVATIONS / ACTIVATIONS.sum()


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Distance of counts from what probabilities expect; a count where nothing may be is infinitely far."""
    possible = probabilities > 0
    if counts[~possible].any():
        return math.inf
    expected = counts.sum() * probabilities[possible]
    return float(((counts[possible] - expected) ** 2 / expected).sum())


def limit(degrees: int) -> float:
    """About the largest chi-square in 10,000 draws from the right distribution (Wilson and Hilferty 1931)."""
    return degrees * (1 - 2 / (9 * degrees) + 3.72 * math.sqrt(2 / (9 * degrees))) ** 3


def counts_of(drawn: torch.Tensor | np.ndarray, values: np.ndarray) -> np.ndarray:
    flat = np.asarray(drawn).ravel()
    counts = np.array([(flat == value).sum() for value in values])
    assert counts.sum() == flat.size
    return counts


DISTINCT = np.array([0.25, 0.5, 1.0, 1.25, 3.0, 4.0])
DISTINCT_PROBABILITIES = DISTINCT / DISTINCT.sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_windows_apart_are_drawn_with_probability_proportional_to_the_activation(dtype):
    x = torch.from_numpy(np.tile(WINDOW, (60, 60)))[None, None].repeat(4, 2, 1, 1).to(dtype)
    drawn = StochasticPool2d(3)(x)
    assert drawn.shape == (4, 2, 60, 60)
    assert drawn.dtype == dtype
    counts = counts_of(drawn.float(), DISTINCT)
    assert chi_square(counts, DISTINCT_PROBABILITIES) < limit(len(DISTINCT) - 1)


@pytest.mark.parametrize(
    "arguments",
    [{"stride": 3}, {"stride": 1}, {"stride": 2, "dilation": 2}, {"stride": 2, "padding": 1}],
    ids=str,
)
def test_every_window_shape_draws_with_the_right_probabilities(arguments):
    x = feature_map(1, (7, 7), batch=1, channels=1)
    pool = StochasticPool2d(3, **arguments)
    drawn = torch.stack([pool(x.expand(500, 3, 7, 7)) for _ in range(4)]).flatten(0, 2)  # (6000, OH, OW)
    looped_mean = stochastic_pool2d_reference(x.numpy(), 3, **arguments)[0, 0]
    padded = np.pad(np.maximum(x[0, 0].numpy(), 0), arguments.get("padding", 0), constant_values=-1)
    dilation, stride = arguments.get("dilation", 1), arguments["stride"]
    for i, j in np.ndindex(*looped_mean.shape):
        rows, columns = (np.arange(3) * dilation + place * stride for place in (i, j))
        window = padded[np.ix_(rows, columns)].ravel()
        window = window[window > 0]
        if window.size == 0:
            assert drawn[:, i, j].abs().max() == 0
            continue
        counts = counts_of(drawn[:, i, j], window)
        assert chi_square(counts, window / window.sum()) < limit(max(1, window.size - 1))


def test_overlapping_windows_draw_independently():
    # Two windows of one row share the middle pixel; with common noise they would choose it together too often.
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]]).expand(20000, 1, 1, 3)
    left, right = StochasticPool2d((1, 2), stride=1)(x)[:, 0, 0].T
    counts = np.array(
        [((left == a) & (right == b)).sum().item() for a in (1.0, 2.0) for b in (2.0, 3.0)], dtype=np.float64
    )
    probabilities = np.outer([1 / 3, 2 / 3], [2 / 5, 3 / 5]).ravel()
    assert chi_square(counts, probabilities) < limit(3)


def test_neighbouring_windows_apart_draw_independently():
    x = torch.tensor([[[[1.0, 2.0, 2.0, 3.0]]]]).expand(20000, 1, 1, 4)
    left, right = StochasticPool2d((1, 2))(x)[:, 0, 0].T
    counts = np.array(
        [((left == a) & (right == b)).sum().item() for a in (1.0, 2.0) for b in (2.0, 3.0)], dtype=np.float64
    )
    assert chi_square(counts, np.outer([1 / 3, 2 / 3], [2 / 5, 3 / 5]).ravel()) < limit(3)


def test_the_loops_draw_with_the_right_probabilities():
    x = np.tile(WINDOW, (40, 40))[None, None]
    drawn = stochastic_pool2d_reference(x, 3, rng=np.random.default_rng(0))
    assert chi_square(counts_of(drawn, DISTINCT), DISTINCT_PROBABILITIES) < limit(len(DISTINCT) - 1)


def test_the_distance_refuses_draws_that_are_uniform_or_always_the_largest():
    uniform = np.where(PROBABILITIES > 0, 300, 0)
    largest = np.eye(9, dtype=int)[7] * 1800
    assert chi_square(uniform, PROBABILITIES) > limit(6)
    assert chi_square(largest, PROBABILITIES) > limit(6)
    rng = np.random.default_rng(0)
    assert chi_square(rng.multinomial(1800, PROBABILITIES), PROBABILITIES) < limit(5)
    squared = ACTIVATIONS**2 / (ACTIVATIONS**2).sum()
    assert chi_square(rng.multinomial(1800, squared), PROBABILITIES) > limit(6)


@pytest.mark.parametrize("arguments", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 1}], ids=str)
def test_the_mean_of_many_draws_is_what_evaluation_gives(arguments):
    x = feature_map(8, (6, 6), batch=1, channels=2)
    pool = StochasticPool2d(**arguments)
    drawn = pool(x.expand(20000, 2, 6, 6))
    expected = pool.eval()(x)[0]
    standard_error = drawn.std(0) / math.sqrt(len(drawn)) + 1e-12
    assert ((drawn.mean(0) - expected).abs() / standard_error).max() < 4.5


@pytest.mark.parametrize("arguments", [{"kernel_size": 2}, {"kernel_size": 2, "stride": 1}], ids=str)
def test_the_seed_decides_the_draw(arguments):
    x = feature_map(0, (12, 12)).abs()
    pool = StochasticPool2d(**arguments)
    torch.manual_seed(3)
    first, second = pool(x), pool(x)
    torch.manual_seed(3)
    again = pool(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_evaluation_draws_nothing():
    x = feature_map(0, (6, 6))
    pool = StochasticPool2d(2).eval()
    state = torch.get_rng_state()
    assert torch.equal(pool(x), pool(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_window_with_one_tiny_positive_pixel_gives_that_pixel():
    x = torch.zeros(1, 1, 400, 400)
    x[..., 1::2, 1::2] = 1e-30
    assert (StochasticPool2d(2)(x) == 1e-30).all()


def test_an_infinite_activation_is_always_drawn():
    x = torch.ones(1, 1, 40, 40)
    x[..., ::2, ::2] = math.inf
    assert StochasticPool2d(2)(x).isinf().all()


def test_a_random_number_of_exactly_zero_still_draws_a_positive_pixel(monkeypatch):
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)  # happens once in 16 million float32 draws
    x = torch.tensor([[[[0.0, -1.0], [0.0, 2.5]]]])
    assert StochasticPool2d(2)(x).item() == 2.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_evaluation_in_half_precision_is_the_rounded_exact_result(dtype):
    x = (feature_map(5, (6, 6)) * 1000).to(dtype)  # squares leave the range of float16
    y = StochasticPool2d(3, 2, 1).eval()(x)
    exact = stochastic_pool2d_reference(x.double().numpy(), 3, 2, 1)
    torch.testing.assert_close(y.double(), torch.from_numpy(exact), rtol=float(torch.finfo(dtype).eps), atol=0)
