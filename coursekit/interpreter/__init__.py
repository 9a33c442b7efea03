"""One pass over the tensor operations of any model, without memory and without arithmetic.

`run` sends an input without data (a tensor on PyTorch's *meta* device) through a model and shows every operation, with
the module it happens in, to one or more `Observer`. What they make of it is their affair: `coursekit.trace` counts,
`coursekit.receptive_field` follows pixels. Because operations are seen, not module classes, functional calls, residual
sums and modules of other libraries need no special case.

The modules read in this order: `operations` (what an observer sees), `sizes` (the input), `loan` (the caller's model
comes back as it was), `calls` (which module is at work), `shortcuts` and `execution` (how one operation is done without
data), `run`.
"""

from coursekit.interpreter.operations import ModuleCall, Observer, Operation, tensors_in
from coursekit.interpreter.run import ModelError, run
from coursekit.interpreter.sizes import input_axes

__all__ = ["ModelError", "ModuleCall", "Observer", "Operation", "input_axes", "run", "tensors_in"]
