"""Follow the pixels through a pass: the field of every tensor, also where memory is shared or overwritten."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_map_only

from coursekit.interpreter import ModuleCall, Operation, tensors_in
from coursekit.interpreter.operations import Kernel
from coursekit.receptive_field.fields import Field, constant, input_field
from coursekit.receptive_field.intervals import FAR
from coursekit.receptive_field.rules import rule_for
from coursekit.receptive_field.rules.moves import UnknownGeometryError
from coursekit.receptive_field.writing import written

__all__ = ["Follower", "Reached"]


@dataclass(frozen=True, eq=False)
class Reached:
    """What is known about a tensor.

    Attributes:
        field: what reaches it; None if that cannot be told.
        problem: the operation of unknown geometry, and its layer, if ``field`` is None.
        layer: name of the innermost module in which it was made.
        index: number of the operation that made it.
        map: the last feature map on the way to it: itself, if it is one.
    """

    field: Field | None
    problem: str
    layer: str
    index: int
    map: "Reached | None"


@dataclass(eq=False)
class _Memory:
    """A piece of memory that an operation filled, and what was written there last."""

    content: Reached
    generation: int = 0


@dataclass(eq=False)
class _View:
    """A tensor that shows part of another one's memory: what it holds is read when it is asked for."""

    base: "_Holder"
    operation: Operation
    number: int
    seen: tuple[int, Reached] | None = None


_Holder: TypeAlias = _Memory | _View

#: Where a tensor carries what is known about it.
_NAME = "_coursekit_reached"


class Follower:
    """The observer behind `receptive_field`.

    Args:
        wanted: names of the layers whose output is to be kept; None for all of them.
    """

    def __init__(self, wanted: Iterable[str] | None) -> None:
        self._wanted = None if wanted is None else frozenset(wanted)
        self._axes = 0
        #: What each named layer returned (in its last call), tensor by tensor, in the order of the calls.
        self.outputs: dict[str, list[Reached]] = {}
        self.kinds: dict[str, str] = {}
        #: Buffers of the model that it wrote into, by the address of their memory.
        self._overwritten: dict[int, Reached] = {}

    def understands(self, kernel: Kernel) -> bool:
        return rule_for(kernel) is not None

    def begin(self, inputs: Tensor) -> None:
        self._axes = inputs.ndim - 2
        field = input_field(inputs.shape)
        reached = Reached(field, "", "input", -1, None)
        vars(inputs)[_NAME] = _Memory(replace(reached, map=reached))

    def enter(self, call: ModuleCall) -> None:
        """Nothing happens until an operation does."""

    def operation(self, operation: Operation) -> None:
        if operation.kernel.mutates:
            self._overwrite(operation)
        elif operation.views:
            self._share(operation)
        else:
            for output, reached in zip(operation.outputs, self._follow(operation), strict=True):
                vars(output)[_NAME] = _Memory(reached)

    def leave(self, call: ModuleCall, output: Any) -> None:
        if self._wanted is None or call.name in self._wanted:
            self.outputs.pop(call.name, None)
            self.outputs[call.name] = [self._read(tensor) for tensor in tensors_in(output)]
            self.kinds[call.name] = type(call.module).__name__

    def _share(self, operation: Operation) -> None:
        """The result is a view of the first argument, or that itself."""
        source = operation.inputs[0]
        holder = vars(source).get(_NAME)
        outputs = operation.outputs
        if holder is None or any(output is source for output in outputs):
            return
        # The model may change the shape of the result in place; what the operation gave is kept.
        shown = replace(operation, result=tree_map_only(Tensor, Tensor.detach, operation.result))
        for number, output in enumerate(outputs):
            vars(output)[_NAME] = _View(holder, shown, number)

    def _overwrite(self, operation: Operation) -> None:
        """An operation in place, or into ``out``, changes all that shows the memory it writes into."""
        results = self._follow(operation)
        if len(operation.written) != len(results):
            results = [self._unknown(operation, operation.name)] * len(operation.written)
        for target, reached in zip(operation.written, results, strict=True):
            holder = vars(target).get(_NAME)
            if holder is not None:
                self._write(holder, reached, operation)
            elif target.is_meta:
                vars(target)[_NAME] = _Memory(reached)
            elif reached.field is None or not reached.field.is_constant:
                # The model's own memory, where no content can be kept from pass to pass.
                storage = target.untyped_storage()._cdata
                self._overwritten[storage] = self._unknown(operation, f"{operation.name} into a buffer of the model")

    def _write(self, holder: _Holder, new: Reached, operation: Operation) -> None:
        while isinstance(holder, _View):
            base = self._content(holder.base)
            if new.field is None or base.field is None:
                new = new if new.field is None else base
            else:
                old = self._content(holder).field
                field = (
                    base.field if new.field is old else written(base.field, holder.operation, holder.number, new.field)
                )
                if field is None:
                    new = self._unknown(operation, f"{operation.name} into a {holder.operation.name} of a tensor")
                else:
                    new = self._known(operation, field, [base, new])
            holder = holder.base
        holder.content = new
        holder.generation += 1

    def _read(self, tensor: Tensor) -> Reached:
        holder = vars(tensor).get(_NAME)
        if holder is None and self._overwritten and not tensor.is_meta:
            overwritten = self._overwritten.get(tensor.untyped_storage()._cdata)
            if overwritten is not None:
                return overwritten
        if holder is None:
            return Reached(constant(tensor.shape, self._axes), "", "", -1, None)
        return self._content(holder)

    def _content(self, holder: _Holder) -> Reached:
        if isinstance(holder, _Memory):
            return holder.content
        generation = _generation(holder)
        if holder.seen is None or holder.seen[0] != generation:
            base = self._content(holder.base)
            source = holder.operation.inputs[0]
            reached = self._follow(holder.operation, {id(source): base})[holder.number]
            holder.seen = (generation, reached)
        return holder.seen[1]

    def _follow(self, operation: Operation, known: dict[int, Reached] | None = None) -> list[Reached]:
        """What is known about each result of an operation."""
        known = known or {}
        sources = [known.get(id(tensor)) or self._read(tensor) for tensor in operation.inputs]
        outputs = operation.outputs
        problem = next((source for source in sources if source.field is None), None)
        if problem is not None:
            return [replace(problem, index=operation.index)] * len(outputs)
        reads = {id(tensor): source.field for tensor, source in zip(operation.inputs, sources, strict=True)}
        rule = rule_for(operation.kernel)
        if all(_is_untouched(field) for field in reads.values()):
            return [self._known(operation, constant(output.shape, self._axes), sources) for output in outputs]
        if rule is None:
            fields = [_anything(reads.values(), output.shape, self._axes) for output in outputs]
            if None in fields:
                return [self._unknown(operation, operation.name)] * len(outputs)
            return [self._known(operation, field, sources) for field in fields]
        try:
            result = rule(operation, lambda tensor: reads.get(id(tensor)) or constant(tensor.shape, self._axes))
        except UnknownGeometryError as error:
            return [self._unknown(operation, f"{operation.name} ({error})")] * len(outputs)
        fields = [result] if isinstance(result, Field) else result
        return [self._known(operation, field, sources) for field in fields]

    def _known(self, operation: Operation, field: Field, sources: Sequence[Reached]) -> Reached:
        layer = operation.call.name
        reaching = [source for source in sources if source.field is not None and not source.field.is_constant]
        if not layer and operation.kernel.pointwise and len(reaching) == 1:
            # A function of one tensor outside of all modules (a ReLU) keeps the name of the layer before it.
            layer = reaching[0].layer
        reached = Reached(field, "", layer, operation.index, None)
        if field.is_map and not _ends_the_maps(operation):
            return replace(reached, map=reached)
        maps = [source.map for source in sources if source.map is not None]
        return replace(reached, map=max(maps, key=lambda one: one.index, default=None))

    def _unknown(self, operation: Operation, what: str) -> Reached:
        problem = f"{what} in {operation.call}"
        return Reached(None, problem, operation.call.name, operation.index, None)


