"""Gradients: equal to torch's siblings and to finite differences of the loops, and sound at ties and zeros."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import (
    DTYPES,
    GEOMETRIES,
    LAYOUTS,
    TOLERANCE,
    agree,
    feature_map,
    gradient,
    numeric_gradient,
    pooling_settings,
)
from torch import nn

from coursekit import pooling

seeds = st.integers(0, 2**32 - 1)


# -- against torch ---------------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(
    pooling_settings(dilated=True),
    seeds,
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["normal", "ties", "special"]),
)
def test_max_pool_gradient_goes_where_torch_and_the_loops_say(case, seed, dtype, layout, kind):
    arguments, size = case
    x = feature_map(seed, size, dtype=dtype, layout=layout, kind=kind)
    ours = gradient(pooling.MaxPool2d(**arguments), x)
    agree(ours, gradient(nn.MaxPool2d(**arguments), x), exact=True)
    _, winners = pooling.max_pool2d_with_indices_reference(x.numpy(), **arguments)
    upstream = torch.from_numpy(np.random.default_rng(7).normal(size=winners.shape)).to(dtype)
    by_hand = torch.zeros(*x.shape[:2], size[0] * size[1], dtype=dtype)
    by_hand.scatter_add_(-1, torch.from_numpy(winners).flatten(-2), upstream.flatten(-2))
    agree(ours, by_hand.reshape(x.shape))


@settings(max_examples=50)
@given(pooling_settings(dilated=False), seeds, st.sampled_from(DTYPES), st.sampled_from(LAYOUTS), st.booleans())
def test_avg_pool_gradient_is_torchs(case, seed, dtype, layout, count_include_pad):
    arguments, size = case
    arguments = {**arguments, "count_include_pad": count_include_pad}
    x = feature_map(seed, size, dtype=dtype, layout=layout)
    agree(gradient(pooling.AvgPool2d(**arguments), x), gradient(nn.AvgPool2d(**arguments), x), exact=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("p", [1.5, 2, 3, 8])
def test_lp_pool_gradient_is_that_of_the_formula(p, geometry, dtype):
    x = feature_map(2, (7, 8), dtype=dtype)
    x = x + 0.1 * x.sign()
    padding = {"padding": 0, **geometry}

    def formula(x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x.abs() ** p, **padding) ** (1 / p)

    torch.testing.assert_close(
        gradient(pooling.LPPool2d(p, **geometry), x),
        gradient(formula, x),
        rtol=50 * TOLERANCE[dtype],
        atol=50 * TOLERANCE[dtype],
    )


@pytest.mark.parametrize("output_size", [1, 3, (2, 5), (9, 11), (None, 2)])
def test_adaptive_gradients_are_torchs(output_size):
    x = feature_map(0, (7, 6), kind="ties")
    agree(gradient(pooling.AdaptiveAvgPool2d(output_size), x), gradient(nn.AdaptiveAvgPool2d(output_size), x))
    agree(gradient(pooling.AdaptiveMaxPool2d(output_size), x), gradient(nn.AdaptiveMaxPool2d(output_size), x))


def test_unpooling_gradient_is_torchs():
    x = feature_map(0, (6, 8))
    pooled, indices = pooling.MaxPool2d(2, return_indices=True)(x)
    agree(
        gradient(lambda y: pooling.MaxUnpool2d(2)(y, indices), pooled),
        gradient(lambda y: nn.MaxUnpool2d(2)(y, indices), pooled),
        exact=True,
    )


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("padding_mode", ["reflect", "replicate", "zeros"])
def test_blur_pool_gradient_is_that_of_the_formula(size, padding_mode):
    x = feature_map(0, (7, 6), channels=3)
    taps = torch.tensor([math.comb(size - 1, k) for k in range(size)], dtype=x.dtype) / 2 ** (size - 1)
    before, after = (size - 1) // 2, size // 2
    mode = "constant" if padding_mode == "zeros" else padding_mode

    def formula(x: torch.Tensor) -> torch.Tensor:
        windows = F.pad(x, (before, after, before, after), mode=mode).unfold(2, size, 2).unfold(3, size, 2)
        return torch.einsum("ncijab,a,b->ncij", windows, taps, taps)

    agree(gradient(pooling.BlurPool2d(size, 2, padding_mode), x), gradient(formula, x))


# -- against finite differences of the loops -------------------------------------------------------------------------

OPERATIONS = {
    "max": (pooling.MaxPool2d, pooling.max_pool2d_reference, {}),
    "max, dilated": (pooling.MaxPool2d, pooling.max_pool2d_reference, {"dilation": 2}),
    "average": (pooling.AvgPool2d, pooling.avg_pool2d_reference, {}),
    "average without padding": (pooling.AvgPool2d, pooling.avg_pool2d_reference, {"count_include_pad": False}),
    "average, own divisor": (pooling.AvgPool2d, pooling.avg_pool2d_reference, {"divisor_override": 5}),
    "p = 1": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": 1}),
    "p = 1.5": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": 1.5, "count_include_pad": False}),
    "p = 2": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": 2}),
    "p = 3": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": 3}),
    "p = 1000": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": 1000}),
    "p = inf": (pooling.LPPool2d, pooling.lp_pool2d_reference, {"norm_type": math.inf}),
    "mixed": (pooling.MixedPool2d, pooling.mixed_pool2d_reference, {"alpha": 0.3}),
    "stochastic": (pooling.StochasticPool2d, pooling.stochastic_pool2d_reference, {}),
    "stochastic, dilated": (pooling.StochasticPool2d, pooling.stochastic_pool2d_reference, {"dilation": 2}),
}


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradient_is_the_slope_of_the_loops(operation, geometry):
    module, reference, arguments = OPERATIONS[operation]
    arguments = {**geometry, **arguments}
    x = feature_map(11, (5, 6), batch=1, channels=1)
    x = x + 0.05 * x.sign()  # away from the kink of |x| and max(x, 0)
    exact = gradient(module(**arguments).eval(), x)
    slopes = numeric_gradient(lambda values: reference(values, **arguments), x.numpy())
    torch.testing.assert_close(exact, torch.from_numpy(slopes), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding_mode", ["reflect", "replicate", "zeros"])
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_blur_pool_gradient_is_the_slope_of_the_loops(kernel_size, padding_mode):
    x = feature_map(1, (5, 6), batch=1, channels=2)
    exact = gradient(pooling.BlurPool2d(kernel_size, 2, padding_mode), x)
    slopes = numeric_gradient(
        lambda values: pooling.blur_pool2d_reference(values, kernel_size, 2, padding_mode), x.numpy()
    )
    torch.testing.assert_close(exact, torch.from_numpy(slopes), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("output_size", [1, (2, 4), (7, 8)])
def test_adaptive_gradient_is_the_slope_of_the_loops(output_size):
    x = feature_map(1, (5, 6), batch=1, channels=1)
    average = gradient(pooling.AdaptiveAvgPool2d(output_size), x)
    slopes = numeric_gradient(lambda values: pooling.adaptive_avg_pool2d_reference(values, output_size), x.numpy())
    torch.testing.assert_close(average, torch.from_numpy(slopes), rtol=1e-6, atol=1e-7)
    largest = gradient(pooling.AdaptiveMaxPool2d(output_size), x)
    slopes = numeric_gradient(lambda values: pooling.adaptive_max_pool2d_reference(values, output_size)[0], x.numpy())
    torch.testing.assert_close(largest, torch.from_numpy(slopes), rtol=1e-6, atol=1e-7)


# -- ties, zeros, extremes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "module",
    [
        pooling.MaxPool2d(2),
        pooling.GlobalMaxPool2d(),
        pooling.AdaptiveMaxPool2d(1),
        pooling.MixedPool2d(2, alpha=1.0),
        pooling.LPPool2d(math.inf, 2),
    ],
    ids=repr,
)
def test_among_equal_pixels_the_gradient_goes_to_the_first_in_reading_order(module, layout):
    x = torch.tensor([[[[1.0, 2.0], [2.0, 2.0]]]])
    x = feature_map(0, (2, 2), layout=layout, batch=1, channels=1, dtype=torch.float32).copy_(x)
    x.requires_grad_()
    module(x).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 8, 100, math.inf])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lp_pool_gradient_of_a_window_of_zeros_is_zero(p, geometry, dtype):
    x = feature_map(0, (7, 8), dtype=dtype)
    x[0] = 0
    slopes = gradient(pooling.LPPool2d(p, **geometry), x)
    assert slopes.isfinite().all()
    assert slopes[0].abs().max() == 0
    assert slopes[1].abs().max() > 0


@pytest.mark.parametrize("p", [2, 3, 8, 40])
@pytest.mark.parametrize("power_of_ten", [-30, -8, 8, 30])
def test_lp_pool_gradient_does_not_depend_on_the_scale_of_the_input(p, power_of_ten):
    x = feature_map(6, (6, 6), dtype=torch.float32)
    mixed_scales = x * 10.0**power_of_ten
    mixed_scales[0, 0] = x[0, 0]  # ordinary windows beside extreme ones
    slopes = gradient(pooling.LPPool2d(p, 3, 2, 1), mixed_scales)
    double = gradient(pooling.LPPool2d(p, 3, 2, 1), x.double())
    torch.testing.assert_close(slopes.double(), double, rtol=2e-4, atol=1e-6)


def test_lp_pool_gradient_beside_an_overflowing_window_is_finite():
    x = torch.tensor([[[[1.0, 2.0, 1e8, 3e8]]]]).requires_grad_()
    y = pooling.LPPool2d(8, (1, 2), stride=1)(x)
    y.sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[0, 0, 0, 1].item() == pytest.approx(
        (2.0**7 / 2) * ((1 + 2.0**8) / 2) ** (-7 / 8), rel=1e-5
    )  # its other window is ruled by 1e8


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}], ids=str)
def test_stochastic_pool_gradient_of_a_window_without_positive_pixels_is_zero(arguments, training):
    x = -feature_map(0, (6, 6)).abs()
    x[1] = 0
    pool = pooling.StochasticPool2d(**arguments).train(training)
    assert pool(x).abs().max() == 0
    assert gradient(pool, x).abs().max() == 0


@pytest.mark.parametrize("arguments", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}], ids=str)
def test_stochastic_pool_gradient_in_training_goes_to_the_pixels_drawn(arguments):
    x = feature_map(0, (8, 8)).abs() + 0.1
    x.requires_grad_()
    y = pooling.StochasticPool2d(**arguments)(x)
    y.sum().backward()
    assert torch.equal(x.grad, x.grad.round())
    assert x.grad.sum() == y.numel()
    agree((x.grad * x).sum().detach(), y.sum().detach())  # d/ds of pool(s x): the drawn pixels, each as often as drawn


def test_a_learnable_mixture_learns_the_share_that_fits():
    x = feature_map(0, (8, 8), dtype=torch.float32)
    target = pooling.MixedPool2d(2, alpha=0.8)(x)
    pool = pooling.MixedPool2d(2, alpha=0.2, learnable=True)
    for _ in range(100):
        (slope,) = torch.autograd.grad(F.mse_loss(pool(x), target), pool.logit)
        with torch.no_grad():
            pool.logit -= 5 * slope
    assert pool.alpha == pytest.approx(0.8, abs=0.01)


# -- second derivatives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}], ids=str)
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "p = 1000"])
def test_first_and_second_derivatives_pass_torchs_check(operation, geometry):
    # p = 1000 is left out: its second derivatives are too steep for finite differences.
    module, _, arguments = OPERATIONS[operation]
    pool = module(**{**geometry, **arguments}).eval()
    x = feature_map(11, (4, 5), batch=1, channels=1)
    x = (x + 0.1 * x.sign()).requires_grad_()
    assert torch.autograd.gradcheck(pool, x)
    assert torch.autograd.gradgradcheck(pool, x)


def test_second_derivatives_of_blur_and_global_pooling_pass_torchs_check():
    x = feature_map(0, (4, 5), batch=1, channels=2).requires_grad_()
    for pool in (pooling.BlurPool2d(), pooling.GlobalAvgPool2d(), pooling.GlobalMaxPool2d()):
        assert torch.autograd.gradcheck(pool, x)
        assert torch.autograd.gradgradcheck(pool, x)
