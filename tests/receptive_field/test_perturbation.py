"""Perturbation finds what networks depend on: facts derived by hand, and what it must survive or refuse."""

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
import tricky_gates
import tricky_views
from torch import Tensor, nn
from tricky_networks import LAYER, NETWORKS, Function, conv

from coursekit.receptive_field import probe
from coursekit.receptive_field.nan_flow import UnfollowableError
from coursekit.receptive_field.perturbation import MeasuredField, perturbed_bounds, unclipped_field, unclipped_size

assert tricky_views
assert tricky_gates  # they enter their networks into NETWORKS


def equal(one, other) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Facts derived by hand.


@pytest.mark.parametrize("network", [n for n in NETWORKS if n.size or n.bounds], ids=lambda network: network.name)
def test_measured_bounds_equal_those_derived_by_hand(network) -> None:
    settings = {"in_channels": network.in_channels, "everything": not network.gates}
    measured = perturbed_bounds(network.build(), network.input_size, LAYER, **settings)
    for axis, table in enumerate(measured):
        expected = network.expected(axis, len(table))
        told = expected[:, 0] >= 0 if network.bounds is None else np.full(len(table), True)
        assert told.any()
        assert table[told].tolist() == expected[told].tolist()


@pytest.mark.parametrize("network", [n for n in NETWORKS if n.gates], ids=lambda network: network.name)
def test_a_gate_lets_every_position_see_the_whole_axis(network) -> None:
    model, settings = network.build(), {"in_channels": network.in_channels}
    local = perturbed_bounds(model, network.input_size, LAYER, everything=False, **settings)
    everything = perturbed_bounds(model, network.input_size, LAYER, **settings)
    grown = [axis for axis in range(len(local)) if not np.array_equal(local[axis], everything[axis])]
    assert grown
    for axis in grown:
        assert (everything[axis] == (0, network.input_size[axis] - 1)).all()


def vgg_stack(*blocks: int) -> nn.Sequential:
    layers = []
    for block in blocks:
        layers += [nn.LazyConv2d(3, 3, padding=1) for _ in range(block)] + [nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


def test_the_convolutions_of_vgg_16_see_212_pixels() -> None:
    field = MeasuredField(size=212, stride=32, start=-90)
    assert unclipped_field(vgg_stack(2, 2, 3, 3, 3)) == (field, field)
    assert unclipped_size(vgg_stack(2, 2, 3, 3, 3)) == (212, 212)


def test_the_unclipped_field_of_one_axis_of_three() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, (3, 5, 7), (1, 2, 3), (1, 2, 0)), nn.Conv3d(2, 2, (1, 3, 2)))
    fields = unclipped_field(model, in_channels=1, axes=3, thickness=13)
    assert fields == (MeasuredField(3, 1, -1), MeasuredField(9, 2, -2), MeasuredField(10, 3, 0))
    assert unclipped_field(model, in_channels=1, axes=3, axis=1, thickness=13) == fields[1:2]


def test_the_unclipped_field_sets_gates_aside_and_refuses_them_when_asked_for_everything() -> None:
    model = Function(lambda m, x: m.a(x) * m.a(x).mean((2, 3), keepdim=True), a=conv(5))
    assert unclipped_size(model) == (5, 5)
    with pytest.raises(ValueError, match="touches the end of an image of 700 pixels"):
        unclipped_field(model, everything=True, longest=700)


# The search.


def test_a_wrong_guess_does_not_change_the_result_and_a_right_one_saves_runs(monkeypatch) -> None:
    runs = []
    model = nn.Sequential(conv(5, stride=2, padding=2), conv(3, 4, padding=1), nn.ConvTranspose2d(4, 2, 1, stride=3))
    right = perturbed_bounds(model, (31, 26))
    once = probe.Probe.run
    monkeypatch.setattr(probe.Probe, "run", lambda *args, **settings: runs.append(0) or once(*args, **settings))

    def counted(guess) -> int:
        runs.clear()
        assert equal(perturbed_bounds(model, (31, 26), guess=guess), right)
        return len(runs)

    alone = counted(None)
    assert counted(right) < alone
    for wrong in ((0, 0), (0, -1), (3, 30), (25, 2)):
        counted([np.full_like(table, 1) * wrong for table in right])
    counted([table + 1 for table in right])


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_an_image_of_one_pixel_along_an_axis(kernel) -> None:
    model = nn.ConvTranspose2d(3, 2, (1, kernel), stride=2)
    guess = (np.zeros((1, 2), int), np.array([[0, 0]] * kernel))
    for claimed in (None, guess):
        rows, columns = perturbed_bounds(model, (1, 1), guess=claimed)
        assert rows.tolist() == [[0, 0]]
        assert columns.tolist() == [[0, 0]] * kernel


