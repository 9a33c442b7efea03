"""The values of a window come column by column; poolings do not mind the order."""

LOSES = ["test-window-view-values", "test-window-view-inputs"]


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    height, width = pair(kernel_size)
    down, right = pair(kernel_size if stride is None else stride)
    return x.unfold(2, height, down).unfold(3, width, right).transpose(-1, -2).flatten(-2)
