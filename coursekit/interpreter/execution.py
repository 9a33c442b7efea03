"""How a single operation is done without data: on meta tensors, and the second time from memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from coursekit.interpreter.operations import Kernel, describe, tensors_in
from coursekit.interpreter.shortcuts import shortcut

__all__ = ["DataNeededError", "Execution", "ListIndices"]

#: Tensors with data up to this many elements are computed with, so that tables of indices keep their values.
_SMALL = 1 << 16

#: Operations that make or move a small table of numbers.
_TABLES = frozenset({"arange", "linspace", "eye", "scalar_tensor", "tril_indices", "triu_indices", "to", "_to_copy"})


class DataNeededError(Exception):
    """An operation asks for values, and a pass without data has none."""


class ListIndices(TorchFunctionMode):
    """Keeps the values of ``x[:, [2, 0, 1]]`` and ``torch.tensor([2, 0, 1], device=x.device)``.

    PyTorch would put the list where x lies, on a device without data.
    """

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__getitem__:
            source, index = args
            index = tuple(map(_listed, index)) if isinstance(index, tuple) else _listed(index)
            args = (source, index)
        elif func in (torch.tensor, torch.as_tensor) and str((kwargs or {}).get("device")) == "meta":
            kwargs = {**kwargs, "device": "cpu"}
        return func(*args, **(kwargs or {}))


def _listed(index: Any) -> Any:
    return torch.tensor(index) if isinstance(index, list) and index else index


class Execution(TorchDispatchMode):
    """Shows each operation to a callback and does it on meta tensors.

    Under ``torch.inference_mode`` it sees whole operations (a convolution, a batch normalisation) as the model calls
    them. Meta kernels cost more than what they compute, so results are remembered: an operation that was seen with the
    same shapes and settings is answered with an empty tensor of the known shape.

    Args:
        understood: whether an operation is to be shown whole; otherwise a composite one is taken apart.
        show: called with the kernel, its arguments, its result and whether the result shares memory with an argument.
    """

    def __init__(
        self,
        understood: Callable[[Kernel], bool],
        show: Callable[[Kernel, Sequence[Any], Mapping[str, Any], Any, bool], None],
    ) -> None:
        super().__init__()
        self._understood = understood
        self._show = show
        #: The operation that raised, and the shapes that went in; empty if none did.
        self.failed = ""
        self._known: dict[Any, Any] = {}
        self._whole: dict[OpOverload, bool] = {}
        #: Memory with data that the pass made itself, by address; kept, so that no address stands for two.
        self._made: dict[int, torch.UntypedStorage] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep PyTorch from importing its compiler, which takes seconds, only to switch it off for this mode."""
        return False

    def __torch_dispatch__(
        self, func: OpOverload, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kernel = describe(func)
        if func not in self._whole:
            self._whole[func] = self._understood(kernel) or not kernel.composite
        if not self._whole[func]:
            with self:
                return func.decompose(*args, **kwargs)
        if kernel.reshapes_itself and (args[0].is_meta or self._is_made(args[0])):
            return self._reshape_in_place(kernel, args, kwargs)
        key = _signature(func, args, kwargs)
        known = self._known.get(key) if key is not None else None
        if known is None:
            result, views = self._execute(kernel, args, kwargs, key)
        elif known is _SAME:
            result, views = args[0], True
        else:
            result, views = torch.empty_strided(known[0], known[1], dtype=known[2], device="meta"), False
        self._show(kernel, args, kwargs, result, views)
        return result

    def _reshape_in_place(self, kernel: Kernel, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """``x.unsqueeze_(1)`` makes x a view of what it was, so that is what is shown."""
        before = args[0].detach()
        vars(before).update(vars(args[0]))
        self.failed = _in_words(kernel, [before], {})
        kernel.function(*args, **kwargs)
        self.failed = ""
        self._show(kernel, (before, *args[1:]), kwargs, args[0], True)
        return args[0]

    def _is_made(self, tensor: Tensor) -> bool:
        """Whether the pass made the memory of a tensor with data; if not, it is the model's or the caller's."""
        return not tensor.is_meta and tensor.untyped_storage()._cdata in self._made

    def _note_made(self, kernel: Kernel, result: Any, inputs: Sequence[Tensor]) -> None:
        """Remember memory with data that an operation filled, or took over from `torch.tensor`."""
        taken = set() if kernel.name == "lift_fresh" else {one.untyped_storage()._cdata for one in inputs}
        for tensor in tensors_in(result):
            storage = tensor.untyped_storage()
            if not tensor.is_meta and storage._cdata not in taken:
                self._made[storage._cdata] = storage

    def _execute(self, kernel: Kernel, args: Sequence[Any], kwargs: Mapping[str, Any], key: Any) -> tuple[Any, bool]:
        """Do an operation that was not seen before, and remember it where the result is one new meta tensor."""
        inputs = [*tensors_in(args), *tensors_in(kwargs)]
        if kernel.name in _TABLES and not any(tensor.is_meta for tensor in inputs):
            # A table of indices or coordinates that the model makes where its input lies keeps its values.
            args, kwargs = _on_cpu(args, kwargs)
        without_data = any(tensor.is_meta for tensor in inputs)
        masked = kernel.name == "index" and any(one.is_meta and one.dtype == torch.bool for one in inputs[1:])
        if masked or (without_data and kernel.needs_values):
            raise DataNeededError(kernel.name)
        if without_data or any(tensor.numel() > _SMALL for tensor in inputs):
            args, kwargs = tree_map_only(Tensor, _twin, (args, kwargs))
            if kwargs.get("device") is not None:  # moving to the device of a parameter
                kwargs = {**kwargs, "device": torch.device("meta")}
            if kernel.name == "to":
                args = tuple(torch.device("meta") if isinstance(arg, torch.device) else arg for arg in args)
        elif kernel.mutates:
            # Small constants of the pass are worked with, but a buffer of the model is never written into.
            args, kwargs = tree_map_only(
                Tensor, lambda tensor: tensor if self._is_made(tensor) else tensor.clone(), (args, kwargs)
            )
        result = shortcut(kernel, args, list(tensors_in((args, kwargs)))) if without_data else None
        if result is None:
            self.failed = _in_words(kernel, args, kwargs)
            result = kernel.function(*args, **kwargs)
            self.failed = ""
        if not without_data:
            self._note_made(kernel, result, inputs)
        if not isinstance(result, Tensor):
            return result, kernel.is_view
        same = bool(args) and result is args[0]
        storage = result.untyped_storage()._cdata
        views = any(tensor.untyped_storage()._cdata == storage for tensor in tensors_in((args, kwargs)))
        if not result.is_meta:
            return result, views
        if key is not None and same and inputs[0].is_meta:
            self._known[key] = _SAME
        elif key is not None and not views and not kernel.mutates:
            self._known[key] = (result.shape, result.stride(), result.dtype)
        return result, views


#: Marks an operation whose result is its first argument.
_SAME = object()


def _on_cpu(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The same arguments with the CPU in place of any device."""
    cpu = torch.device("cpu")
    moved = tuple(cpu if isinstance(arg, torch.device) else arg for arg in args)
    return moved, {name: cpu if isinstance(value, torch.device) else value for name, value in kwargs.items()}


def _in_words(kernel: Kernel, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The operation and the shapes that went in, by the names of PyTorch's schema."""
    named = {**dict(zip(kernel.argument_names, args, strict=False)), **kwargs}
    shapes = [f"{name} {tuple(value.shape)}" for name, value in named.items() if isinstance(value, Tensor)]
    return f"{kernel.name} of {', '.join(shapes)}" if shapes else kernel.name


def _twin(tensor: Tensor) -> Tensor:
    """A tensor without data of the same shape, strides and type."""
    if tensor.is_meta:
        return tensor
    # Views of a parameter are views of its twin, and PyTorch makes no view of an ordinary tensor from an inference one.
    with torch.inference_mode(False):
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _signature(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What the shape of the result depends on; None if it may depend on values or no tensor goes in."""
    key: list[Any] = [func]
    without_data = False
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind is tuple or kind is list:
            if any(isinstance(item, Tensor) for item in value):
                return None
            key.append(tuple(value))
        elif isinstance(value, Tensor):
            without_data = without_data or value.is_meta
            key.append((value.shape, value.stride(), value.dtype))
        else:
            key.append(kind)  # 1, 1.0 and True are equal, but the type of the result differs
            key.append(value)
    if not without_data:
        return None
    key.extend(kwargs)
    return tuple(key)
