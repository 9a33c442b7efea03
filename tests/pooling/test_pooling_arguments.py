"""What is refused and in which words, what a module prints, and the inputs, devices and types it takes."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
from pooling_cases import agree, feature_map
from torch import nn

from coursekit import pooling

ALL = {
    "max": pooling.MaxPool2d(3, 2, 1),
    "average": pooling.AvgPool2d(3, 2, 1),
    "global average": pooling.GlobalAvgPool2d(),
    "global max": pooling.GlobalMaxPool2d(),
    "adaptive average": pooling.AdaptiveAvgPool2d((3, 2)),
    "adaptive max": pooling.AdaptiveMaxPool2d(3),
    "L_p": pooling.LPPool2d(3, 3, 2, 1),
    "mixed": pooling.MixedPool2d(3, 2, 1),
    "mixed, learnable": pooling.MixedPool2d(3, 2, 1, learnable=True),
    "stochastic, training": pooling.StochasticPool2d(3, 2, 1),
    "stochastic, evaluation": pooling.StochasticPool2d(3, 2, 1).eval(),
    "stochastic, apart": pooling.StochasticPool2d(2),
    "blur": pooling.BlurPool2d(),
}
REPEATABLE = [name for name in ALL if name not in ("stochastic, training", "stochastic, apart")]
WINDOWED = [pooling.MaxPool2d, pooling.AvgPool2d, pooling.MixedPool2d, pooling.StochasticPool2d]


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [*WINDOWED, pooling.MaxUnpool2d])
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"kernel_size": (2, -1)}, ValueError, "each entry of kernel_size must be at least 1, got -1"),
        ({"kernel_size": 2.0}, TypeError, "kernel_size must be an int, got 2.0"),
        ({"kernel_size": True}, TypeError, "kernel_size must be an int, got True"),
        ({"kernel_size": "3"}, TypeError, "kernel_size must be an int, got '3'"),
        ({"kernel_size": None}, TypeError, "kernel_size must be an int, got None"),
        ({"kernel_size": (2, 2, 2)}, ValueError, "kernel_size must be an int or a (height, width) pair"),
        ({"kernel_size": 2, "stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"kernel_size": 2, "padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"kernel_size": 2, "padding": 2}, ValueError, "padding must be at most kernel_size // 2 = 1, got 2"),
        ({"kernel_size": (4, 1), "padding": 1}, ValueError, "padding must be at most kernel_size // 2 = 0, got 1"),
    ],
)
def test_settings_that_fit_no_input_are_refused_when_the_layer_is_built(module, arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        module(**arguments)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: pooling.MaxPool2d(2, dilation=0), ValueError, "dilation must be at least 1, got 0"),
        (lambda: pooling.MaxPool2d(2, ceil_mode=1), TypeError, "ceil_mode must be True or False, got 1"),
        (lambda: pooling.MaxPool2d(2, return_indices=2), TypeError, "return_indices must be True or False, got 2"),
        (lambda: pooling.AvgPool2d(2, count_include_pad=3), TypeError, "count_include_pad must be True or False"),
        (lambda: pooling.AvgPool2d(2, divisor_override=0), ValueError, "divisor_override must be at least 1, got 0"),
        (lambda: pooling.AvgPool2d(2, divisor_override=2.5), TypeError, "divisor_override must be an int, got 2.5"),
        (lambda: pooling.AdaptiveAvgPool2d(0), ValueError, "output_size must be at least 1, got 0"),
        (lambda: pooling.AdaptiveMaxPool2d((2, 0)), ValueError, "output_size must be at least 1, got 0"),
        (lambda: pooling.AdaptiveAvgPool2d((1, 2, 3)), ValueError, "output_size must be an int or a (height, width)"),
        (lambda: pooling.LPPool2d(0.5, 2), ValueError, "norm_type must lie between 1 and inf, got 0.5"),
        (lambda: pooling.LPPool2d(-math.inf, 2), ValueError, "norm_type must lie between 1 and inf, got -inf"),
        (lambda: pooling.LPPool2d(math.nan, 2), ValueError, "norm_type must lie between 1 and inf, got nan"),
        (lambda: pooling.LPPool2d("2", 2), TypeError, "norm_type must be a number, got '2'"),
        (lambda: pooling.LPPool2d(2, 2, padding=2), ValueError, "padding must be at most kernel_size // 2 = 1, got 2"),
        (lambda: pooling.MixedPool2d(2, alpha=1.5), ValueError, "alpha must lie between 0 and 1, got 1.5"),
        (lambda: pooling.MixedPool2d(2, alpha=-0.1), ValueError, "alpha must lie between 0 and 1, got -0.1"),
        (lambda: pooling.MixedPool2d(2, alpha=math.nan), ValueError, "alpha must lie between 0 and 1, got nan"),
        (lambda: pooling.MixedPool2d(2, alpha=True), TypeError, "alpha must be a number, got True"),
        (lambda: pooling.MixedPool2d(2, learnable=1), TypeError, "learnable must be True or False, got 1"),
        (lambda: pooling.MixedPool2d(2, alpha=1, learnable=True), ValueError, "must lie strictly between 0 and 1"),
        (lambda: pooling.BlurPool2d(0), ValueError, "kernel_size must be at least 1, got 0"),
        (lambda: pooling.BlurPool2d((3, 3)), TypeError, "kernel_size must be an int, got (3, 3)"),
        (lambda: pooling.BlurPool2d(3, 0), ValueError, "stride must be at least 1, got 0"),
        (lambda: pooling.BlurPool2d(3, padding_mode="circular"), ValueError, "one of reflect, replicate, zeros"),
    ],
)
def test_other_settings_are_refused_in_words_that_name_them(build, error, words):
    with pytest.raises(error, match=re.escape(words)):
        build()


SQUARE = np.zeros((1, 1, 4, 4))


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: pooling.max_pool2d_reference(SQUARE, 0), "kernel_size must be at least 1, got 0"),
        (lambda: pooling.max_pool2d_reference(SQUARE, 2, padding=2), "padding must be at most kernel_size // 2 = 1"),
        (lambda: pooling.max_pool2d_reference(SQUARE, 5), "more than the padded input of 4"),
        (lambda: pooling.max_pool2d_reference(SQUARE[0], 2), "expected an array (N, C, H, W)"),
        (lambda: pooling.avg_pool2d_reference(SQUARE, 2, divisor_override=0), "divisor_override must be at least 1"),
        (lambda: pooling.adaptive_avg_pool2d_reference(SQUARE, 0), "output_size must be at least 1, got 0"),
        (lambda: pooling.adaptive_max_pool2d_reference(SQUARE[0], 1), "expected an array (N, C, H, W)"),
        (lambda: pooling.lp_pool2d_reference(SQUARE, 0.5, 2), "norm_type must lie between 1 and inf, got 0.5"),
        (lambda: pooling.lp_pool2d_reference(SQUARE, math.nan, 2), "norm_type must lie between 1 and inf, got nan"),
        (lambda: pooling.mixed_pool2d_reference(SQUARE, 2, alpha=math.nan), "alpha must lie between 0 and 1, got nan"),
        (lambda: pooling.blur_pool2d_reference(SQUARE, padding_mode="circular"), "one of reflect, replicate, zeros"),
        (lambda: pooling.blur_pool2d_reference(SQUARE, 9), "needs an input of at least 5 x 5, got 4 x 4"),
        (lambda: pooling.blur_pool2d_reference(SQUARE, 0), "kernel_size must be at least 1, got 0"),
        (lambda: pooling.max_unpool2d_reference(SQUARE, np.full(SQUARE.shape, 64), 2), "indices must lie in 0..63"),
        (lambda: pooling.max_unpool2d_reference(SQUARE, np.full(SQUARE.shape, -1), 2), "indices must lie in 0..63"),
        (
            lambda: pooling.max_unpool2d_reference(SQUARE, np.zeros(SQUARE.shape, int), 2, output_size=(10, 8)),
            "H in 7..9 and W in 7..9, got (10, 8)",
        ),
    ],
)
def test_the_loops_refuse_the_same_settings_in_the_same_words(refused, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        refused()


def test_numpy_numbers_lists_and_pairs_of_one_are_settings_too():
    assert repr(pooling.MaxPool2d(np.int64(3), stride=[2, 1])) == "MaxPool2d(kernel_size=3, stride=(2, 1))"
    assert repr(pooling.MaxPool2d((3,))) == "MaxPool2d(kernel_size=3, stride=3)"
    assert pooling.MixedPool2d(2, alpha=np.float32(0.25)).alpha == 0.25
    assert pooling.LPPool2d(np.int32(2), 2).norm_type == 2.0


# -- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_inputs_without_meaning_are_refused_in_our_words(name):
    pool = ALL[name]
    label = type(pool).__name__
    for shape in [(5,), (5, 5), (1, 1, 1, 5, 5)]:
        with pytest.raises(ValueError, match=rf"{label} takes \(N, C, H, W\) or \(C, H, W\), got {len(shape)} axes"):
            pool(torch.zeros(shape))
    for shape in [(1, 0, 5, 5), (1, 1, 0, 5), (1, 1, 5, 0), (0, 5, 5)]:
        with pytest.raises(ValueError, match=f"{label} needs at least one channel and one pixel"):
            pool(torch.zeros(shape))
    for dtype in (torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=f"{label} takes floating-point numbers, got {dtype}"):
            pool(torch.zeros(1, 1, 5, 5, dtype=dtype))
    with pytest.raises(TypeError, match=f"{label} takes a torch.Tensor, got ndarray"):
        pool(np.zeros((1, 1, 5, 5)))
    if name != "max":
        with pytest.raises(TypeError, match=f"{label} takes floating-point numbers, got torch.int32"):
            pool(torch.zeros(1, 1, 5, 5, dtype=torch.int32))


@pytest.mark.parametrize("module", WINDOWED)
def test_an_input_smaller_than_the_window_is_refused(module):
    with pytest.raises(ValueError, match="5") as caught:
        module(5)(torch.zeros(1, 1, 4, 9))
    assert "4" in str(caught.value)


@pytest.mark.parametrize("module", [pooling.MaxPool2d, pooling.StochasticPool2d])
def test_a_window_that_dilation_puts_wholly_into_the_padding_is_refused(module):
    # torch answers with -inf and the index 12 of a plane of 9 pixels
    x = torch.ones(1, 1, 3, 3)
    with pytest.raises(ValueError, match="sees only padding: with dilation 4 it steps over all 3 pixels"):
        module(2, 1, 1, dilation=4)(x)
    with pytest.raises(ValueError, match="sees only padding"):
        pooling.max_pool2d_reference(x.numpy(), 2, 1, 1, 4)
    assert module(2, 1, 1, dilation=4)(torch.ones(1, 1, 4, 4)).shape == (1, 1, 2, 2)


def test_blur_pool_refuses_to_mirror_more_than_there_is():
    with pytest.raises(ValueError, match="needs an input of at least 3 x 3, got 2 x 8; use 'replicate'"):
        pooling.BlurPool2d(5)(torch.zeros(1, 1, 2, 8))
    assert pooling.BlurPool2d(5, padding_mode="replicate")(torch.zeros(1, 1, 2, 8)).shape == (1, 1, 1, 4)


@pytest.mark.parametrize(
    ("indices", "output_size", "error", "words"),
    [
        (torch.zeros(1, 1, 2, 2, dtype=torch.int32), None, TypeError, "indices must be int64, got torch.int32"),
        (
            torch.zeros(1, 1, 2, 1, dtype=torch.int64),
            None,
            ValueError,
            "indices must have the shape of x, (1, 1, 2, 2)",
        ),
        (torch.full((1, 1, 2, 2), 16), None, ValueError, "indices must lie in 0..15 for an output of 4 x 4 pixels"),
        (torch.full((1, 1, 2, 2), -1), None, ValueError, "indices must lie in 0..15"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.int64), (6, 4), ValueError, "H in 3..5 and W in 3..5, got (6, 4)"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.int64), (4,), ValueError, "H in 3..5 and W in 3..5, got (4,)"),
    ],
)
def test_unpooling_refuses_what_did_not_come_from_pooling(indices, output_size, error, words):
    with pytest.raises(error, match=re.escape(words)):
        pooling.MaxUnpool2d(2)(torch.ones(1, 1, 2, 2), indices, output_size)


@pytest.mark.parametrize("name", ALL)
def test_a_single_map_is_pooled_like_a_batch_of_one(name):
    x = feature_map(0, (7, 6), batch=1)
    torch.manual_seed(0)
    batched = ALL[name](x)
    torch.manual_seed(0)
    agree(ALL[name](x[0]), batched[0], exact=True)


@pytest.mark.parametrize("name", ALL)
def test_an_empty_batch_stays_empty(name):
    pooled = ALL[name](torch.zeros(2, 3, 7, 6))
    assert ALL[name](torch.zeros(0, 3, 7, 6)).shape == (0, *pooled.shape[1:])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_output_has_the_type_of_the_input(name, dtype):
    x = feature_map(0, (7, 6), dtype=dtype)
    y = ALL[name](x)
    assert y.dtype == dtype
    if name in REPEATABLE:
        exact = ALL[name](x.double())
        torch.testing.assert_close(y.double(), exact, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", REPEATABLE)
def test_autocast_to_bfloat16_changes_no_more_than_rounding(name):
    x = feature_map(0, (7, 6), dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ALL[name](x)
    y.float().sum().backward()
    assert x.grad.isfinite().all()
    torch.testing.assert_close(y.float(), ALL[name](x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ALL)
def test_the_meta_device_gives_the_shape(name):
    shape = ALL[name](torch.zeros(2, 3, 7, 6)).shape
    y = copy.deepcopy(ALL[name]).to("meta")(torch.zeros(2, 3, 7, 6, device="meta"))
    assert y.is_meta
    assert y.shape == shape


@pytest.mark.parametrize("name", [name for name in ALL if "global" not in name])  # one pixel has no order
def test_channels_last_stays_channels_last(name):
    x = feature_map(0, (9, 8), dtype=torch.float32, layout="channels_last", channels=3)
    torch.manual_seed(0)
    y = ALL[name](x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert ALL[name](x.contiguous()).is_contiguous()


@pytest.mark.parametrize("name", ALL)
def test_the_input_is_left_as_it_was(name):
    x = feature_map(0, (7, 6), kind="special")
    before = x.clone()
    ALL[name](x)
    agree(x, before, exact=True)


# -- what a module is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (pooling.MaxPool2d(3, 2, 1), "MaxPool2d(kernel_size=3, stride=2, padding=1)"),
        (
            pooling.MaxPool2d((3, 2), dilation=2, return_indices=True, ceil_mode=True),
            "MaxPool2d(kernel_size=(3, 2), stride=(3, 2), dilation=2, ceil_mode=True, return_indices=True)",
        ),
        (
            pooling.AvgPool2d(2, padding=1, count_include_pad=False, divisor_override=3),
            "AvgPool2d(kernel_size=2, stride=2, padding=1, count_include_pad=False, divisor_override=3)",
        ),
        (pooling.GlobalAvgPool2d(), "GlobalAvgPool2d()"),
        (pooling.AdaptiveAvgPool2d((None, 7)), "AdaptiveAvgPool2d(output_size=(None, 7))"),
        (pooling.AdaptiveMaxPool2d(7, True), "AdaptiveMaxPool2d(output_size=7, return_indices=True)"),
        (pooling.LPPool2d(2.5, 2), "LPPool2d(norm_type=2.5, kernel_size=2, stride=2)"),
        (pooling.LPPool2d(math.inf, 2), "LPPool2d(norm_type=inf, kernel_size=2, stride=2)"),
        (
            pooling.MixedPool2d(2, alpha=0.3, learnable=True),
            "MixedPool2d(kernel_size=2, stride=2, alpha=0.3, learnable=True)",
        ),
        (
            pooling.MixedPool2d(2, learnable=True).to("meta"),
            "MixedPool2d(kernel_size=2, stride=2, alpha=unknown, learnable=True)",
        ),
        (pooling.StochasticPool2d(2), "StochasticPool2d(kernel_size=2, stride=2)"),
        (pooling.BlurPool2d(), "BlurPool2d(kernel_size=3, stride=2, padding_mode='reflect')"),
        (pooling.MaxUnpool2d(3, 2, 1), "MaxUnpool2d(kernel_size=3, stride=2, padding=1)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_module_prints_its_settings(module, text):
    assert repr(module) == text


@pytest.mark.parametrize("name", ALL)
def test_a_module_survives_copying_and_pickling(name):
    x = feature_map(0, (7, 6))
    torch.manual_seed(0)
    expected = ALL[name](x)
    for clone in (copy.deepcopy(ALL[name]), pickle.loads(pickle.dumps(ALL[name]))):
        torch.manual_seed(0)
        agree(clone(x), expected, exact=True)


def test_only_a_learnable_mixture_has_state():
    network = nn.Sequential(*ALL.values())
    position = list(ALL).index("mixed, learnable")
    assert list(network.state_dict()) == [f"{position}.logit"]


def test_blur_pool_follows_the_type_and_device_of_its_input():
    pool = pooling.BlurPool2d(7)
    x = feature_map(0, (9, 9))
    expected = pooling.blur_pool2d_reference(x.numpy(), 7)
    for converted in (pool.double(), pool.float(), pool.half(), pool.bfloat16()):
        agree(converted(x), expected)  # seven binomial taps are exact even in bfloat16
    assert pool(torch.zeros(1, 1, 9, 9, device="meta")).is_meta


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_a_gpu_gives_what_the_cpu_gives(name):
    pool = copy.deepcopy(ALL[name])
    x = feature_map(0, (17, 14), channels=3)
    if name not in REPEATABLE:
        drawn = pool.cuda()(x.cuda()).cpu()
        assert torch.isin(drawn, torch.cat([x.flatten(), torch.zeros(1, dtype=x.dtype)])).all()
        return
    on_cpu = x.clone().requires_grad_()
    pool(on_cpu).square().sum().backward()
    on_gpu = x.cuda().requires_grad_()
    y = pool.cuda()(on_gpu)
    y.square().sum().backward()
    torch.testing.assert_close(y.detach().cpu(), pool.cpu()(x).detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(on_gpu.grad.cpu(), on_cpu.grad, rtol=1e-12, atol=1e-12)
