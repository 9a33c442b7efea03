"""Which rule an operation has."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

from coursekit.interpreter.operations import Kernel, Operation
from coursekit.receptive_field.fields import Field, constant, join
from coursekit.receptive_field.rules.moves import MOVES
from coursekit.receptive_field.rules.shuffles import SHUFFLES
from coursekit.receptive_field.rules.sums import SUMS
from coursekit.receptive_field.rules.windows import WINDOWS

__all__ = ["FieldOf", "Rule", "rule_for"]

FieldOf: TypeAlias = Callable[[Tensor], Field]
Rule: TypeAlias = Callable[[Operation, FieldOf], Field | Sequence[Field]]

#: Results that no pixel reaches, whatever is in the first argument: only its shape counts.
_CONSTANTS = frozenset(
    """
        empty zeros ones full arange linspace rand randn randint randperm eye scalar_tensor empty_like zeros_like
        ones_like full_like rand_like randn_like new_empty new_zeros new_ones new_full empty_strided
        new_empty_strided zero fill uniform normal tril_indices triu_indices
        """.split()
)


def rule_for(kernel: Kernel) -> Rule | None:
    """The rule of an operation; None if its geometry is unknown."""
    if kernel.name in _CONSTANTS:
        return _filled
    for family in (WINDOWS, SUMS, MOVES, SHUFFLES):
        if kernel.name in family:
            return family[kernel.name]
    return _pointwise if kernel.pointwise or kernel.name == "copy" else None


def _pointwise(operation: Operation, field_of: FieldOf) -> Field | Sequence[Field]:
    """Each element comes from the elements at the same place of all arguments."""
    inputs = operation.inputs
    if operation.name == "copy":  # the old content is overwritten
        inputs = inputs[1:]
    elif operation.name == "type_as":  # only the type of the second argument counts
        inputs = inputs[:1]
    fields = [field_of(tensor) for tensor in inputs]
    where = f"{operation.name} in {operation.call}"
    joined = [join(fields, tuple(output.shape), where) for output in operation.outputs]
    return joined[0] if isinstance(operation.result, Tensor) else joined


def _filled(operation: Operation, field_of: FieldOf) -> Field:
    """The old content of the first argument makes no difference, unless it is the mean of a normal distribution."""
    shape = tuple(operation.result.shape)
    nothing = constant(shape, len(field_of(operation.result).axes))
    values = [field_of(tensor) for tensor in operation.inputs]
    return join([nothing, *(values[1:] if operation.kernel.in_place or operation.name != "normal" else values)], shape)
