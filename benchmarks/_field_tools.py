"""Peers of `coursekit.receptive_field`: how each one is asked, at its fastest, and what its answer means.

All answer the same question: how many pixels of each axis of the image reach a position of a feature map, gates (those
of squeeze and excitation) set aside. A peer is prepared for a question (its network is built, its options are set); the
call that it returns is what is timed. Peers are optional: `Tool.load` gives None for one that is not installed.

Looked at and left out: openerf (weights of the field by gradients on photographs, no size), receptive-field-calculation
(1-D convolutions only, and its module hides rf-calc's), tools that are on no package index.
"""

import collections
import collections.abc
import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["TOOLS", "Question", "Size", "Tool"]

#: Pixels along each axis; None: the tool says that the whole axis is seen.
Size = tuple[int | None, ...]


@dataclass(frozen=True)
class Question:
    """A network, and the layer whose map is meant: the last one before global pooling.

    Attributes:
        name: of the network.
        build: makes it, with numbers in its weights.
        build_on_meta: makes it without.
        layer: name of the module.
        input_size: pixels along each axis.
        output_size: positions of the map along each axis.
        in_channels: of the image.
    """

    name: str
    build: Callable[[], nn.Module]
    build_on_meta: Callable[[], nn.Module]
    layer: str
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    in_channels: int = 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, with its channels."""
        return (self.in_channels, *self.input_size)


@dataclass(frozen=True)
class Tool:
    """A peer; ``prepare`` gives the call that is timed.

    Attributes:
        name: on PyPI.
        module: what to import.
        how: the call and the meaning of its answer, in a line.
        quick: takes seconds; others are asked about large networks only with ``--full``.
        forks: works in a fork of a process in which it has worked before.
    """

    name: str
    module: str
    how: str
    prepare: Callable[[ModuleType, Question], Callable[[], Size]]
    quick: bool = True
    forks: bool = True

    def load(self) -> ModuleType | None:
        """The peer's module, or None if it is not installed."""
        try:
            version(self.name)
        except PackageNotFoundError:
            return None
        # rfa-toolbox of 2022 takes it from where it lay before Python 3.10
        collections.Sequence = collections.abc.Sequence  # type: ignore[attr-defined]
        return importlib.import_module(self.module)


def prepare_torchlens(torchlens: ModuleType, question: Question) -> Callable[[], Size]:
    model, image = question.build(), torch.zeros(1, *question.shape)
    capture = torchlens.options.CaptureOptions(inference_only=True)  # saving no values would lose concatenations

    def extent(axis: Any) -> int | None:
        if axis.kind == "unknown":
            raise ValueError("unknown")
        return {"full": None, "pointwise": 1}.get(axis.kind, axis.size)

    def call() -> Size:
        field = torchlens.trace(model, image, capture=capture).modules[question.layer].receptive_field
        if field.axes is None:
            raise ValueError(str(field.status))
        return tuple(extent(axis) for axis in field.axes[2:])

    return call


def prepare_rfa_toolbox(rfa: ModuleType, question: Question) -> Callable[[], Size]:
    model = question.build()

    def call() -> Size:
        graph = rfa.create_graph_from_pytorch_model(model, input_res=(1, *question.shape))
        found = [[0] * len(question.input_size)]
        for node in graph.all_layers:
            for size in node.receptive_field_sizes:
                sizes = size if isinstance(size, tuple) else (size,) * len(question.input_size)
                if all(axis != float("inf") for axis in sizes):
                    found.append([int(axis) for axis in sizes])
        return tuple(map(max, zip(*found, strict=True)))

    return call


def prepare_torchscan(torchscan: ModuleType, question: Question) -> Callable[[], Size]:
    model = question.build_on_meta()

    def call() -> Size:
        layers = torchscan.crawl_module(model, question.shape)["layers"]
        leaves = [layer for layer in layers if layer["is_leaf"] and layer["output_shape"][2:] == question.output_size]
        return (round(leaves[-1]["rf"]),) * len(question.input_size)

    return call


def prepare_rf_calc(rf_calc: ModuleType, question: Question) -> Callable[[], Size]:
    model = question.build_on_meta()
    listed = [name for name, module in model.named_modules() if is_read_by_rf_calc(module)]
    inside = [name == question.layer or name.startswith(f"{question.layer}.") for name in listed]
    row = len(inside) - 1 - inside[::-1].index(True) if any(inside) else -1

    def call() -> Size:
        if row < 0:
            raise ValueError("it reads Conv2d and MaxPool2d only")
        table = rf_calc.receptive_field(model, question.input_size[0])
        return tuple(map(int, table["Receptive_field"].iloc[row].split("*")))

    return call


def is_read_by_rf_calc(module: nn.Module) -> bool:
    """It searches the printed network for these names."""
    return isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AdaptiveAvgPool2d)


def prepare_receptivefield(receptivefield: ModuleType, question: Question) -> Callable[[], Size]:
    model = linearised(question.build())
    largest = min(LARGEST_IMAGE, 8 * max(question.input_size))
    maps: list[Tensor] = []
    model.feature_maps = maps
    model.get_submodule(question.layer).register_forward_hook(lambda _module, _args, out: maps.append(out))

    def first() -> nn.Module:
        maps.clear()
        return model

    model.register_forward_pre_hook(lambda _module, _args: maps.clear())

    def call() -> Size:
        rows, columns = question.input_size  # two axes are all that it knows
        while True:
            peer = receptivefield.PytorchReceptiveField(first)
            found = peer.compute(input_shape=(rows, columns, question.in_channels))[0].rf.size
            if 2 * found.w <= rows and 2 * found.h <= columns:
                return int(found.w), int(found.h)
            rows, columns = 2 * rows, 2 * columns
            if max(rows, columns) > largest:
                raise ValueError(f"the field does not fit into {largest} pixels")

    return call


LARGEST_IMAGE = 900  # pixels; beyond it a gradient takes half a minute


def linearised(model: nn.Module) -> nn.Module:
    """What the package's documentation asks for: no dead units, averages instead of maxima, positive weights."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if isinstance(getattr(module, "running_mean", None), Tensor):
            module.reset_running_stats()
        for child, part in list(module.named_children()):
            if isinstance(part, nn.MaxPool2d) and part.dilation in (1, (1, 1)):
                pool = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
                setattr(module, child, pool)
            elif type(part).__module__ == "torch.nn.modules.activation" and not list(part.parameters()):
                setattr(module, child, nn.Identity())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 1 if name.endswith("weight") else 0.1)
    return model


TOOLS = (
    Tool(
        "torchlens",
        "torchlens",
        "trace(model, image).modules[layer].receptive_field; does not set gates aside: the whole axis is seen then",
        prepare_torchlens,
        forks=False,
    ),
    Tool(
        "rfa-toolbox",
        "rfa_toolbox",
        "create_graph_from_pytorch_model(model); the largest finite size of its nodes; gates are set aside by default",
        prepare_rfa_toolbox,
    ),
    Tool(
        "torchscan",
        "torchscan",
        "crawl_module(model, shape) on the meta device; rf of the last layer whose output has the map's size; one axis",
        prepare_torchscan,
    ),
    Tool(
        "rf-calc",
        "rf_calc",
        "receptive_field(model, side); reads the printed network; the row of the layer's last convolution or pooling",
        prepare_rf_calc,
    ),
    Tool(
        "receptivefield",
        "receptivefield.pytorch",
        f"gradients of a network made linear and positive, on growing images up to {LARGEST_IMAGE} pixels",
        prepare_receptivefield,
        quick=False,
    ),
)
