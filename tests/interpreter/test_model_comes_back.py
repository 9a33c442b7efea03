"""A pass leaves the caller's model, and everything around it, exactly as it was: after success and after failure."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from coursekit import receptive_field, trace
from coursekit.receptive_field import receptive_fields

SIZE = 12


def traced(model, **settings):
    return trace(model, SIZE, **settings)


def traced_in_training(model):
    return trace(model, SIZE, batch_size=2, training=True)


def mapped(model):
    return receptive_field(model, SIZE)


def listed(model):
    return receptive_fields(model, SIZE)


every_pass = pytest.mark.parametrize("run", [traced, traced_in_training, mapped, listed])


class Block(nn.Module):
    """Has everything that a pass might disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(3))
        self.register_buffer("large", torch.zeros(300, 300))
        self.register_buffer("steps", torch.tensor(0))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.cache: dict = {}
        self.seen: list = []
        self.shapes: set = set()
        self.last = None
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.large.mul_(2)[0] = 1
        self.steps = self.steps + 1
        self.cache[tuple(x.shape)] = x
        self.seen.append(x)
        self.shapes.add(tuple(x.shape))
        self.last = x
        self.fresh = x * 2
        self.norm.momentum = 0.5
        with torch.no_grad():
            self.scale.data.clamp_(0, 0.5)
        x = self.drop(self.norm(self.conv(x))) * self.scale + torch.randn(1)
        if self.fails:
            self.extra = nn.Linear(2, 2)
            raise KeyError("lost")
        return x


def network() -> nn.Sequential:
    model = nn.Sequential(Block(), nn.ReLU(inplace=True), Block(), nn.Conv2d(4, 2, 1))
    model[2].conv = nn.Conv2d(4, 4, 3, padding=1)
    model[0].norm.eval()  # mixed modes
    model[2].requires_grad_(False)
    model[0].conv.weight.grad = torch.ones_like(model[0].conv.weight)
    return model


def state(model: nn.Module) -> tuple:
    """Everything about a model: what its attributes are (the very objects) and what they hold."""
    objects = [
        (name, {key: id(value) for key, value in vars(module).items()}) for name, module in model.named_modules()
    ]
    contents = [
        (name, key, [(k, id(v)) for k, v in value.items()] if isinstance(value, dict) else list(value))
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, (dict, list, set))
    ]
    tensors = [
        (name, id(value), value.requires_grad, value.dtype, value.device, value._version, value.clone())
        for name, value in [*model.named_parameters(), *model.named_buffers()]
    ]
    flags = [module.training for module in model.modules()]
    return objects, contents, tensors, flags


def assert_unchanged(model: nn.Module, before: tuple) -> None:
    objects, contents, tensors, flags = state(model)
    assert objects == before[0]
    assert contents == before[1]
    assert flags == before[3]
    for mine, other in zip(tensors, before[2], strict=True):
        assert mine[:5] == other[:5]
        assert mine[-1].is_meta or torch.equal(mine[-1], other[-1])


@every_pass
def test_after_success(run) -> None:
    model = network()
    before = state(model)
    run(model)
    assert_unchanged(model, before)


@every_pass
def test_after_failure(run) -> None:
    model = network()
    model[2].fails = True
    before = state(model)
    with pytest.raises(ValueError, match=r"layer '2' raised KeyError.*'lost'"):
        run(model)
    assert_unchanged(model, before)


@every_pass
def test_it_computes_the_same_afterwards(run) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardswish(), nn.Conv2d(4, 2, 3))
    twin = copy.deepcopy(model)
    run(model)
    images = torch.randn(2, 3, SIZE, SIZE)
    for one, other in zip(model(images), twin(images), strict=True):
        assert torch.equal(one, other)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), twin.buffers(), strict=True))


def test_the_checks_see_a_model_that_changed() -> None:
    for change in (
        lambda m: m[0].calls.add_(1),
        lambda m: setattr(m[0], "calls", torch.zeros(3)),
        lambda m: m[0].norm.train(),
        lambda m: m[0].cache.update(x=1),
        lambda m: m[0].register_forward_hook(print),
        lambda m: setattr(m[0], "fresh", 1),
        lambda m: m[3].half(),
    ):
        model = network()
        before = state(model)
        change(model)
        with pytest.raises(AssertionError):
            assert_unchanged(model, before)


@every_pass
def test_hooks_are_called_and_kept(run) -> None:
    model, calls = network(), []
    model[0].register_forward_pre_hook(lambda module, inputs: calls.append("before"))
    model[0].register_forward_hook(lambda module, inputs, output: calls.append("after"))
    model[3].register_full_backward_hook(lambda module, inputs, outputs: None)
    before = state(model)
    run(model)
    assert calls[:2] == ["before", "after"]
    assert_unchanged(model, before)
    model(torch.zeros(1, 3, SIZE, SIZE))
    assert calls[-2:] == ["before", "after"]


@every_pass
def test_no_hook_for_all_modules_is_left_behind(run) -> None:
    registry = torch.nn.modules.module
    before = [dict(registry._global_forward_hooks), dict(registry._global_forward_pre_hooks)]
    run(network())
    failing = network()
    failing[2].fails = True
    with pytest.raises(ValueError, match="lost"):
        run(failing)
    assert [dict(registry._global_forward_hooks), dict(registry._global_forward_pre_hooks)] == before


def old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(module)


@every_pass
@pytest.mark.parametrize(
    "reparametrised",
    [old_weight_norm, parametrizations.weight_norm, nn.utils.spectral_norm, parametrizations.spectral_norm],
)
def test_reparametrised_weights(run, reparametrised) -> None:
    model = nn.Sequential(reparametrised(nn.Conv2d(3, 4, 3)), nn.ReLU())
    before = state(model)
    run(model)
    assert_unchanged(model, before)
    model.train()(torch.randn(1, 3, SIZE, SIZE))


@every_pass
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_other_types_and_devices(run, dtype, device) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(device, dtype)
    before = state(model)
    run(model)
    assert_unchanged(model, before)


@every_pass
def test_random_numbers_stay_where_they_were(run) -> None:
    model = network()
    before = torch.get_rng_state()
    run(model)
    assert torch.equal(torch.get_rng_state(), before)


@every_pass
@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_surroundings_make_no_difference(run, surroundings) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 4, 1))
    plain = run(model)
    with surroundings():
        grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert str(run(model)) == str(plain)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == (grad, inference)


def test_gradients_of_the_caller_are_not_touched() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    F.relu(model(torch.randn(1, 3, SIZE, SIZE))).sum().backward()
    gradient = model[0].weight.grad
    before = gradient.clone()
    trace(model, SIZE, training=True)
    assert model[0].weight.grad is gradient
    assert torch.equal(gradient, before)
