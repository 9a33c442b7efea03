"""MACs of single operations equal a count by hand, however the operation is written."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_counts import Does, convolution_macs, parameter, transposed_convolution_macs
from torch import nn
from torch.nn import functional as F

from coursekit import trace
from coursekit.trace import macs

SIDE, CHANNELS = 6, 4  # the input is (1, 4, 6, 6) unless a test says otherwise


def cost(forward, *, size=SIDE, in_channels=CHANNELS, batch_size=1, **parts) -> int:
    """MACs of a model with this forward; every operation in it must be countable."""
    found = trace(Does(forward, **parts), size, in_channels, batch_size=batch_size)
    assert found.partial == ()
    assert found.macs == found.layers[0].macs
    return found.macs


def tokens(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) to (N, H W, C)."""
    return x.flatten(2).transpose(1, 2)


RANKS = st.sampled_from([1, 2, 3])
FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def convolutions(draw):
    rank = draw(RANKS)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = tuple(groups * draw(st.integers(1, 2)) for _ in "io")
    sizes = tuple(draw(st.integers(3, 6 if rank < 3 else 4)) for _ in range(rank))
    kernel_size = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    return sizes, channels, kernel_size, groups


@given(convolutions(), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.booleans())
@settings(max_examples=60)
def test_a_convolution_costs_what_a_loop_over_windows_taps_and_channels_counts(case, stride, padding, dilation, module):
    sizes, channels, kernel_size, groups = case
    assume(all(n + 2 * padding > dilation * (k - 1) for n, k in zip(sizes, kernel_size, strict=True)))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if module:
        model = getattr(nn, f"Conv{len(sizes)}d")(*channels, kernel_size, **arguments)
    else:
        weight = parameter(channels[1], channels[0] // groups, *kernel_size)
        model = Does(lambda m, x: FUNCTIONS[len(sizes)](x, m.weight, **arguments), weight=weight)
    by_hand = convolution_macs(sizes, channels, kernel_size, stride, padding, dilation, groups)
    found = trace(model, sizes, channels[0], batch_size=2)
    assert (found.macs, found.partial) == (2 * by_hand, ())


@given(convolutions(), st.integers(1, 3), st.integers(0, 1), st.booleans())
@settings(max_examples=40)
def test_a_transposed_convolution_costs_each_input_value_times_taps_times_outputs(case, stride, padding, module):
    sizes, channels, kernel_size, groups = case
    assume(all((n - 1) * stride - 2 * padding + k > 0 for n, k in zip(sizes, kernel_size, strict=True)))
    arguments = {"stride": stride, "padding": padding, "groups": groups}
    if module:
        model = getattr(nn, f"ConvTranspose{len(sizes)}d")(*channels, kernel_size, **arguments)
    else:
        weight = parameter(channels[0], channels[1] // groups, *kernel_size)
        model = Does(lambda m, x: TRANSPOSED[len(sizes)](x, m.weight, **arguments), weight=weight)
    by_hand = transposed_convolution_macs(sizes, channels, kernel_size, groups)
    found = trace(model, sizes, channels[0])
    assert (found.macs, found.partial) == (by_hand, ())


def test_the_plain_counts_know_a_case_from_the_books():
    # He et al. 2015, table 1: the first layer of a ResNet, 112 x 112 x 64 outputs of 7 x 7 x 3 taps, made small.
    assert convolution_macs((8, 8), (3, 5), (7, 7), 2, 3, 1, 1) == 4 * 4 * 5 * 7 * 7 * 3
    assert transposed_convolution_macs((4, 4), (6, 2), (3, 3), 2) == 4 * 4 * 6 * 1 * 9


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding):
    outputs = 36 if padding == "same" else 16
    assert cost(lambda m, x: F.conv2d(x, m.weight, padding=padding), weight=parameter(5, 4, 3, 3)) == outputs * 5 * 36


OPERATIONS = {
    # name: (forward, parts, count by hand); x is (1, 4, 6, 6), tokens(x) is (1, 36, 4)
    "linear on 4-D input": (lambda m, x: m.fc(x), {"fc": nn.Linear(6, 7)}, 4 * 6 * 6 * 7),
    "functional linear": (lambda m, x: F.linear(x, m.w), {"w": parameter(7, 6)}, 4 * 6 * 6 * 7),
    "linear on a vector": (lambda m, x: m.fc(x[0, 0, 0]), {"fc": nn.Linear(6, 7)}, 6 * 7),
    "matmul": (lambda m, x: x @ m.w, {"w": parameter(6, 7)}, 4 * 6 * 6 * 7),
    "matmul of two results": (lambda m, x: x @ x.mT, {}, 4 * 6 * 6 * 6),
    "matmul that broadcasts": (lambda m, x: m.w @ x, {"w": parameter(3, 1, 5, 6)}, 3 * 4 * 5 * 6 * 6),
    "matrix times vector": (lambda m, x: x[0, 0] @ x[0, 0, 0], {}, 6 * 6),
    "dot": (lambda m, x: torch.dot(x[0, 0, 0], x[0, 0, 1]), {}, 6),
    "mm": (lambda m, x: torch.mm(x[0, 0], x[0, 1]), {}, 6 * 6 * 6),
    "mv": (lambda m, x: torch.mv(x[0, 0], x[0, 1, 0]), {}, 6 * 6),
    "inner": (lambda m, x: torch.inner(x[0, 0], x[0, 1]), {}, 6 * 6 * 6),
    "bmm": (lambda m, x: torch.bmm(tokens(x), x.flatten(2)), {}, 36 * 4 * 36),
    "addmm": (lambda m, x: torch.addmm(m.b, tokens(x)[0], m.w), {"b": parameter(5), "w": parameter(4, 5)}, 36 * 4 * 5),
    "addmv": (lambda m, x: torch.addmv(m.b, x[0, 0], m.b), {"b": parameter(6)}, 36),
    "baddbmm": (lambda m, x: torch.baddbmm(m.b, x[0], x[0]), {"b": parameter(1, 6, 6)}, 4 * 216),
    "addbmm": (lambda m, x: torch.addbmm(m.b, x[0], x[0]), {"b": parameter(6, 6)}, 4 * 216),
    "einsum as a 1 x 1 convolution": (
        lambda m, x: torch.einsum("nchw,oc->nohw", x, m.w),
        {"w": parameter(5, 4)},
        36 * 4 * 5,
    ),
    "einsum over two axes": (lambda m, x: torch.einsum("nchw,ndhw->ncd", x, x), {}, 4 * 4 * 36),
    "tensordot": (lambda m, x: torch.tensordot(x, m.w, ([1], [1])), {"w": parameter(5, 4)}, 36 * 4 * 5),
    "bilinear": (lambda m, x: m.f(x, x), {"f": nn.Bilinear(6, 6, 5)}, 24 * 5 * 6 * 6),
    "attention": (lambda m, x: F.scaled_dot_product_attention(x, x, x), {}, 4 * (6 * 6 * 6 + 6 * 6 * 6)),
    "attention to fewer keys with wider values": (
        lambda m, x: F.scaled_dot_product_attention(x, x[:, :, :2], x.repeat(1, 1, 1, 2)[:, :, :2]),
        {},
        4 * (6 * 2 * 6 + 6 * 2 * 12),
    ),
    "attention of one query to many heads": (
        lambda m, x: F.scaled_dot_product_attention(x[:, :1], x, x),
        {},
        4 * (6 * 6 * 6 + 6 * 6 * 6),
    ),
    "normalisation, activation, pooling, resizing": (
        lambda m, x: F.interpolate(F.avg_pool2d(m.norm(x).relu() + x * 2, 2), scale_factor=2.0).softmax(1).flip(2),
        {"norm": nn.BatchNorm2d(4)},
        0,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_costs_what_a_person_counts(name):
    forward, parts, by_hand = OPERATIONS[name]
    assert cost(forward, **parts) == by_hand


@pytest.mark.parametrize("need_weights", [False, True])
def test_multihead_attention_is_four_projections_and_two_products(need_weights):
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    by_hand = 4 * 36 * 8 * 8 + 2 * 36 * 36 * 8

    def forward(m, x):
        return m.attention(tokens(x), tokens(x), tokens(x), need_weights=need_weights)

    assert cost(forward, attention=attention, in_channels=8) == by_hand
    assert cost(forward, attention=attention, in_channels=8, batch_size=3) == 3 * by_hand


def test_a_transformer_layer_is_attention_and_two_linear_layers():
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=32, batch_first=True)
    by_hand = 4 * 36 * 8 * 8 + 2 * 36 * 36 * 8 + 2 * 36 * 8 * 32
    assert cost(lambda m, x: m.layer(tokens(x)), layer=layer, in_channels=8) == by_hand


@pytest.mark.parametrize(
    ("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)], ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("directions", [1, 2])
def test_a_recurrent_layer_multiplies_its_input_and_its_state_at_every_step(kind, gates, directions):
    layer = kind(4, 5, num_layers=2, batch_first=True, bidirectional=directions == 2)
    first, second = 4 * 5 + 5 * 5, 5 * directions * 5 + 5 * 5
    by_hand = 36 * gates * directions * (first + second)
    assert cost(lambda m, x: m.layer(tokens(x))[0], layer=layer) == by_hand


def test_costs_grow_with_the_batch():
    forward, parts = (lambda m, x: m.conv(x)), {"conv": nn.Conv2d(4, 5, 3)}
    assert cost(forward, **parts, batch_size=7) == 7 * cost(forward, **parts)


def test_a_module_that_is_called_twice_costs_twice():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    found = trace(Does(lambda m, x: m.conv(m.conv(x)), conv=conv), SIDE, CHANNELS)
    assert found.macs == 2 * 36 * 4 * 36
    assert found.params == 4 * 36 + 4
    assert [(layer.name, layer.params) for layer in found.layers] == [("", 148), ("conv", 148), ("conv", 0)]


def test_what_cannot_be_counted_makes_the_total_partial_and_is_named():
    model = Does(lambda m, x: torch.fft.irfft2(torch.fft.rfft2(m.conv(x))), conv=nn.Conv2d(4, 4, 1))
    found = trace(model, SIDE, CHANNELS)
    assert found.macs == 36 * 16
    assert len(found.partial) == len(set(found.partial)) >= 2
    assert all("fft" in name for name in found.partial)
    for text in (str(found), found._repr_html_()):
        assert f"(partial: {', '.join(found.partial)} not counted)" in text


def test_tables_of_indices_are_free():
    def forward(m, x):
        rows, columns = torch.tril_indices(6, 6)
        return x[..., rows, columns] + torch.arange(21)

    assert cost(forward) == 0


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        ("conv2d", lambda operation: operation.result.numel() * operation.argument("weight").numel()),
        ("conv_transpose2d", macs._convolution),
        ("linear", lambda operation: operation.argument("weight").numel()),
        ("addmm", macs._product(0)),
        ("scaled_dot_product_attention", macs._product(0)),
    ],
)
def test_a_wrong_rule_is_caught(monkeypatch, operation, wrong):
    cases = {
        "conv2d": (lambda m, x: m.f(x), {"f": nn.Conv2d(4, 6, 3, groups=2)}, 16 * 6 * 2 * 9),
        "conv_transpose2d": (lambda m, x: m.f(x), {"f": nn.ConvTranspose2d(4, 6, 2, stride=2)}, 36 * 4 * 6 * 4),
        "linear": OPERATIONS["linear on 4-D input"],
        "addmm": OPERATIONS["addmm"],
        "scaled_dot_product_attention": OPERATIONS["attention to fewer keys with wider values"],
    }
    forward, parts, by_hand = cases[operation]
    assert cost(forward, **parts) == by_hand
    monkeypatch.setitem(macs._RULES, operation, wrong)
    assert cost(forward, **parts) != by_hand


def test_an_operation_without_a_rule_is_never_free(monkeypatch):
    monkeypatch.delitem(macs._RULES, "bmm")
    found = trace(Does(lambda m, x: torch.bmm(x[0], x[0])), SIDE, CHANNELS)
    assert (found.macs, found.partial) == (0, ("bmm",))
