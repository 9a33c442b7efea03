"""The pass that counts."""

from typing import Any

from torch import Tensor, nn

from coursekit.interpreter import ModuleCall, Operation, input_axes, run, tensors_in
from coursekit.interpreter.operations import Kernel
from coursekit.trace.macs import is_countable, macs_of
from coursekit.trace.memory import Ledger, training_peak
from coursekit.trace.report import Layer, Trace

__all__ = ["trace"]


def trace(
    model: nn.Module,
    input_size: int | tuple[int, ...] = 224,
    in_channels: int = 3,
    *,
    batch_size: int = 1,
    training: bool = False,
) -> Trace:
    """Shapes, parameters, MACs and activation memory of every layer, from one pass without data.

    Every operation is seen, also those that no module stands for: functional calls, matrix products, residual sums.
    The model is left as it was and may lie on any device. It runs in evaluation mode.

    Args:
        model: takes one tensor (N, C, *axes).
        input_size: pixels: an int for a square picture, or one int for each spatial axis, such as (224, 320).
        in_channels: channels of the input.
        batch_size: examples in the input; MACs and memory grow with it.
        training: measure ``training_bytes`` as well, by a forward and a backward pass in training mode.

    Returns:
        A `Trace`; print it, show it in a notebook, or take ``to_pandas()``.

    Raises:
        TypeError: ``model`` is no module, or a size is no integer.
        ValueError: a size below 1, a lazy module, or a model that cannot run on this input; names the layer.
    """
    counter = _Counter()
    axes = input_axes(input_size)
    run(model, axes, [counter], in_channels=in_channels, batch_size=batch_size)
    layers = counter.layers()
    root = layers[0]
    return Trace(
        model=type(model).__name__,
        input_shape=counter.input_shape,
        output_shape=root.output_shape,
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=root.macs,
        activation_bytes=root.activation_bytes,
        peak_bytes=counter.ledger.peak(),
        training_bytes=training_peak(model, axes, in_channels=in_channels, batch_size=batch_size) if training else None,
        partial=tuple(counter.uncounted),
        layers=layers,
    )


class _Counter:
    """The observer behind `trace`: what each call does itself, added up over what it contains in the end."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.input_shape: tuple[int, ...] = ()
        self.uncounted: dict[str, None] = {}  # a set that keeps its order
        self._calls: list[ModuleCall] = []
        self._macs: list[int] = []
        self._bytes: list[int] = []
        self._shapes: dict[int, tuple[int, ...] | None] = {}

    def understands(self, kernel: Kernel) -> bool:
        return is_countable(kernel)

    def begin(self, inputs: Tensor) -> None:
        self.input_shape = tuple(inputs.shape)
        self.ledger.add([inputs])

    def enter(self, call: ModuleCall) -> None:
        self._calls.append(call)
        self._macs.append(0)
        self._bytes.append(0)

    def operation(self, operation: Operation) -> None:
        count = macs_of(operation)
        if count is None:
            self.uncounted[operation.name] = None
        elif count:
            self._macs[operation.call.index] += count
        if not operation.views:
            self._bytes[operation.call.index] += self.ledger.add(operation.outputs)

    def leave(self, call: ModuleCall, output: Any) -> None:
        first = next(tensors_in(output), None)
        self._shapes[call.index] = None if first is None else tuple(first.shape)

    def layers(self) -> tuple[Layer, ...]:
        """A row for each call; what a call contains comes after it, so adding backwards adds up everything."""
        params, macs, filled = _own_parameters(self._calls), list(self._macs), list(self._bytes)
        for call in reversed(self._calls):
            if call.parent is not None:
                for column in (params, macs, filled):
                    column[call.parent.index] += column[call.index]
        return tuple(
            Layer(
                name=call.name,
                kind=type(call.module).__name__,
                depth=call.depth,
                output_shape=self._shapes.get(call.index),
                params=params[call.index],
                macs=macs[call.index],
                activation_bytes=filled[call.index],
            )
            for call in self._calls
        )


def _own_parameters(calls: list[ModuleCall]) -> list[int]:
    """Elements of the parameters that each call brings in: its module's own and those of parts that are never called.

    A part that is never called lends its parameters to the module around it, as the output projection of
    ``nn.MultiheadAttention`` does. A parameter counts in the first call that has it.
    """
    called = {id(call.module) for call in calls}
    seen: set[int] = set()

    def elements(module: nn.Module) -> int:
        total = 0
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                total += parameter.numel()
        return total + sum(elements(part) for part in module.children() if id(part) not in called)

    return [elements(call.module) for call in calls]