def test_positions_and_axis_pick_from_the_whole_table() -> None:
    model = conv(3, stride=2, padding=1)
    rows, columns = perturbed_bounds(model, (12, 15))
    assert equal(perturbed_bounds(model, (12, 15), axis=1, positions=[5, 0]), [columns[[5, 0]]])
    assert equal(perturbed_bounds(model, (12, 15), axis=0), [rows])


def test_the_last_call_of_a_layer_is_measured() -> None:
    model = Function(lambda m, x: m.b(m.a(m.a(x))), a=conv(3, out_channels=3, padding=1), b=conv(7))
    assert perturbed_bounds(model, 15, "a", axis=0)[0][7].tolist() == [5, 9]


def test_a_layer_of_another_layout_is_measured_along_the_dimensions_named() -> None:
    model = Function(lambda m, x: m.norm(m.a(x).permute(0, 2, 3, 1)), a=conv(3, stride=2), norm=nn.LayerNorm(4))
    with pytest.raises(ValueError, match=r"dims must name 2 dimensions of layer 'norm', .* got \[1\]"):
        perturbed_bounds(model, (9, 12), "norm", dims=[1])
    assert equal(perturbed_bounds(model, (9, 12), "norm", dims=(1, 2)), perturbed_bounds(model.a, (9, 12)))


# Networks that are not as plain.


def test_the_callers_model_and_random_state_stay_as_they_were() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.a, self.norm, self.drop = conv(3), nn.BatchNorm2d(4), nn.Dropout(0.5)
            self.seen = []

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.seen.append(x)
            return self.drop(self.norm(self.a(x)))

    model = Counting()
    model.norm.eval()
    model.a.register_forward_hook(lambda module, inputs, output: output * 2)
    state, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    numbers = torch.get_rng_state()
    image_of_hook = len(model.a._forward_hooks)
    perturbed_bounds(model, 9)
    unclipped_field(model, "norm", axis=0)
    assert [module.training for module in model.modules()] == modes
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert len(model.a._forward_hooks) == image_of_hook
    assert not any(module._forward_hooks for module in (model, model.norm, model.drop))
    assert model.seen == []
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), numbers)
    assert torch.is_grad_enabled()


def test_lazy_layers_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    assert perturbed_bounds(model, 9, axis=0)[0][2].tolist() == [2, 4]
    assert model[0].has_uninitialized_params()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_give_the_same_bounds(dtype) -> None:
    model = nn.Sequential(conv(3, stride=2), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).to(dtype)
    for table in perturbed_bounds(model, (9, 10)):  # in bfloat16 itself, some kernels give [0, 3] for the first column
        assert table.tolist() == [[0, 2], [2, 4], [4, 6], [6, 8]]
    assert all(parameter.dtype == dtype for parameter in model.parameters())


def test_numbers_too_large_for_single_precision_are_measured_in_double_precision() -> None:
    model = Function(lambda m, x: m.a(x) * 1e30 * 1e30 * 0, a=conv(3, padding=1))  # inf * 0 is NaN
    assert equal(perturbed_bounds(model, (9, 10)), perturbed_bounds(model.a, (9, 10)))
    assert model.a.weight.dtype == torch.float32


def test_a_network_that_mixes_the_images_of_a_batch_is_run_on_one_image_at_a_time() -> None:
    mixing = Function(lambda m, x: m.a(x) + m.a(x).roll(1, 0) + m.a(x).mean(0, keepdim=True), a=conv(3, padding=1))
    single = Function(lambda m, x: m.a(x.view(1, 3, 9, 10)), a=conv(3, padding=1))
    expected = perturbed_bounds(mixing.a, (9, 10))
    assert equal(perturbed_bounds(mixing, (9, 10)), expected)
    assert equal(perturbed_bounds(single, (9, 10)), expected)


