"""Peak memory equals a count by hand, and what a real pass on the CPU allocates."""

import gc
import weakref

import pytest
import torch
from plain_counts import Does
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from coursekit import trace

SIDE = 8
MAP = 4 * SIDE * SIDE * 4  # bytes of a map of 4 channels: 1024


def found(forward, *, batch_size=1, training=False, **parts):
    return trace(Does(forward, **parts), SIDE, 4, batch_size=batch_size, training=training)


def peak(forward, **settings) -> int:
    """Bytes at once in inference, as a number of maps where it is one."""
    return found(forward, **settings).peak_bytes


def conv(outputs: int = 4) -> nn.Conv2d:
    return nn.Conv2d(4, outputs, 3, padding=1)


def twice(m, x):
    return m.b(m.a(x))


def without_names(m, x):
    return F.relu(F.relu(F.relu(x)))


def residual(m, x):
    return F.relu(m.a(x)) + x


def dense(m, x):
    return torch.cat([x, m.a(x)], 1)


def kept_by_a_name(m, x):
    first = x * 2
    second = first * 2
    return second * 2


def given_up(m, x):
    first = x * 2
    second = first * 2
    del first
    return second * 2


#: name: (forward, parts, maps at once); the input is one map and the caller of forward holds it.
CASES = {
    "input and output of one layer": (lambda m, x: m.a(x), {"a": conv()}, 2),
    "layers that work in place": (lambda m, x: m.a(x).relu_().mul_(2), {"a": conv()}, 2),
    "input, argument and result": (twice, {"a": conv(), "b": conv()}, 3),
    "arguments that nobody holds": (without_names, {}, 3),
    "a residual sum": (residual, {"a": conv()}, 3),
    "concatenation": (dense, {"a": conv()}, 4),
    "what a name keeps": (kept_by_a_name, {}, 4),
    "what del gives up": (given_up, {}, 3),
    "views": (lambda m, x: x.view(1, -1).t()[3:].reshape(-1), {}, 1),
    "a view that keeps all of its tensor": (lambda m, x: F.relu((x * 2)[:, :1]), {}, 2.25),
    "expansion": (lambda m, x: x[:, :1].expand(-1, 400, -1, -1), {}, 1),
    "double precision": (lambda m, x: x.double(), {}, 3),
    "a mask": (lambda m, x: x > 0, {}, 1.25),
    "pieces": (lambda m, x: [piece * 1 for piece in x.chunk(4, 1)], {}, 2),
    "two results": (lambda m, x: (x * 2, x * 3), {}, 3),
    "a wider layer": (lambda m, x: m.b(m.a(x)), {"a": conv(12), "b": nn.Conv2d(12, 4, 1)}, 5),
    "average pooling": (lambda m, x: F.avg_pool2d(x, 2), {}, 1.25),
    "sequential modules": (lambda m, x: m.a(x), {"a": nn.Sequential(conv(), nn.ReLU(), conv())}, 3),
    "weights that are computed": (
        lambda m, x: F.conv2d(x, m.a.weight * 2, padding=1),
        {"a": conv()},
        2 + 144 * 4 / MAP,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_peak_by_hand(name):
    forward, parts, maps = CASES[name]
    assert peak(forward, **parts) == maps * MAP


@pytest.mark.parametrize("name", CASES)
def test_activations_grow_with_the_batch(name):
    forward, parts, maps = CASES[name]
    if "weights" not in name:
        assert peak(forward, **parts, batch_size=5) == 5 * maps * MAP


def test_filled_bytes_leave_out_views_and_work_in_place():
    total = found(lambda m, x: m.a(x).relu_().view(-1)[5:].sum(), a=conv())
    assert total.activation_bytes == MAP + 4
    assert [layer.activation_bytes for layer in total.layers] == [MAP + 4, MAP]


def test_small_and_large_computed_weights_count_the_same():
    def standardised(m, x):
        return F.conv2d(x, m.a.weight - m.a.weight.mean())

    for outputs in (2, 4000):  # below and above the size up to which numbers are kept
        weight = outputs * 36 * 4
        assert found(standardised, a=nn.Conv2d(4, outputs, 3)).activation_bytes == 4 + weight + outputs * 36 * 4


# A training step: autograd keeps what each gradient needs, and a gradient that flows back is new memory.

#: name: (forward, parts, maps at once)
STEPS = {
    # sigmoid keeps its result y. Backward: x, y, gradient of y (ones), gradient of the convolution's output.
    "convolution and sigmoid": (lambda m, x: torch.sigmoid(m.a(x)), {"a": conv()}, 4),
    # relu in place is the convolution's output: x, y, two gradients.
    "convolution and relu in place": (lambda m, x: m.a(x).relu_(), {"a": conv()}, 4),
    # Three results y, x, the ones; while the second sigmoid goes back, the gradient that comes and the one that leaves.
    "three sigmoids": (lambda m, x: torch.sigmoid(torch.sigmoid(torch.sigmoid(m.a(x)))), {"a": conv()}, 7),
    # The sum keeps nothing: x, y, the ones are the gradient of both branches; sigmoid keeps s and makes a gradient.
    "a residual sum": (lambda m, x: torch.sigmoid(m.a(x)) + x, {"a": conv()}, 5),
}


@pytest.mark.parametrize("name", STEPS)
def test_training_peak_by_hand(name):
    forward, parts, maps = STEPS[name]
    step = found(forward, **parts, training=True)
    assert step.training_bytes == maps * MAP
    assert found(forward, **parts, training=True, batch_size=3).training_bytes == 3 * maps * MAP


def test_without_training_nothing_is_said_about_it():
    assert found(lambda m, x: x).training_bytes is None


def test_weights_and_their_gradients_are_no_activations():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 1000), nn.ReLU(), nn.Linear(1000, 10))
    held = trace(model, 32, training=True).training_bytes
    assert 4 * (3072 + 1000 + 1000 + 10) <= held <= 4 * (3072 + 4 * 1000 + 2 * 10)


