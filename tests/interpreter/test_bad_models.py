"""A model or a size that cannot be worked with is refused in words that name it, before or where it happens."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from coursekit import receptive_field, trace
from coursekit.interpreter import ModelError
from coursekit.receptive_field import receptive_fields

every_entry = pytest.mark.parametrize("enter", [trace, receptive_field, receptive_fields])


class Does(nn.Module):
    def __init__(self, forward) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self._does = forward

    def forward(self, x):
        return self._does(self.conv(x))


def deep(forward) -> nn.Module:
    return nn.Sequential(nn.Identity(), nn.Sequential(Does(forward)))


@every_entry
@pytest.mark.parametrize(
    "model", [3, "resnet18", None, nn.Conv2d, torch.relu], ids=["int", "str", "None", "class", "function"]
)
def test_what_is_no_module(enter, model):
    with pytest.raises(TypeError, match=rf"model must be a torch.nn.Module, got {type(model).__name__}"):
        enter(model)


@every_entry
@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "input_size must be at least 1, got 0"),
        ((32, -1), ValueError, "input_size must be at least 1, got -1"),
        ((), ValueError, r"input_size must have one to three axes, got \(\)"),
        ((1, 2, 3, 4), ValueError, r"input_size must have one to three axes, got \(1, 2, 3, 4\)"),
        (32.0, TypeError, r"input_size must be an int or a tuple of one to three ints, got 32\.0"),
        ("32", TypeError, "input_size must be an int or a tuple of one to three ints, got '32'"),
        (None, TypeError, "input_size must be an int or a tuple of one to three ints, got None"),
        ((32, 32.5), TypeError, r"input_size must be an int, got 32\.5"),
        (True, TypeError, "input_size must be an int, got True"),
    ],
)
def test_sizes(enter, size, error, message):
    with pytest.raises(error, match=message):
        enter(nn.Conv2d(3, 4, 3), size)


@every_entry
@pytest.mark.parametrize(
    ("channels", "error", "message"),
    [
        (0, ValueError, "in_channels must be at least 1, got 0"),
        (3.0, TypeError, r"in_channels must be an int, got 3\.0"),
        (
            5,
            ModelError,
            r"layer '1\.0\.conv' raised RuntimeError in conv2d of input \(1, 5, 16, 16\), weight",
        ),
    ],
)
def test_channels(enter, channels, error, message):
    with pytest.raises(error, match=message):
        enter(deep(torch.relu), 16, in_channels=channels)


def test_batches():
    for batch, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match=rf"batch_size must be .*, got {batch}"):
            trace(nn.Conv2d(3, 4, 3), 16, batch_size=batch)


@every_entry
def test_a_model_that_needs_another_size(enter):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 2))
    with pytest.raises(
        ModelError, match=r"layer '2' raised RuntimeError in linear of input \(1, 400\), weight"
    ) as told:
        enter(model, 12)
    assert "input of shape (1, 3, 12, 12)" in str(told.value)
    enter(model, 16)


@every_entry
def test_an_input_that_is_too_small(enter):
    with pytest.raises(ModelError, match=r"layer '1' .*Kernel size can't be greater than actual input size"):
        enter(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 7)), 8)


@every_entry
@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.max().item(),
        lambda x: x[: int(x.mean())],
        lambda x: [x for _ in range(x.argmax())],
        lambda x: x.nonzero(),
        lambda x: x * float(x[0, 0, 0, 0]),
        lambda x: x if torch.equal(x, x) else -x,
        lambda x: x.unique(),
    ],
)
def test_a_model_that_decides_by_values(enter, forward):
    with pytest.raises(ModelError, match=r"layer '1\.0' asks for the values of a tensor") as told:
        enter(deep(forward), 16)
    assert told.value.__cause__ is not None


@every_entry
@pytest.mark.parametrize("forward", [lambda x: torch.from_numpy(x.numpy()), lambda x: x.tolist(), lambda x: x[x > 0]])
def test_a_model_that_leaves_pytorch_or_selects_by_values(enter, forward):
    with pytest.raises(ModelError, match=r"layer '1\.0' "):
        enter(deep(forward), 16)


@every_entry
def test_decisions_by_shape_and_by_constants_are_no_problem(enter):
    def forward(x):
        if x.shape[-1] > 4 and torch.ones(3).sum() > 2:
            x = x * torch.tensor([1.0, 2.0]).max().item()
        return x

    assert enter(deep(forward), 16)


@every_entry
@pytest.mark.parametrize(
    "error", [KeyError("lost"), RuntimeError("lost"), ZeroDivisionError("lost"), StopIteration("lost")]
)
def test_a_model_that_raises_is_named_with_its_layer_and_the_cause_is_chained(enter, error):
    def forward(x):
        raise error

    with pytest.raises(ModelError, match=rf"layer '1\.0' raised {type(error).__name__}.*lost") as told:
        enter(deep(forward), 16)
    assert told.value.__cause__ is error


@every_entry
def test_what_stops_the_program_is_not_held_up(enter):
    def forward(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enter(deep(forward), 16)


def test_a_model_that_raises_in_training_mode_only():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    with pytest.raises(ModelError, match=r"in training mode layer '1' raised ValueError .*more than 1 value") as told:
        trace(model, 16, training=True)
    assert told.value.__cause__ is not None
    assert trace(model, 16, training=True, batch_size=2).training_bytes > 0


@every_entry
@pytest.mark.parametrize(
    ("module", "name"), [(nn.LazyConv2d(4, 3), "weight"), (nn.Sequential(nn.ReLU(), nn.LazyBatchNorm2d()), "1.weight")]
)
def test_a_lazy_module(enter, module, name):
    with pytest.raises(ValueError, match=f"'{name}' belongs to a lazy module and has no shape yet; run the model once"):
        enter(module, 16)


@every_entry
def test_a_model_compiled_by_torchscript(enter):
    scripted = torch.jit.script(nn.Conv2d(3, 4, 3))
    with pytest.raises(TypeError, match="compiled by TorchScript; pass the model it was made from"):
        enter(nn.Sequential(scripted), 16)


@dataclass
class Record:
    first: torch.Tensor
    second: torch.Tensor


Pair = namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize(
    "pack",
    [
        lambda one, two: (one, two),
        lambda one, two: [one, two],
        lambda one, two: {"first": one, "second": two},
        lambda one, two: {"all": [{"deep": (one,)}], "second": two},
        Pair,
        Record,
    ],
)
def test_results_in_other_forms_are_taken_apart(pack):
    model = Does(lambda x: pack(x, x[..., ::2]))
    assert trace(model, 16).output_shape == (1, 4, 16, 16)
    assert trace(model, 16, training=True).training_bytes > 0
    field = receptive_field(model, 16)
    assert (field.size, field.stride, field.output_size) == ((3, 3), (1, 1), (16, 16))


def test_a_model_that_returns_no_tensor():
    assert trace(Does(lambda x: None), 16).output_shape is None
    with pytest.raises(ModelError, match="the model returns nothing that a feature map leads to"):
        receptive_field(Does(lambda x: None), 16)


def test_an_unknown_layer_suggests_the_nearest():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match=r"name of a module of Sequential, got '1\.1'; did you mean .*'1\.0'"):
        receptive_field(model, 16, "1.1")
    with pytest.raises(TypeError, match="layer must be the name of a module, got 1"):
        receptive_field(model, 16, 1)


def test_a_layer_that_is_never_called():
    model = Does(torch.relu)
    model.spare = nn.Conv2d(4, 4, 3)
    with pytest.raises(ValueError, match="layer 'spare' is not called when the model runs"):
        receptive_field(model, 16, "spare")


def test_an_operation_of_unknown_geometry_is_named_with_its_layer():
    with pytest.raises(ModelError, match=r"the geometry of _fft_r2c in layer '1\.0' is unknown"):
        receptive_field(deep(lambda x: torch.fft.rfft2(x).real), 16)
    before = receptive_field(deep(lambda x: torch.fft.rfft2(x).real), 16, "1.0.conv")
    assert before.size == (3, 3)


@pytest.mark.gpu
def test_a_model_on_a_gpu():
    model = deep(torch.relu).cuda()
    assert trace(model, 16) == trace(deep(torch.relu), 16)
    assert receptive_field(model, 16).size == (3, 3)
    assert next(model.parameters()).is_cuda
