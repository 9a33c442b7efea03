"""The pass shows every operation with the shape, type and layer that a real forward pass gives it."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import receptive_field, trace
from coursekit.interpreter import ModuleCall, Operation, run
from coursekit.interpreter.operations import Kernel

SIZE = 12


class Listing:
    """An observer that writes down what it is shown."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.calls: list[tuple[str, str]] = []

    def understands(self, kernel: Kernel) -> bool:
        return True

    def begin(self, inputs: Tensor) -> None:
        self.input = inputs

    def enter(self, call: ModuleCall) -> None:
        self.calls.append(("enter", call.name))

    def operation(self, operation: Operation) -> None:
        self.operations.append(operation)

    def leave(self, call: ModuleCall, output: object) -> None:
        self.calls.append(("leave", call.name))


class Does(nn.Module):
    def __init__(self, forward, **parts: nn.Module) -> None:
        super().__init__()
        self._does = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> object:
        return self._does(self, x)


def listed(model: nn.Module, size: int = SIZE, in_channels: int = 3) -> Listing:
    listing = Listing()
    run(model, (size, size), [listing], in_channels=in_channels)
    return listing


def real_shapes(model: nn.Module, size: tuple[int, int], in_channels: int) -> list[tuple[str, tuple[int, ...]]]:
    """Name and output shape of every module call of a real forward pass, in the order in which the calls begin."""
    found: list[list] = []
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda module, inputs, name=name: found.append([name, module, None]))

        def note(module, inputs, output):
            row = next(row for row in reversed(found) if row[1] is module and row[2] is None)
            row[2] = tuple(output.shape)

        module.register_forward_hook(note)
    with torch.no_grad():
        model.eval()(torch.zeros(1, in_channels, *size))
    return [(name, shape) for name, _module, shape in found]


CHANNELS = 4


@st.composite
def layers(draw) -> nn.Module:
    """A layer from 4 to 4 channels whose settings differ where the shapes that go in do not."""
    kernel_size, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    dilation, padding = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    ceil_mode = draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                nn.Conv2d(CHANNELS, CHANNELS, kernel_size, stride, padding, dilation),
                nn.Conv2d(CHANNELS, CHANNELS, kernel_size, padding="same", dilation=dilation),
                nn.Conv2d(CHANNELS, CHANNELS, (kernel_size, 3), (stride, 1), (padding, 1)),
                nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, stride, output_padding=stride - 1),
                nn.MaxPool2d(3, stride, 1, ceil_mode=ceil_mode),
                nn.AvgPool2d(3, stride, 1, ceil_mode=ceil_mode),
                nn.Upsample(scale_factor=stride),
                nn.Upsample(size=stride + 5, mode="bilinear"),
                nn.ZeroPad2d(padding),
                nn.AdaptiveAvgPool2d(kernel_size + 4),
                nn.BatchNorm2d(CHANNELS),
                nn.ReLU(inplace=ceil_mode),
                Does(lambda m, x: F.conv2d(x, torch.ones(CHANNELS, 1, 3, 3), None, stride, padding, groups=CHANNELS)),
                Does(lambda m, x: F.conv2d(x, torch.ones(4, 1, 3, 3), stride=stride, padding=padding, groups=CHANNELS)),
                Does(lambda m, x: x[:, :, :: (-1 if stride > 9 else stride), padding - 1 :]),
                Does(lambda m, x: x.mT.contiguous() if ceil_mode else x.mT),
                Does(lambda m, x: x.to(memory_format=torch.channels_last if ceil_mode else torch.contiguous_format)),
                Does(lambda m, x: (x.double() if ceil_mode else x.half()).float()),
            ]
        )
    )


@given(st.lists(layers(), min_size=2, max_size=8), st.integers(14, 20), st.integers(14, 20), st.data())
@settings(max_examples=80)
def test_remembered_shapes_are_those_of_a_real_pass(parts, height, width, data):
    # Layers may come twice: then their operations are answered from memory.
    again = data.draw(st.lists(st.sampled_from(parts), max_size=4))
    model = nn.Sequential(*parts, *again)
    try:
        expected = real_shapes(model, (height, width), CHANNELS)
    except RuntimeError:  # the map has become smaller than a window
        with pytest.raises(ValueError, match=r"layer '\d+"):
            trace(model, (height, width), CHANNELS)
        return
    found = trace(model, (height, width), CHANNELS)
    assert [(layer.name, layer.output_shape) for layer in found.layers] == expected