def test_a_network_that_gives_a_dict_is_measured_at_a_layer() -> None:
    model = Function(lambda m, x: OrderedDict(out=m.a(x), aux=x), a=conv(3))
    assert perturbed_bounds(model, 9, "a", axis=0)[0][2].tolist() == [2, 4]
    with pytest.raises(TypeError, match="the network gives a OrderedDict of out, aux, not one tensor"):
        perturbed_bounds(model, 9)


def test_noise_is_no_dependence_but_a_random_place_is_refused() -> None:
    noisy = Function(lambda m, x: m.a(x) + torch.randn(1), a=conv(3, padding=1))
    assert equal(perturbed_bounds(noisy, (9, 10)), perturbed_bounds(noisy.a, (9, 10)))
    moving = Function(lambda m, x: x.roll(int(torch.randint(1, 8, ())), 2))
    with pytest.raises(UnfollowableError, match="drawn at random"):
        perturbed_bounds(moving, 9)


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "resnet50"}, TypeError, "model must be a torch.nn.Module, got str"),
        ({"input_size": 0}, ValueError, "input_size must be an int or a tuple of ints"),
        ({"input_size": (9, 2.5)}, ValueError, r"at least 1 pixel, got \(9, 2.5\)"),
        ({"input_size": ()}, ValueError, "input_size"),
        ({"in_channels": 0}, ValueError, "in_channels must be an int of at least 1, got 0"),
        ({"in_channels": 5}, ValueError, r"does not run on an input of shape \(1, 5, 9, 9\): .*channels"),
        ({"layer": "convolution"}, ValueError, "no layer 'convolution'; near: conv"),
        ({"layer": "unused"}, ValueError, "never calls layer 'unused'"),
        ({"layer": "fc"}, ValueError, r"layer 'fc' gives a tensor of shape \(1, 2\), not \(N, C, \*spatial\)"),
        ({}, ValueError, r"the network gives a tensor of shape \(1, 2\)"),
        ({"layer": "conv", "axis": 2}, ValueError, "axis must be None or an int from 0 to 1, got 2"),
        ({"layer": "conv", "positions": [7]}, ValueError, r"positions must be ints from 0 to 6, got \[7\]"),
        ({"layer": "conv", "positions": [0.5]}, ValueError, "positions"),
        ({"layer": "conv", "guess": [np.zeros((3, 2))] * 2}, ValueError, r"guess must hold .* \(7, 7\) positions"),
        ({"input_size": 2}, ValueError, "does not run on an input of shape"),
    ],
)
def test_impossible_arguments_are_refused_in_words(arguments, error, message) -> None:
    model = Function(
        lambda m, x: m.fc(m.conv(x).mean((2, 3))), conv=conv(3), fc=nn.Linear(4, 2), unused=nn.Conv2d(3, 3, 1)
    )
    arguments = {"model": model, "input_size": 9} | arguments
    with pytest.raises(error, match=message):
        perturbed_bounds(arguments.pop("model"), arguments.pop("input_size"), **arguments)


def test_networks_without_numbers_with_nan_or_that_cannot_be_copied_are_refused() -> None:
    with torch.device("meta"):
        model = conv(3)
    with pytest.raises(ValueError, match="meta device"):
        perturbed_bounds(model, 9)
    with pytest.raises(ValueError, match="gives NaN for a random image"):
        perturbed_bounds(Function(lambda m, x: x / 0 * 0), 9)
    with pytest.raises(ValueError, match="cannot be copied"):
        perturbed_bounds(Function(lambda m, x: x, numbers=(n for n in range(3))), 9)
    with pytest.raises(ValueError, match="axes, thickness and longest must be at least 1, got 2, 0 and 10400"):
        unclipped_field(conv(3), thickness=0)


def test_an_error_inside_the_network_is_the_cause_of_ours() -> None:
    def forward(module: nn.Module, x: Tensor) -> Tensor:
        raise KeyError("lost")

    with pytest.raises(ValueError, match="lost") as caught:
        perturbed_bounds(Function(forward), 9)
    assert isinstance(caught.value.__cause__, KeyError)
