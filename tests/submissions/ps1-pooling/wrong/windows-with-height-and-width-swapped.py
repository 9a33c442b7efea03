"""Takes a pair as (columns, rows)."""

LOSES = ["test-window-view-inputs", "test-lp-inputs", "test-mixed-inputs", "test-stochastic-inputs"]


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    width, height = pair(kernel_size)
    right, down = pair(kernel_size if stride is None else stride)
    return x.unfold(2, height, down).unfold(3, width, right).flatten(-2)
