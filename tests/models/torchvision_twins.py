"""How a network of ours is compared with torchvision's: names, outputs, gradients and statistics, to the last bit."""

import functools
import math
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn

from coursekit.models import build

SHAPE = (2, 3, 64, 80)  # not square; 80 is no multiple of 32, so rounding up and down differ


def assert_same_as_torchvision(name: str, ours: nn.Module | None = None, frozen: tuple[str, ...] = ()) -> None:
    """Raise AssertionError unless our network does bit for bit what torchvision's network of this name does.

    Checked, in this order: names, order and shapes of the state_dict, strict loading both ways, the output in
    evaluation mode; and in training mode from one seed: the output, the random numbers used, the gradients of the
    input and of every parameter, and every running statistic.

    Args:
        name: of the network.
        ours: the network to judge instead of ``build(name)``, on the meta device.
        frozen: parameters whose gradients are left out, to save time.
    """
    with torch.device("meta"):  # no memory and no time for weights that are replaced below
        ours = ours or build(name)
        theirs = torchvision.models.get_model(name)
    shapes = [(key, tuple(value.shape)) for key, value in theirs.state_dict().items()]
    assert [(key, tuple(value.shape)) for key, value in ours.state_dict().items()] == shapes, "the state_dict differs"
    theirs.load_state_dict(random_state(theirs), assign=True)
    settle_statistics(theirs)
    ours.load_state_dict(copy_of_buffers(theirs), assign=True)  # the two share their parameters: nothing writes them
    theirs.load_state_dict(copy_of_buffers(ours), assign=True)
    for key in frozen:
        ours.get_parameter(key).requires_grad_(False)
        theirs.get_parameter(key).requires_grad_(False)

    assert_same_behaviour(ours, theirs)


def assert_same_behaviour(ours: nn.Module, theirs: nn.Module) -> None:
    """The part of the comparison that runs the two networks; they hold the same weights."""
    x = torch.randn(SHAPE)
    with torch.inference_mode():
        output, expected = ours.eval()(x), theirs.eval()(x)
    assert expected.isfinite().all(), "the comparison is void: the expected output is not finite"
    assert not torch.equal(expected[0], expected[1]), "the comparison is void: the output does not depend on the input"
    assert torch.equal(output, expected), "the output in evaluation mode differs"

    ours, theirs = Training(ours, x), Training(theirs, x)
    assert torch.equal(ours.output, theirs.output), "the output in training mode differs"
    assert torch.equal(ours.random_state, theirs.random_state), "the number of random numbers used differs"
    for key, statistic in theirs.model.named_buffers():
        assert torch.equal(ours.model.get_buffer(key), statistic), f"a statistic differs: {key}"
    seen, expected = ours.gradients(), theirs.gradients()
    for key, gradient in expected.items():
        assert torch.equal(seen[key], gradient), f"a gradient differs: {key}"


class Training:
    """One forward pass in training mode, always from the same seed, and on demand the backward pass."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        torch.manual_seed(1)
        self.model = model.train()
        self.x = x.clone().requires_grad_()
        self.output = model(self.x)
        self.random_state = torch.get_rng_state()

    def gradients(self) -> dict[str, Tensor]:
        weights = torch.linspace(-1, 1, self.output.numel()).view_as(self.output)
        (self.output * weights).sum().backward()
        trained = {key: parameter for key, parameter in self.model.named_parameters() if parameter.requires_grad}
        return {"input": self.x.grad} | {key: parameter.grad for key, parameter in trained.items()}


def random_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights for a model on the meta device: no bias 0, no scale 1, and signals that keep their size."""
    state = {}
    for key, value in model.state_dict().items():
        if value.ndim > 1:  # variance 2 / fan_in, as ReLU wants it
            state[key] = uniform(math.sqrt(6 / value[0].numel()), value.shape)
        elif key.endswith("weight"):
            state[key] = 1 + uniform(0.5, value.shape)
        elif key.endswith("bias"):
            state[key] = uniform(0.5, value.shape)
        else:
            state[key] = torch.zeros(value.shape, dtype=value.dtype)
    return state


def uniform(bound: float, shape: torch.Size) -> Tensor:
    return large_uniform(bound, shape) if shape.numel() > 10_000_000 else torch.empty(shape).uniform_(-bound, bound)


@functools.cache
def large_uniform(bound: float, shape: torch.Size) -> Tensor:
    """The same numbers each time: touching new memory costs more than all the arithmetic of VGG."""
    return torch.empty(shape).uniform_(-bound, bound)


def settle_statistics(model: nn.Module) -> None:
    """Set the running statistics of all normalisations to those of one random batch."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(SHAPE))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def copy_of_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The state_dict with its buffers copied, since training writes them; the parameters are the model's own."""
    buffers = {key for key, _ in model.named_buffers()}
    return {key: value.clone() if key in buffers else value for key, value in model.state_dict().items()}


def assert_same_start(name: str, make: Callable[[], nn.Module] | None = None, **settings: bool) -> None:
    """Raise AssertionError unless one seed gives our network and torchvision's the same first weights.

    Args:
        name: of the network.
        make: makes the network to judge instead of ``build(name, **settings)``.
        **settings: for both builders.
    """
    torch.manual_seed(2)
    ours = (make() if make else build(name, **settings)).state_dict()
    torch.manual_seed(2)
    theirs = torchvision.models.get_model(name, **settings).state_dict()
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), f"the first weights differ: {key}"
