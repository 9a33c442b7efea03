"""verify=True accepts what the calculator says of real networks, and refuses every kind of wrong answer."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from coursekit import receptive_field
from coursekit.receptive_field import VerificationError, measure, taps
from coursekit.receptive_field.rules import windows


class Gated(nn.Module):
    """A convolution and a squeeze-and-excitation gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        return x * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 2, 2))


@pytest.mark.parametrize(
    ("model", "size", "layer"),
    [
        (network(), (18, 23), None),
        (network(), 20, "3"),
        (nn.Sequential(Gated(), nn.Conv2d(4, 4, 3)), 12, None),
        (nn.Sequential(network(), nn.Flatten(), nn.Linear(18, 3)), 20, None),
        (nn.Sequential(network(), nn.Flatten(), nn.Linear(18, 3)), 20, "2"),
        (nn.Sequential(nn.Conv1d(3, 4, 5, 2), nn.Upsample(scale_factor=2)), (31,), None),
        (nn.Conv3d(3, 2, (1, 3, 2)), (3, 6, 5), None),
    ],
)
def test_right_answers_are_accepted_and_are_the_same_without_the_check(model, size, layer):
    assert receptive_field(model, size, layer, verify=True) == receptive_field(model, size, layer)


def wrong_by_one(function):
    """The same measures with one bound moved."""

    def measured(axis, length):
        part = function(axis, length)
        moved = part.local.copy()
        moved[len(moved) // 2, 1] -= 1
        return dataclasses.replace(part, local=moved)

    return measured


def everything_is_local(function):
    def measured(axis, length):
        part = function(axis, length)
        return dataclasses.replace(part, everything=part.local)

    return measured


def test_a_bound_that_is_off_by_one_is_refused_with_its_position(monkeypatch):
    monkeypatch.setattr(measure, "_measure", wrong_by_one(measure._measure))
    with pytest.raises(VerificationError) as told:
        receptive_field(network(), 20, verify=True)
    assert "layer '4', axis 0, position 1: pixels" in str(told.value)
    assert "1 of 3 positions differ" in str(told.value)


def test_a_gate_that_is_overlooked_is_refused(monkeypatch):
    monkeypatch.setattr(measure, "_measure", everything_is_local(measure._measure))
    receptive_field(network(), 20, verify=True)
    with pytest.raises(VerificationError, match="positions differ"):
        receptive_field(Gated(), 12, verify=True)


def test_a_wrong_rule_is_refused(monkeypatch):
    right = taps.sliding_windows
    monkeypatch.setattr(windows, "sliding_windows", lambda size, outputs, k, *rest: right(size, outputs, k + 1, *rest))
    with pytest.raises(VerificationError):
        receptive_field(network(), 20, verify=True)


def test_the_network_is_left_as_it_was():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    receptive_field(model, 20, verify=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_without_numbers_cannot_be_checked():
    with pytest.raises(ValueError, match=r"meta|numbers"):
        receptive_field(network().to("meta"), 20, verify=True)


def test_a_map_that_no_layer_returns_cannot_be_checked():
    class Inline(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(F.avg_pool2d(self.conv(x), 2).mean((2, 3)))

    field = receptive_field(Inline(), 10)
    assert np.array_equal(field.size, (4, 4))
    with pytest.raises(ValueError, match="verify needs a layer whose output is the feature map"):
        receptive_field(Inline(), 10, verify=True)
    assert receptive_field(Inline(), 10, "conv", verify=True).size == (3, 3)
