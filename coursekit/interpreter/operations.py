"""What the interpreter shows: operations, and the module calls in which they happen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

__all__ = ["Kernel", "ModuleCall", "Observer", "Operation", "describe", "tensors_in"]


#: Pointwise by what they compute, but not marked so in PyTorch's table.
_POINTWISE = frozenset(
    f"aten::{name}"
    for name in """
        hardswish prelu _prelu_kernel log_sigmoid log_sigmoid_forward rsub floor_divide multiply subtract divide
        true_divide negative absolute greater greater_equal less less_equal not_equal fix polar complex isreal
        special_expit dropout alpha_dropout feature_dropout feature_alpha_dropout rrelu bernoulli clone contiguous
        detach alias to _to_copy type_as lift_fresh lift_fresh_copy where masked_fill tril triu
        """.split()
)


_VALUE_TAGS = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})

#: Needs values, but is not marked so in PyTorch's table.
_READS = frozenset({"is_nonzero", "item", "equal", "allclose"})


@dataclass(frozen=True)
class Kernel:
    """One entry of PyTorch's table of operations, such as ``aten::relu_``.

    Attributes:
        function: the entry itself.
        name: its name without ``aten::`` and, for an operation in place, without the underscore at the end: ``relu``.
            Operations of other libraries keep theirs: ``torchvision::nms``.
        in_place: the first argument is overwritten and is the result.
        pointwise: every output element depends on the input elements of the same (broadcast) place alone.
        mutates: it writes into an argument, in place or into one named ``out``.
        needs_values: what comes out (a Python number, a shape) depends on the values that go in.
        composite: PyTorch defines it by other operations, so it can be taken apart.
        is_view: the schema says that the result shares memory with an argument.
        reshapes_itself: it changes the shape or the strides of its first argument and no value, as ``unsqueeze_``.
    """

    function: OpOverload
    name: str
    in_place: bool
    mutates: bool
    pointwise: bool
    needs_values: bool
    composite: bool
    is_view: bool
    reshapes_itself: bool

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the arguments in the order of the schema."""
        return tuple(argument.name for argument in self.function._schema.arguments)

    @cached_property
    def written_names(self) -> tuple[str, ...]:
        """Names of the arguments that it writes into."""
        arguments = self.function._schema.arguments
        return tuple(one.name for one in arguments if one.alias_info is not None and one.alias_info.is_write)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Default of every argument that has one."""
        return {
            argument.name: argument.default_value
            for argument in self.function._schema.arguments
            if argument.has_default_value()
        }


@cache
def describe(function: OpOverload) -> Kernel:
    """What the dispatcher's table says about an operation."""
    schema = function._schema
    namespace, _, name = schema.name.partition("::")
    first = schema.arguments[0].alias_info if schema.arguments else None
    # ``where`` of a condition alone gives the places at which it holds.
    pointwise = torch.Tag.pointwise in function.tags or schema.name.removesuffix("_") in _POINTWISE
    in_place = first is not None and first.is_write and name.endswith("_") and not name.endswith("__")
    reshapes_itself = torch.Tag.inplace_view in function.tags
    return Kernel(
        function=function,
        name=(name.removesuffix("_") if in_place else name) if namespace == "aten" else schema.name,
        in_place=in_place,
        mutates=schema.is_mutable and not reshapes_itself,
        pointwise=pointwise and len(schema.arguments) > (schema.name == "aten::where"),
        # ``index`` with a list of indices has a known shape; with a mask its kernel asks for the values.
        needs_values=(not _VALUE_TAGS.isdisjoint(function.tags) and name != "index") or name in _READS,
        composite=function._can_decompose(),
        is_view=reshapes_itself
        or (not schema.is_mutable and any(result.alias_info is not None for result in schema.returns)),
        reshapes_itself=reshapes_itself,
    )


@dataclass(eq=False)
class ModuleCall:
    """One call of one module.

    Attributes:
        name: the module's dotted name in the model; empty for the model itself, the class in brackets for a module
            that the model does not contain.
        module: the module.
        parent: the call in which it happens; None for the model itself.
        index: number of the call, from 0, in the order in which calls begin.
    """

    name: str
    module: nn.Module
    parent: "ModuleCall | None"
    index: int

    @property
    def depth(self) -> int:
        """How many calls it stands in: 0 for the model itself."""
        return 0 if self.parent is None else self.parent.depth + 1

    def __str__(self) -> str:
        return f"layer {self.name!r}" if self.name else f"the model itself ({type(self.module).__name__})"


@dataclass(eq=False)
class Operation:
    """One operation that took place, with its meta tensors.

    Attributes:
        kernel: which operation.
        args: positional arguments as the model gave them; a tensor with data is a parameter, a buffer or a constant.
        kwargs: keyword arguments.
        result: what came out.
        call: the innermost module call.
        index: number of the operation, from 0.
        views: the result shares memory with an argument.
    """

    kernel: Kernel
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any
    call: ModuleCall
    index: int
    views: bool

    @property
    def name(self) -> str:
        """The operation's name, as in `Kernel.name`."""
        return self.kernel.name

    def argument(self, name: str, otherwise: Any = None) -> Any:
        """An argument by its name in the schema; its default if it was not given; ``otherwise`` if there is none."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = self.kernel.argument_names
        if name in names:
            place = names.index(name)
            if place < len(self.args):
                return self.args[place]
            return self.kernel.defaults.get(name, otherwise)
        return otherwise

    @cached_property
    def inputs(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return [*tensors_in(self.args), *tensors_in(self.kwargs)]

    @property
    def written(self) -> list[Tensor]:
        """Every tensor that the operation writes into."""
        return [tensor for name in self.kernel.written_names for tensor in tensors_in(self.argument(name))]

    @cached_property
    def outputs(self) -> list[Tensor]:
        """Every tensor in the result."""
        return list(tensors_in(self.result))


class Observer(Protocol):
    """What `run` calls while it goes through a model."""

    def understands(self, kernel: Kernel) -> bool:
        """Whether this operation is to be shown whole; if any observer says no, a composite one is taken apart."""
        ...

    def begin(self, inputs: Tensor) -> None:
        """The pass begins with this input."""
        ...

    def enter(self, call: ModuleCall) -> None:
        """A module is called."""
        ...

    def operation(self, operation: Operation) -> None:
        """An operation took place."""
        ...

    def leave(self, call: ModuleCall, output: Any) -> None:
        """A module returned."""
        ...


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in a tensor, a sequence, a mapping or an object with fields, however deep, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name))
