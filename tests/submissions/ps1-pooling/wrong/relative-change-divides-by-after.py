"""Divides by the size of the changed output."""

LOSES = ["test-relative-change"]


# %% relative-change
def relative_change(before: Tensor, after: Tensor) -> float:
    difference = (after - before).norm().item()
    return difference / after.norm().item() if difference else 0.0
