"""A trace has a row for each module call: names, shapes, parameters, and totals that agree with the rows."""

import copy
import dataclasses
import pickle

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from plain_counts import Does, parameter
from torch import nn

from coursekit import trace
from coursekit.models import build
from coursekit.trace import Layer, Trace


def test_a_small_network_row_by_row():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 6, 5))
    found = trace(model, (8, 12))
    outputs, weights = 8 * 4 * 6, 3 * 9
    assert found.layers == (
        Layer("", "Sequential", 0, (1, 5), 224 + 965, outputs * weights + 960, 4 * (2 * outputs + 5)),
        Layer("0", "Conv2d", 1, (1, 8, 4, 6), 224, outputs * weights, 4 * outputs),
        Layer("1", "ReLU", 1, (1, 8, 4, 6), 0, 0, 4 * outputs),
        Layer("2", "Flatten", 1, (1, 192), 0, 0, 0),
        Layer("3", "Linear", 1, (1, 5), 965, 960, 4 * 5),
    )
    assert (found.model, found.input_shape, found.output_shape) == ("Sequential", (1, 3, 8, 12), (1, 5))
    assert (found.params, found.macs, found.activation_bytes) == (1189, outputs * weights + 960, 4 * (2 * outputs + 5))
    assert found.partial == ()


@pytest.mark.parametrize(
    "name", ["resnet50", "efficientnet_b0", "vgg11_bn", "wrn_16_4", "preact_resnet20", "modern_cnn"]
)
def test_rows_add_up_and_have_real_names(name):
    with torch.device("meta"):
        model = build(name)
    found = trace(model, 64)
    names = {name for name, _module in model.named_modules()}
    assert {layer.name for layer in found.layers} <= names
    assert found.layers[0].params == found.params == sum(p.numel() for p in model.parameters())
    for number, layer in enumerate(found.layers):
        inside = []
        for later in found.layers[number + 1 :]:
            if later.depth <= layer.depth:
                break
            if later.depth == layer.depth + 1:
                inside.append(later)
        for column in ("params", "macs", "activation_bytes"):
            assert getattr(layer, column) >= sum(getattr(part, column) for part in inside)
        assert all(part.name.startswith(layer.name) for part in inside)


def test_parameters_each_count_once():
    tied = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    tied[2].weight = tied[0].weight
    found = trace(tied, 6)
    assert (found.params, [layer.params for layer in found.layers]) == (48, [48, 42, 0, 6])

    shared = nn.Conv2d(3, 3, 1)
    found = trace(nn.Sequential(shared, nn.Sequential(shared), shared), 6)
    assert (found.params, [layer.params for layer in found.layers]) == (12, [12, 12, 0, 0, 0])


def test_parameters_without_a_call_belong_to_the_module_around_them():
    model = nn.Sequential(
        Does(lambda m, x: m.used(x), used=nn.Conv2d(3, 4, 1), unused=nn.Linear(7, 7), own=parameter(5))
    )
    model[0].inside_list = nn.ModuleList([nn.Conv2d(2, 2, 1), nn.ParameterList([parameter(3)])])
    found = trace(model, 6)
    assert found.params == 16 + 56 + 5 + 6 + 3
    assert [(layer.name, layer.params) for layer in found.layers] == [("", 86), ("0", 86), ("0.used", 16)]


def test_frozen_parameters_count_and_buffers_do_not():
    model = nn.Sequential(nn.Conv2d(3, 4, 1).requires_grad_(False), nn.BatchNorm2d(4))
    assert trace(model, 6).params == 16 + 8


def test_a_model_without_parameters():
    found = trace(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)), 6)
    assert (found.params, found.macs, found.output_shape) == (0, 0, (1, 3, 3, 3))


def test_one_and_three_axes():
    assert trace(nn.Conv1d(2, 4, 5, padding=2), (100,), 2).macs == 100 * 4 * 10
    assert trace(nn.Conv3d(1, 2, 3), (5, 6, 7), 1).macs == 3 * 4 * 5 * 2 * 27


def test_inference_mode_is_that_of_the_model_in_evaluation():
    model = Does(lambda m, x: m.extra(x) if m.training else x, extra=nn.Conv2d(3, 3, 1))
    assert trace(model.train(), 6).macs == 0
    assert model.training


def test_numpy_integers_and_lists_are_sizes():
    import numpy as np

    model = nn.Conv2d(3, 4, 1)
    assert trace(model, np.int64(6)) == trace(model, [6, 6]) == trace(model, torch.Size((6, 6))) == trace(model, 6)


def test_a_trace_does_not_change_and_can_be_kept():
    found = trace(nn.Conv2d(3, 4, 1), 6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.macs = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.layers[0].macs = 0
    assert pickle.loads(pickle.dumps(found)) == found == copy.deepcopy(found)
    assert hash(found) == hash(trace(nn.Conv2d(3, 4, 1), 6))


def test_the_function_and_the_package_of_the_same_name():
    import coursekit.trace.report

    assert callable(coursekit.trace)
    assert coursekit.trace is trace
    assert isinstance(coursekit.trace(nn.ReLU(), 6), Trace)
    with pytest.raises(AttributeError, match="module 'coursekit' has no attribute 'traces'"):
        _ = coursekit.traces


@given(st.integers(1, 4), st.integers(1, 5), st.integers(8, 16))
def test_layers_of_a_whole_network_add_up_to_the_sum_of_its_parts(depth, batch_size, size):
    parts = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth)]
    whole = trace(nn.Sequential(*parts), size, batch_size=batch_size)
    alone = [trace(part, size, batch_size=batch_size) for part in parts]
    assert whole.macs == sum(part.macs for part in alone)
    assert whole.params == sum(part.params for part in alone)
    assert whole.activation_bytes == sum(part.activation_bytes for part in alone)


def test_ours_and_theirs_cost_the_same():
    with torch.device("meta"):
        ours, theirs = build("resnet50"), torchvision.models.resnet50()
    mine, other = trace(ours), trace(theirs)
    for column in ("params", "macs"):
        assert getattr(mine, column) == getattr(other, column)
