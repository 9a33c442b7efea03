"""How much of the input each position of a feature map sees: size, stride, start and centres, for any CNN.

The modules read in this order: `taps` (which inputs feed an output, along one axis), `intervals` (exact, per position),
`planes` (the closed form), `layout` (reshaping), `fields` (both together, and the basic moves), `rules` (one for each
operation), `writing` and `observer` (the pass), `report` (`ReceptiveField`), `measure` (`receptive_field`).

Beside them stands the check that knows nothing of them: `nan_flow`, `probe` and `perturbation` measure what a real
network depends on, `verification` compares, and `effective` weighs the pixels of a field by gradients.
"""

from coursekit.receptive_field.effective import EffectiveReceptiveField, effective_receptive_field
from coursekit.receptive_field.measure import receptive_field, receptive_fields
from coursekit.receptive_field.perturbation import perturbed_bounds, unclipped_field, unclipped_size
from coursekit.receptive_field.report import ReceptiveField, ReceptiveFields
from coursekit.receptive_field.verification import VerificationError

__all__ = [
    "EffectiveReceptiveField",
    "ReceptiveField",
    "ReceptiveFields",
    "VerificationError",
    "effective_receptive_field",
    "perturbed_bounds",
    "receptive_field",
    "receptive_fields",
    "unclipped_field",
    "unclipped_size",
]
