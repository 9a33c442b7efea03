"""Builds the windows through NumPy: right values, no gradient for anything built on them."""

LOSES = [
    "test-window-view-inputs",
    "test-lp-infinity",
    "test-lp-gradient",
    "test-mixed-gradient",
    "test-stochastic-gradient",
]


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    height, width = pair(kernel_size)
    down, right = pair(kernel_size if stride is None else stride)
    views = np.lib.stride_tricks.sliding_window_view(x.detach().numpy(), (height, width), axis=(2, 3))
    return torch.tensor(views[:, :, ::down, ::right].copy()).flatten(-2)
