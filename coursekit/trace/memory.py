"""How many bytes of activations live at the same time.

A tensor lives as long as Python or the autograd graph holds it, on the meta device as on a real one. So a pass without
data shows the same lifetimes: a ledger notes when the memory of each tensor begins and, from its finaliser, when it
ends. Counted are the tensors that the model's operations make, and its input; parameters, gradients of parameters and
the scratch memory of a library's kernels are not.
"""

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.stateless import _reparametrize_module

from coursekit.interpreter.calls import CallStack
from coursekit.interpreter.execution import Execution
from coursekit.interpreter.loan import borrowed
from coursekit.interpreter.operations import Kernel, tensors_in
from coursekit.interpreter.run import ModelError
from coursekit.interpreter.sizes import make_input

__all__ = ["Ledger", "training_peak"]


class Ledger:
    """When the memory of each tensor begins and ends."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int]] = []  # number of the block, and bytes: negative where it ends
        self._blocks: dict[int, int] = {}  # address of a living storage -> number of its block
        self._references: list[weakref.ref] = []

    def add(self, tensors: Iterable[Tensor]) -> int:
        """Note the tensors whose memory is new, and give its bytes."""
        total = 0
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata in self._blocks:
                continue
            total += storage.nbytes()
            self._begin(storage)
        return total

    def peak(self, without: Iterable[Tensor] = ()) -> int:
        """The most bytes that live at once; the memory of the tensors ``without`` is left out."""
        left_out = {self._blocks.get(tensor.untyped_storage()._cdata) for tensor in without}
        live = most = 0
        for block, change in self._events:
            if block not in left_out:
                live += change
                most = max(most, live)
        return most

    def _begin(self, storage: torch.UntypedStorage) -> None:
        address, size, block = storage._cdata, storage.nbytes(), len(self._references)

        def end(_reference: weakref.ref) -> None:
            self._events.append((block, -size))
            self._blocks.pop(address, None)

        self._blocks[address] = block
        self._events.append((block, size))
        self._references.append(weakref.ref(storage, end))


@torch.inference_mode(False)
@torch.enable_grad()
@torch.autocast("cpu", enabled=False)
def training_peak(model: nn.Module, axes: tuple[int, ...], *, in_channels: int = 3, batch_size: int = 1) -> int:
    """The most bytes of activations and of their gradients at once, in one forward and one backward pass.

    The model runs in training mode, and what each operation keeps for its backward pass is what PyTorch's autograd
    keeps.

    Raises:
        ModelError: the model, or autograd, cannot run it without data; names the layer.
    """
    ledger = Ledger()

    def note(_kernel: Kernel, _args: Sequence[Any], _kwargs: Mapping[str, Any], result: Any, views: bool) -> None:
        if not views:
            ledger.add(tensors_in(result))

    inputs = make_input(model, axes, in_channels, batch_size)
    twins = _twins(model)
    ledger.add([inputs, *twins.values()])
    calls = CallStack(model, lambda _call: None, lambda _call, _output: None)
    try:
        # Checkpointed layers run again in the backward pass, so the twins stay in place until it is over.
        with (
            borrowed(model, training=True),
            _reparametrize_module(model, twins, tie_weights=True),
            calls.listening(),
            Execution(lambda _kernel: True, note),
        ):
            outputs = model(inputs)
            ends = [tensor for tensor in tensors_in(outputs) if tensor.requires_grad]
            if ends:
                torch.autograd.backward(ends, [torch.ones_like(tensor) for tensor in ends])
    except Exception as error:
        place = str(calls.current) if calls else "the backward pass"
        shape = tuple(inputs.shape)
        raise ModelError(
            f"in training mode {place} raised {type(error).__name__} for an input of shape {shape}: {error}"
        ) from error
    gradients = [twin.grad for twin in twins.values() if twin.grad is not None]
    return ledger.peak(without=[*twins.values(), *gradients])


def _twins(model: nn.Module) -> dict[str, Tensor]:
    """A parameter or buffer without data for each of the model's; tied ones stay tied."""
    known: dict[int, Tensor] = {}
    twins = {}
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for name, tensor in named:
        if id(tensor) not in known:
            twin = torch.empty_like(tensor, device="meta")
            known[id(tensor)] = twin.requires_grad_(tensor.requires_grad)
        twins[name] = known[id(tensor)]
    return twins