def test_dropout_keeps_its_mask():
    plain = found(lambda m, x: m.a(x) * 2, a=conv(), training=True).training_bytes
    dropped = found(lambda m, x: F.dropout(m.a(x), 0.5, m.training), a=conv(), training=True).training_bytes
    assert dropped > plain


def test_checkpointing_holds_less():
    def deep(m, x):
        return m.part(m.first(x))

    def checkpointed(m, x):
        return checkpoint(m.part, m.first(x), use_reentrant=False)

    def parts():
        return {"first": conv(), "part": nn.Sequential(*(nn.Sequential(conv(), nn.Sigmoid()) for _ in range(8)))}

    thrifty = found(checkpointed, **parts(), training=True)
    lavish = found(deep, **parts(), training=True)
    assert thrifty.training_bytes <= lavish.training_bytes
    assert thrifty.peak_bytes == lavish.peak_bytes


def test_training_holds_more_than_inference():
    model = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()) for _ in range(6)))
    cost = trace(model, SIDE, training=True)
    assert cost.training_bytes >= cost.peak_bytes * 2


def test_nothing_of_a_pass_stays_alive():
    kept = []
    model = Does(lambda m, x: kept.append(weakref.ref(x)) or m.a(x), a=conv())
    trace(model, SIDE, 4, training=True)
    gc.collect()
    assert [reference() for reference in kept] == [None] * len(kept)
    assert len(kept) == 2


def allocated(model: nn.Module, image: torch.Tensor) -> int:
    """Most bytes that a real pass in inference holds at once beside its input, from the allocator's own events."""
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        model(image)
    held = most = 0
    for event in sorted(
        (event for event in recording.profiler.kineto_results.events() if event.name() == "[memory]"),
        key=lambda event: event.start_ns(),
    ):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: F.avg_pool2d(torch.sigmoid(x) + x, 2),
        lambda m, x: torch.cat([x.sin(), x.cos()], 1).relu_(),
        lambda m, x: m.fc(F.avg_pool2d(x, 4).flatten(1)),
        lambda m, x: x.sin().sin().sin(),
        lambda m, x: F.interpolate(x, scale_factor=2.0).tanh(),
        lambda m, x: x.sin()[:, :1].exp() + x.sum(1, keepdim=True),
    ],
)
def test_peak_is_what_the_allocator_sees_in_a_real_pass(forward):
    model = Does(forward, fc=nn.Linear(4 * 16 * 16, 100)).eval()
    image = torch.randn(2, 4, 64, 64)
    real = allocated(model, image)
    assert real > 0
    assert trace(model, 64, 4, batch_size=2).peak_bytes - image.nbytes == real
