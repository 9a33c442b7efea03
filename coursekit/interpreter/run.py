"""The pass itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from coursekit.interpreter.calls import CallStack
from coursekit.interpreter.execution import DataNeededError, Execution, ListIndices
from coursekit.interpreter.loan import borrowed, check_model
from coursekit.interpreter.operations import Kernel, ModuleCall, Observer, Operation
from coursekit.interpreter.sizes import make_input

__all__ = ["ModelError", "run"]


class ModelError(ValueError):
    """The model cannot be passed through; the message names the layer and the reason."""


def run(
    model: nn.Module, axes: tuple[int, ...], observers: Sequence[Observer], *, in_channels: int = 3, batch_size: int = 1
) -> Any:
    """Send an input without data through a model in evaluation mode.

    Args:
        model: any module that takes one tensor (N, C, *axes). It is left as it was: mode, hooks, parameters, buffers.
        axes: size of every spatial axis in pixels.
        observers: are told of every operation.
        in_channels: C.
        batch_size: N.

    Returns:
        What the model returned, with meta tensors.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: a lazy module without a shape.
        ModelError: the model raised, or it decides by the values of a tensor; names the layer.
    """
    check_model(model)
    inputs = make_input(model, axes, in_channels, batch_size)
    walk = _Walk(model, observers)
    for observer in observers:
        observer.begin(inputs)
    execution = Execution(walk.understood, walk.operation)
    with torch.inference_mode(), torch.autocast("cpu", enabled=False), borrowed(model), walk.calls.listening():
        try:
            with ListIndices(), execution:
                return model(inputs)
        except DataNeededError as error:
            raise ModelError(
                f"{walk.place} asks for the values of a tensor, as `if x.sum() > 0` and `x.item()` do ({error}); "
                "a pass without data has none"
            ) from error
        except Exception as error:
            doing = f" in {execution.failed}" if execution.failed else ""
            shape = tuple(inputs.shape)
            raise ModelError(
                f"{walk.place} raised {type(error).__name__}{doing} for an input of shape {shape}: {error}"
            ) from error


class _Walk:
    """Passes on to every observer what happens."""

    def __init__(self, model: nn.Module, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._count = 0
        self.calls = CallStack(model, self._enter, self._leave)

    @property
    def place(self) -> str:
        """Where the pass is, in words."""
        return str(self.calls.current) if self.calls else "the model"

    def understood(self, kernel: Kernel) -> bool:
        return all(observer.understands(kernel) for observer in self._observers)

    def operation(
        self, kernel: Kernel, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any, views: bool
    ) -> None:
        operation = Operation(kernel, args, kwargs, result, self.calls.current, self._count, views)
        self._count += 1
        for observer in self._observers:
            observer.operation(operation)

    def _enter(self, call: ModuleCall) -> None:
        for observer in self._observers:
            observer.enter(call)

    def _leave(self, call: ModuleCall, output: Any) -> None:
        for observer in self._observers:
            observer.leave(call, output)