def _is_untouched(field: Field) -> bool:
    """Whether no pixel reaches any element, as with parameters and what is computed from them."""
    return all(not axis.local and axis.exact[0].size == 1 and axis.exact.min() >= FAR for axis in field.axes)


def _anything(fields: Iterable[Field], shape: Sequence[int], axes: int) -> Field | None:
    """The result of an operation without a rule: what reaches all elements of its arguments alike.

    None if they differ or have positions: then it counts which elements the operation takes.
    """
    result = constant(shape, axes)
    for field in fields:
        if any(axis.local or axis.exact[0].size > 1 for axis in field.axes):
            return None
        parts = [axis.exact.reshape(-1, *[1] * len(shape)) for axis in field.axes]
        result = replace(
            result,
            axes=tuple(
                replace(axis, exact=np.minimum(axis.exact, part)) for axis, part in zip(result.axes, parts, strict=True)
            ),
        )
    return result


def _generation(holder: _Holder) -> int:
    while isinstance(holder, _View):
        holder = holder.base
    return holder.generation


def _ends_the_maps(operation: Operation) -> bool:
    """Pooling to a fixed number of outputs, or by one window over everything, is where a classifier's head begins."""
    if operation.name.startswith("adaptive_"):
        return True
    if not operation.name.startswith("avg_pool"):
        return False
    source, result = operation.inputs[0], operation.outputs[0]
    axes = int(operation.name.removeprefix("avg_pool")[0])
    return all(length == 1 for length in result.shape[-axes:]) and any(length > 1 for length in source.shape[-axes:])
