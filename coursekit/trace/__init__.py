"""What a network costs: shapes, parameters, multiply-accumulates and activation memory of every layer, from one pass.

The modules read in this order: `macs` (what each operation multiplies), `memory` (how long each tensor lives),
`report` (`Layer` and `Trace`), `tracing` (`trace`).
"""

from coursekit.trace.report import Layer, Trace
from coursekit.trace.tracing import trace

__all__ = ["Layer", "Trace", "trace"]
