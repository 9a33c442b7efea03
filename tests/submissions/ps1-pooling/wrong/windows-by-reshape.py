"""A reshape into tiles: works only side by side and where the kernel divides the size; later layers inherit it."""

LOSES = ["test-window-view-inputs", "test-lp-inputs", "test-mixed-inputs", "test-stochastic-inputs"]


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    n, c, h, w = x.shape
    kh, kw = pair(kernel_size)
    tiles = x.reshape(n, c, h // kh, kh, w // kw, kw)
    return tiles.permute(0, 1, 2, 4, 3, 5).reshape(n, c, h // kh, w // kw, kh * kw)
