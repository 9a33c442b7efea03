"""NaN goes exactly where values go: what it survives, what is set aside, and what cannot be followed."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tricky_networks import Function, conv

from coursekit.receptive_field.nan_flow import NaNFlow, UnfollowableError
from coursekit.receptive_field.perturbation import perturbed_bounds


def equal(one, other) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


ENTRYWISE = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.PReLU(), nn.ELU(), nn.CELU(), nn.SELU(), nn.GELU(), nn.GELU("tanh"),
    nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(),
    nn.Softsign(), nn.Threshold(0.1, 2.0), nn.Hardshrink(), nn.Softshrink(), nn.Tanhshrink(), nn.LogSigmoid(),
    nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Identity(),
]  # fmt: skip
FUNCTIONS = {
    "sign": torch.sign,
    "power 0": lambda x: x**0,
    "fmax": lambda x: torch.fmax(x, torch.zeros(())),
    "clamp": lambda x: x.clamp(-1, 1),
    "nan_to_num": torch.nan_to_num,
    "nan_to_num_": lambda x: torch.nan_to_num_(x + 0),
    "product with a comparison": lambda x: x.abs() * (x > 0),
    "comparison as number": lambda x: (x.abs() >= 0).to(x.dtype),
    "int and back": lambda x: x.int().float(),
    "where": lambda x: torch.where(x.isnan() | (x < 0), torch.zeros_like(x), torch.ones_like(x)),
    "masked_fill": lambda x: torch.ones_like(x).masked_fill(~(x > 0), 0),
    "masked_fill_": lambda x: torch.ones_like(x).masked_fill_(x > 0, 0),
    "assignment by mask": lambda x: torch.ones_like(x).index_put_((x > 0,), torch.zeros(())),
    "mask through views": lambda x: (x > 0).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).float(),
    "mask negated in place": lambda x: (x > 0).logical_not_().float(),
}


@pytest.mark.parametrize("module", ENTRYWISE, ids=str)
def test_nan_survives_every_entrywise_layer_and_stays_where_it_is(module) -> None:
    assert equal(perturbed_bounds(module, (4, 5)), [np.arange(n)[:, None].repeat(2, 1) for n in (4, 5)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_survives_operations_that_answer_nan_with_a_number(name) -> None:
    model = Function(lambda m, x: FUNCTIONS[name](x))
    assert equal(perturbed_bounds(model, (4, 5)), [np.arange(n)[:, None].repeat(2, 1) for n in (4, 5)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kernel", "settings"),
    [
        (1, {}),
        (3, {"padding": 1}),
        (3, {"padding": 1, "stride": 2}),
        (5, {"padding": 2, "groups": 8}),
        (3, {"padding": 1, "groups": 64}),
        (3, {"padding": 2, "dilation": 2}),
        (7, {"padding": 3, "stride": 2}),
    ],
)
@pytest.mark.parametrize("batch", [1, 8])
def test_convolution_carries_nan_to_its_window_and_no_further(dtype, kernel, settings, batch) -> None:
    layer = nn.Conv2d(64, 64, kernel, **settings).to(dtype)
    image = torch.randn(batch, 64, 14, 13, dtype=dtype)
    image[..., 6, 7] = torch.nan
    with torch.no_grad():
        reached = torch.isnan(layer(image))
        window = F.conv2d(
            torch.isnan(image[:1, :1]).float(), torch.ones(1, 1, kernel, kernel), None, **settings | {"groups": 1}
        )
    assert (reached == (window > 0)).all()


def test_zero_weights_and_dead_units_still_depend_on_their_input() -> None:
    model = nn.Sequential(
        conv(3, padding=1), nn.ReLU(), conv(3, 4, padding=1), nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(4)
    )
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    (table,) = perturbed_bounds(model, 12, axis=0)
    assert table[5].tolist() == [2, 8]


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("bilinear", (5, 5), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]),
        ("bicubic", (5, 5), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]),
        ("bilinear", (3, 3), [(0, 0), (2, 2), (4, 4)]),
        ("bilinear", (9, 9), [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4)]),
    ],
)
def test_a_pixel_of_weight_zero_in_an_interpolation_does_not_count(mode, size, expected) -> None:
    model = Function(lambda m, x: F.interpolate(x, size=size, mode=mode, align_corners=True))
    assert [tuple(row) for row in perturbed_bounds(model, 5, axis=1)[0].tolist()] == expected


# The local field.

GLOBAL = {
    "mean": lambda x: x.mean((2, 3), keepdim=True),
    "mean of everything": lambda x: x.mean(),
    "sum by negative dimensions": lambda x: x.sum((-1, -2), keepdim=True),
    "maximum": lambda x: x.amax((2, 3), keepdim=True),
    "maximum, one axis after the other": lambda x: x.max(3, keepdim=True).values.max(2, keepdim=True).values,
    "deviation": lambda x: x.std((2, 3), keepdim=True),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, 1),
    "softmax over rows and columns": lambda x: x.softmax(2) + x.softmax(3),
    "group norm": lambda x: F.group_norm(x, 1),
    "instance norm": F.instance_norm,
    "batch norm with the statistics of the batch": lambda x: F.batch_norm(x, None, None, training=True),
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:]),
}  # fmt: skip


@pytest.mark.parametrize("name", GLOBAL)
def test_what_takes_in_the_whole_axis_is_set_aside(name) -> None:
    model = Function(lambda m, x: m.a(x) + GLOBAL[name](m.a(x)), a=conv(3, out_channels=3, padding=1))
    local = perturbed_bounds(model, (9, 8), everything=False)
    assert equal(local, perturbed_bounds(model.a, (9, 8)))
    assert all((table == (0, n - 1)).all() for table, n in zip(perturbed_bounds(model, (9, 8)), (9, 8), strict=True))


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (N, H * W, C)


TOKENS = {
    "mean of the flattened map": lambda x: x.flatten(2).mean(2)[:, :, None, None],
    "pooling of the flattened map": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 1)[..., None],
    "mean of the tokens": lambda x: tokens(x).mean(1)[:, :, None, None],
    "softmax over the flattened map": lambda x: x.flatten(2).softmax(2).view_as(x),
    "global context": lambda x: (x.flatten(2) @ tokens(x[:, :1]).softmax(1))[..., None],
    "attention": lambda x: F.scaled_dot_product_attention(*[tokens(x)] * 3).mT.reshape(x.shape),
    "attention of heads": lambda x: F.scaled_dot_product_attention(*[tokens(x)[:, None]] * 3)[:, 0].mT.reshape(x.shape),
    "attention by hand": lambda x: ((tokens(x) @ x.flatten(2)).softmax(2) @ tokens(x)).mT.reshape(x.shape),
    "linear attention": lambda x: (tokens(x) @ (x.flatten(2) @ tokens(x))).mT.reshape(x.shape),
    "einsum": lambda x: torch.einsum("nchw->nc", x)[..., None, None],
}


@pytest.mark.parametrize("name", TOKENS)
def test_outside_maps_what_grows_with_the_image_is_set_aside(name) -> None:
    model = Function(lambda m, x: m.a(x) + TOKENS[name](m.a(x)), a=conv(3, out_channels=3, padding=1))
    assert equal(perturbed_bounds(model, (9, 8), everything=False), perturbed_bounds(model.a, (9, 8)))
    assert all((table == (0, n - 1)).all() for table, n in zip(perturbed_bounds(model, (9, 8)), (9, 8), strict=True))


def test_a_product_made_for_one_size_stays_local() -> None:
    model = Function(lambda m, x: x @ m.mix, mix=nn.Parameter(torch.randn(8, 8)))  # made for 8 columns
    rows, columns = perturbed_bounds(model, (4, 8), everything=False)
    assert rows.tolist() == [[r, r] for r in range(4)]
    assert columns.tolist() == [[0, 7]] * 8


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean(1, keepdim=True),
        lambda x: x.amax(1, keepdim=True),
        lambda x: x.softmax(1),
        lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (3,)).permute(0, 3, 1, 2),
        lambda x: torch.maximum(x, x + 1),
        lambda x: F.avg_pool2d(x, (9, 8)),
        lambda x: F.batch_norm(x, torch.zeros(3), torch.ones(3)),
    ],
)
def test_what_takes_in_channels_or_a_fixed_window_stays_local(function) -> None:
    model = Function(lambda m, x: function(x))
    assert equal(perturbed_bounds(model, (9, 8), everything=False), perturbed_bounds(model, (9, 8)))


@pytest.mark.parametrize(
    "function", [lambda x: x + F.avg_pool2d(x, (9, 8)), lambda x: x * F.max_pool2d(x, (9, 8)).expand_as(x)]
)
def test_a_window_over_everything_is_a_gate_once_it_is_broadcast(function) -> None:
    rows, columns = perturbed_bounds(Function(lambda m, x: function(x)), (9, 8), everything=False)
    assert rows.tolist() == [[r, r] for r in range(9)]
    assert columns.tolist() == [[c, c] for c in range(8)]


def test_a_reduction_over_the_width_is_local_along_the_height() -> None:
    model = Function(lambda m, x: x.mean(3, keepdim=True).expand_as(x))
    rows, columns = perturbed_bounds(model, (4, 5), everything=False)
    assert rows.tolist() == [[r, r] for r in range(4)]
    assert columns.tolist() == [[0, -1]] * 5


# Refused.


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: x if x.mean() > 0 else x.flip(2), "branches on values"),
        (lambda m, x: x[:, :, : int(x.abs().max() > 0) + 3], "branches on values"),
        (lambda m, x: x.sort(2).values, "sort reads places that depend on the values"),
        (lambda m, x: x.gather(2, x.argmax(2, keepdim=True)), "argmax gives depends on comparing values"),
        (lambda m, x: F.max_unpool2d(*F.max_pool2d(x, 3, return_indices=True), 3), "comparing values"),
        (lambda m, x: F.grid_sample(x, x.permute(0, 2, 3, 1)[..., :2], align_corners=True), "grid_sampler_2d reads"),
    ],
)
def test_what_depends_on_the_values_is_refused(function, message) -> None:
    with pytest.raises(UnfollowableError, match=message):
        perturbed_bounds(Function(function), 9)


def test_choices_among_constants_are_followed() -> None:
    def forward(module: nn.Module, x: Tensor) -> Tensor:
        order = torch.tensor([2.0, 0.0, 1.0]).argsort()
        return x[:, order] if float(order.sum()) == 3 else x.flip(2)

    assert perturbed_bounds(Function(forward), 4, axis=0)[0].tolist() == [[p, p] for p in range(4)]


def test_a_followed_operation_gives_nan_exactly_where_a_nan_went_in() -> None:
    assert issubclass(UnfollowableError, ValueError)
    with NaNFlow(None, 2), torch.no_grad():
        signs = torch.sign(torch.tensor([torch.nan, -3.0, 0.0]))
    np.testing.assert_array_equal(signs, [np.nan, -1, 0])
