"""The receptive field of every tricky network equals what perturbation of the network finds, at every position."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import tricky_gates
import tricky_more
import tricky_networks
import tricky_views
from agreement import disagreements
from torch import nn
from tricky_networks import LAYER, NETWORKS, Tricky

from coursekit.receptive_field import receptive_field

assert tricky_views
assert tricky_gates
assert tricky_more  # they enter their networks into NETWORKS


def every(condition=lambda network: True) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("network", [n for n in NETWORKS if condition(n)], ids=lambda network: network.name)


def differences(field, network: Tricky, model: nn.Module) -> list[str]:
    return disagreements(field, model, network.input_size, LAYER, in_channels=network.in_channels)


def test_there_are_enough_networks_under_different_names() -> None:
    names = [network.name for network in NETWORKS]
    assert len(set(names)) == len(names) >= 80


@every()
def test_bounds_equal_what_perturbation_finds(network) -> None:
    model = network.build()
    field = receptive_field(model, network.input_size, LAYER, in_channels=network.in_channels)
    assert differences(field, network, model) == []


@every(lambda network: network.size is not None)
def test_closed_form_equals_the_one_derived_by_hand(network) -> None:
    field = receptive_field(network.build(), network.input_size, LAYER, in_channels=network.in_channels)
    assert (field.size, field.stride, field.start) == (network.size, network.stride, network.start)


@every(lambda network: network.gates)
def test_gates_make_a_network_see_everything(network) -> None:
    field = receptive_field(network.build(), network.input_size, LAYER, in_channels=network.in_channels)
    local, everything = field.bounds(), field.bounds(everything=True)
    grown = [axis for axis in range(len(local)) if (local[axis] != everything[axis]).any()]
    assert grown
    assert all(field.sees_everything[axis] for axis in grown)


@every(lambda network: network.misaligned is not None)
def test_misaligned_branches_are_reported(network) -> None:
    field = receptive_field(network.build(), network.input_size, LAYER, in_channels=network.in_channels)
    assert bool(field.misaligned) == network.misaligned


# The comparison itself: it must refuse wrong fields.


def wrong_field(bounds) -> SimpleNamespace:
    return SimpleNamespace(bounds=lambda everything=False: bounds)


def by_closed_form(network: Tricky, output_size, *, shift: int = 0, grow: int = 0) -> SimpleNamespace:
    """The closed form cut to the image, started ``shift`` pixels later and ``grow`` pixels longer."""
    tables = []
    for pixels, n, size, stride, start in zip(
        network.input_size, output_size, network.size, network.stride, network.start, strict=True
    ):
        first = start + shift + stride * np.arange(n)
        tables.append(np.stack([first.clip(0, pixels - 1), (first + size + grow - 1).clip(0, pixels - 1)], 1))
    return wrong_field(tuple(tables))


def named(name: str) -> Tricky:
    return next(network for network in NETWORKS if network.name == name)


@pytest.mark.parametrize(("shift", "grow"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_field_off_by_one_pixel_is_refused(shift, grow) -> None:
    network = named("even_kernels")
    model = network.build()
    assert differences(by_closed_form(network, (8, 10)), network, model) == []
    assert differences(by_closed_form(network, (8, 10), shift=shift, grow=grow), network, model) != []


def test_swapped_axes_are_refused() -> None:
    network = named("kernels_and_strides_that_differ_between_axes")
    model = network.build()
    right = receptive_field(model, network.input_size, LAYER)
    rows, columns = right.bounds()
    swapped = wrong_field((columns[[0, 1, 2]][[0, 1, 2, 2, 2, 2, 2, 2]][: len(rows)], rows[: len(columns)]))
    assert differences(swapped, network, model) != []


def test_a_closed_form_cut_at_the_border_is_refused_where_taps_fall_into_the_padding() -> None:
    network = named("dilation")
    found = differences(by_closed_form(network, (19, 22)), network, network.build())
    assert "local, axis 1, position 1: said [0, 7], sees [1, 7]" in found


def test_a_field_without_the_gate_is_refused() -> None:
    network = named("squeeze_and_excitation")
    model = network.build()
    right = receptive_field(model, network.input_size, LAYER)
    assert differences(right, network, model) == []
    assert differences(wrong_field(right.bounds()), network, model) != []
    assert differences(wrong_field(right.bounds(everything=True)), network, model) != []


def test_one_wrong_position_is_refused() -> None:
    network = named("transposed_convolution_with_gaps")
    model = network.build()
    for replaced in ((0, 0), (5, 5)):
        bounds = receptive_field(model, network.input_size, LAYER).bounds()
        bounds[1][5] = replaced  # position 5 sees nothing
        assert differences(wrong_field(bounds), network, model) != []


class BottleneckStack(nn.Module):
    """The convolutions of ResNet-50, few channels wide; each stage has its stride in a 3 x 3 or in a 1 x 1 kernel."""

    def __init__(self, stride_in: str) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1)]
        for stage, blocks in enumerate((3, 4, 6, 3)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
                layers += [nn.Conv2d(4, 4, 1, first), nn.Conv2d(4, 4, 3, second, 1), nn.Conv2d(4, 4, 1)]
        self.map = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(x)


def test_483_is_resnet_50_with_its_strides_in_the_1x1_kernels_and_427_with_them_in_the_3x3_kernels() -> None:
    # Araujo et al. 2019 list 483: the network of He et al. 2015. torchvision's, with the strides moved, sees 427.
    assert receptive_field(BottleneckStack("1x1"), (33, 640), "map").size == (483, 483)
    field = receptive_field(BottleneckStack("3x3"), (33, 640), "map")
    assert (field.size, field.stride, field.start) == ((427, 427), (32, 32), (-213, -213))


def test_araujos_483_is_refused_for_torchvisions_resnet_50() -> None:
    model, size = BottleneckStack("3x3"), (33, 640)
    settings = {"axis": 1, "positions": [9, 10]}
    right, other = receptive_field(model, size, "map"), receptive_field(BottleneckStack("1x1"), size, "map")
    assert disagreements(right, model, size, "map", **settings) == []
    found = disagreements(other, model, size, "map", **settings)
    assert len(found) == 4
    assert tricky_networks.LAYER == "map"
