"""One rule for each operation: from what reaches its arguments to what reaches its result.

`windows` has what slides or resizes, `sums` what contracts, reduces or normalises, `moves` what only rearranges,
`shuffles` what copies or regroups, and `table` finds the rule of an operation.
"""

from coursekit.receptive_field.rules.table import Rule, rule_for

__all__ = ["Rule", "rule_for"]
