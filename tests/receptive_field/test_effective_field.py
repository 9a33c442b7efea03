"""The effective receptive field: values known in closed form, laws, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from coursekit.receptive_field.effective import EffectiveReceptiveField, effective_receptive_field
from coursekit.receptive_field.perturbation import perturbed_bounds


def field_of(mass: np.ndarray) -> EffectiveReceptiveField:
    return EffectiveReceptiveField(None, (0,) * mass.ndim, 1, mass / mass.sum())


def random_stack(depth: int, channels: int = 24) -> nn.Sequential:
    return nn.Sequential(*[nn.Conv2d(3 if i == 0 else channels, channels, 3, padding=1) for i in range(depth)])


def test_of_one_convolution_it_is_the_squared_kernel() -> None:
    layer = nn.Conv2d(1, 1, (3, 5), stride=2)
    field = effective_receptive_field(layer, None, (11, 15), in_channels=1, position=(2, 3), samples=2)
    expected = torch.zeros(11, 15, dtype=torch.float64)
    expected[4:7, 6:11] = layer.weight.detach()[0, 0].double() ** 2
    np.testing.assert_allclose(field.map, (expected / expected.sum()).numpy(), rtol=1e-5, atol=1e-12)
    assert (field.layer, field.position, field.samples) == (None, (2, 3), 2)


def test_signs_drawn_anew_for_each_image_take_every_channel_in() -> None:
    layer = nn.Conv2d(1, 2, (1, 2), bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).view(
            2, 1, 1, 2
        )  # sum: first pixel, difference: second
    field = effective_receptive_field(layer, None, (1, 2), in_channels=1, samples=64)
    assert field.map[0] == pytest.approx([0.5, 0.5], abs=0.15)
    assert 0 < field.map[0, 0] < 1


def test_channels_of_opposite_sign_do_not_cancel() -> None:
    layer = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    field = effective_receptive_field(layer, None, 5, in_channels=1, samples=8)
    assert field.map[2, 2] == 1


@pytest.mark.parametrize("depth", [5, 10, 20])
def test_in_a_deep_random_stack_the_width_grows_with_the_square_root_of_the_depth(depth) -> None:
    # Each 3 x 3 kernel is a step of -1, 0 or 1 with variance 2/3 (Luo et al. 2016, section 2.2).
    field = effective_receptive_field(random_stack(depth), None, 2 * depth + 11, samples=16)
    expected = 4 * math.sqrt(depth * 2 / 3)
    assert field.width == pytest.approx((expected, expected), rel=0.1)
    assert field.center == pytest.approx((depth + 5,) * 2, abs=0.7)


def test_only_pixels_of_the_receptive_field_count() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 5, stride=2), nn.BatchNorm2d(4), nn.MaxPool2d(3, 2))
    field = effective_receptive_field(model, "3", (33, 40), position=(1, 2), samples=40)
    rows, columns = perturbed_bounds(model, (33, 40), "3")
    seen = np.zeros((33, 40), bool)
    seen[rows[1, 0] : rows[1, 1] + 1, columns[2, 0] : columns[2, 1] + 1] = True
    assert ((field.map > 0) == seen).all()
    assert field.map.sum() == pytest.approx(1)


def test_the_middle_position_is_the_default_and_layers_are_named() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    field = effective_receptive_field(model, "0", (9, 12), samples=1)
    assert (field.layer, field.position) == ("0", (4, 6))
    assert np.argwhere(field.map).min(0).tolist() == [3, 5]
    assert np.argwhere(field.map).max(0).tolist() == [5, 7]


@pytest.mark.parametrize("axes", [1, 3])
def test_any_number_of_axes(axes) -> None:
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](2, 2, 3)
    field = effective_receptive_field(layer, None, (7,) * axes, in_channels=2, samples=1)
    assert field.map.shape == (7,) * axes
    assert int((field.map > 0).sum()) == 3**axes
    assert field.square(1.0) == 3
    assert len(field.width) == len(field.center) == axes


def test_the_same_seed_gives_the_same_map_and_leaves_the_callers_model_and_numbers_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before, numbers = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    one, same, other = (effective_receptive_field(model, None, 9, samples=3, seed=seed).map for seed in (5, 5, 6))
    assert (one == same).all()
    assert (one != other).any()
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not model._forward_hooks
    assert torch.equal(torch.get_rng_state(), numbers)


def test_it_works_where_gradients_are_off_and_parameters_frozen() -> None:
    model = nn.Conv2d(3, 4, 3).requires_grad_(False)
    with torch.no_grad():
        assert effective_receptive_field(model, None, 9, samples=1).map.sum() == pytest.approx(1)
        assert not torch.is_grad_enabled()


def test_measures_of_a_uniform_square() -> None:
    mass = np.zeros((40, 50))
    mass[10:21, 20:31] = 1
    field = field_of(mass)
    assert field.center == pytest.approx((15, 25))
    assert field.width == pytest.approx((4 * math.sqrt(10),) * 2)  # variance of 11 equal places: (11^2 - 1) / 12
    assert field.size == pytest.approx(11)
    assert field.share(0.5) == pytest.approx(121 / 2000)
    assert (field.square(), field.square(0.6), field.square(1.0), field.square(1e-6)) == (11, 9, 11, 1)


def test_measures_of_a_gaussian() -> None:
    steps = np.arange(201) - 100.0
    mass = np.exp(-(steps**2) / (2 * 12.0**2))
    field = field_of(np.outer(mass, mass))
    assert field.width == pytest.approx((48, 48), rel=1e-3)
    # exp(-r^2 / 2 s^2) > 0.0455 in a disc of area 2 pi s^2 ln(1 / 0.0455)
    assert field.size == pytest.approx(12 * math.sqrt(2 * math.pi * math.log(1 / 0.0455)), rel=0.01)
    assert field_of(mass).square(0.9545) == pytest.approx(48, abs=2)


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        field_of(np.ones((3, 3))).map = None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "vgg16"}, TypeError, "model must be a torch.nn.Module, got str"),
        ({"layer": "con"}, ValueError, "no layer 'con'; near: conv"),
        ({"layer": None}, ValueError, r"the network gives a tensor of shape \(1, 4\)"),
        ({"input_size": 2}, ValueError, "does not run on an input of shape"),
        ({"input_size": -1}, ValueError, "input_size"),
        ({"samples": 0}, ValueError, "samples must be an int of at least 1, got 0"),
        ({"samples": 1.5}, ValueError, "samples"),
        ({"in_channels": 0}, ValueError, "in_channels"),
        ({"position": (3, 7)}, ValueError, r"position must lie in the map of \(7, 7\) positions, got \(3, 7\)"),
        ({"position": (3,)}, ValueError, r"position must have one int for each of 2 axes, got \(3,\)"),
        ({"layer": "dead"}, ValueError, "gradient of layer 'dead' at position .* is zero for every pixel"),
    ],
)
def test_impossible_arguments_are_refused_in_words(arguments, error, message) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.dead = nn.Conv2d(3, 4, 3), nn.Threshold(1e9, 0.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dead(self.conv(x)).mean((2, 3))

    arguments = {"model": Network(), "layer": "conv", "input_size": 9, "samples": 2} | arguments
    with pytest.raises(error, match=message):
        effective_receptive_field(
            arguments.pop("model"), arguments.pop("layer"), arguments.pop("input_size"), **arguments
        )


def test_shares_and_masses_out_of_range_are_refused() -> None:
    field = field_of(np.ones((3, 3)))
    with pytest.raises(ValueError, match="threshold must be from 0 to below 1, got 1"):
        field.share(1)
    with pytest.raises(ValueError, match="mass must be above 0 and at most 1, got 0"):
        field.square(0)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(x * 0)

    with pytest.raises(ValueError, match="is not finite"):
        effective_receptive_field(Root(), None, 5, samples=1)
