"""Counts a last window that does not fit."""

LOSES = ["test-output-size"]


# %% output-size
def output_size(size: int, kernel_size: int, stride: int | None = None) -> int:
    if kernel_size > size:
        raise ValueError("the window does not fit")
    return math.ceil((size - kernel_size) / (stride or kernel_size)) + 1