TWICE = {
    # Pairs of operations on tensors of the same shape that a careless memory would take for one another.
    "stride by position": (lambda x: F.max_pool2d(x, 2, 2), lambda x: F.max_pool2d(x, 2, 1)),
    "stride by name": (lambda x: F.max_pool2d(x, 2, stride=2), lambda x: F.max_pool2d(x, 2, padding=1)),
    "ceil_mode": (lambda x: F.avg_pool2d(x, 5, 3), lambda x: F.avg_pool2d(x, 5, 3, ceil_mode=True)),
    "dilation": (lambda x: F.max_pool2d(x, 3, 1, 0, 1), lambda x: F.max_pool2d(x, 3, 1, 0, 2)),
    "integer and float": (lambda x: x.argmax(1, True) * 1, lambda x: x.argmax(1, True) * 1.0),
    "integer and bool": (lambda x: (x > 0) * 1, lambda x: (x > 0) * True),
    "types that go in": (lambda x: x.double() + 1, lambda x: x.half() + 1),
    "types that come out": (lambda x: x.sum(1, dtype=torch.float64), lambda x: x.sum(1, dtype=torch.float16)),
    "sizes of views": (lambda x: x.reshape(1, 3, -1), lambda x: x.reshape(1, -1, 12)),
    "order in memory": (
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.contiguous(memory_format=torch.contiguous_format),
    ),
    "sizes of strided tensors": (lambda x: x.mT.contiguous(), lambda x: x.contiguous()),
    "keepdim": (lambda x: x.mean((2, 3), keepdim=True), lambda x: x.mean((2, 3))),
    "dims": (lambda x: x.flip(1).sum(1), lambda x: x.flip(1).sum(2)),
    "lists of tensors": (lambda x: torch.cat([x, x], 1), lambda x: torch.cat([x, x], 2)),
    "lists of indices": (lambda x: x[:, [0, 1]], lambda x: x[:, [0]]),
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("turned", [False, True])
def test_similar_operations_are_not_confused(name, turned):
    first, second = TWICE[name][::-1] if turned else TWICE[name]
    image = torch.zeros(1, 3, SIZE, SIZE)
    wanted = [first(image), second(image), first(image), second(image)]
    found = run(Does(lambda m, x: [first(x), second(x), first(x), second(x)]), (SIZE, SIZE), [Listing()])
    assert [(t.shape, t.dtype, t.stride()) for t in found] == [(t.shape, t.dtype, t.stride()) for t in wanted]


def test_what_shares_memory_with_its_argument_says_so():
    def forward(m, x):
        return [x.view(-1), x.mT.contiguous(), x.relu_(), x.relu(), x[0], x.half()]

    for _ in range(2):
        operations = listed(Does(forward)).operations
        shared = [(operation.name, operation.views) for operation in operations]
    assert shared == [
        ("view", True),
        ("mT", True),
        ("contiguous", False),
        ("relu", True),
        ("relu", False),
        ("select", True),
        ("to", False),
    ]


def test_operations_belong_to_the_innermost_call_and_calls_are_shown_in_order():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU()), Does(lambda m, x: m.part(x) + x, part=nn.ReLU())
    )
    listing = listed(model)
    assert [(operation.name, operation.call.name) for operation in listing.operations] == [
        ("conv2d", "0"),
        ("relu", "1.0"),
        ("relu", "2.part"),
        ("add", "2"),
    ]
    assert [operation.index for operation in listing.operations] == [0, 1, 2, 3]
    entered = [name for kind, name in listing.calls if kind == "enter"]
    assert entered == ["", "0", "1", "1.0", "2", "2.part"]
    assert [name for kind, name in listing.calls if kind == "leave"] == ["0", "1.0", "1", "2.part", "2", ""]


def test_a_module_that_the_model_does_not_contain_has_its_class_as_name():
    listing = listed(Does(lambda m, x: nn.ReLU()(x)))
    assert [name for kind, name in listing.calls if kind == "enter"] == ["", "[ReLU]"]


def test_a_layer_whose_error_its_parent_catches_is_left():
    def forward(m, x):
        try:
            m.wide(x)
        except RuntimeError:
            return m.narrow(x)

    found = trace(Does(forward, wide=nn.Conv2d(5, 4, 1), narrow=nn.Conv2d(3, 4, 1)), SIZE)
    assert [layer.name for layer in found.layers] == ["", "wide", "narrow"]
    assert found.macs == 144 * 12
    assert found.output_shape == (1, 4, SIZE, SIZE)


def test_hooks_of_the_model_itself_may_compute():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
    model.register_forward_hook(lambda module, inputs, output: output.mean())
    found = listed(model).operations
    assert [(operation.name, operation.call.name) for operation in found] == [
        ("mul", ""),
        ("conv2d", "0"),
        ("relu", "1"),
        ("mean", ""),
    ]


def test_large_parameters_may_be_viewed_and_written_into():
    def forward(m, x):
        first = m.table.view(-1)[0]
        turned = m.table.t().contiguous().add_(1)
        return x + first + turned.sum()

    model = Does(forward)
    model.table = nn.Parameter(torch.zeros(300, 400))
    assert trace(model, SIZE).output_shape == (1, 3, SIZE, SIZE)
    assert torch.count_nonzero(model.table) == 0


def test_the_input_has_the_type_of_the_model():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert listed(nn.Conv2d(3, 4, 3).to(dtype)).input.dtype is dtype
    assert listed(nn.ReLU()).input.dtype is torch.get_default_dtype()


def networks() -> list[nn.Module]:
    return [
        nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, k, padding=k // 2), nn.ReLU()) for _ in range(20)))
        for k in (1, 3, 5, 7)
    ]


def test_passes_in_several_threads_do_not_disturb_one_another():
    models = networks()
    alone = [(trace(model, SIZE), receptive_field(model, SIZE).size) for model in models]
    found: dict[int, list] = {number: [] for number in range(len(models))}
    start = threading.Barrier(len(models))

    def work(number: int) -> None:
        start.wait()
        for _ in range(5):
            found[number].append((trace(models[number], SIZE), receptive_field(models[number], SIZE).size))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [alone[number]] * 5 for number in range(len(models))}


def test_a_model_may_trace_another_one_while_it_is_traced():
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    alone, seen = trace(inner, SIZE), []

    def forward(m, x):
        seen.append(trace(inner, SIZE))
        seen.append(trace(inner, SIZE, training=True))
        assert receptive_field(inner, SIZE).size == (3, 3)
        return m.conv(x)

    found = trace(Does(forward, conv=nn.Conv2d(3, 2, 1)), SIZE, training=True)
    assert seen[0] == seen[2] == alone
    assert seen[1].training_bytes > 0
    assert [layer.name for layer in found.layers] == ["", "conv"]
    assert found.macs == 144 * 6
