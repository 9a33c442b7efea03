"""torch.nn.functional.unfold, which gives columns of all channels."""

LOSES = []


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    n, c, h, w = x.shape
    kernel = pair(kernel_size)
    step = kernel if stride is None else pair(stride)
    columns = F.unfold(x, kernel, stride=step)  # (N, C * Kh * Kw, windows)
    columns = columns.reshape(n, c, kernel[0] * kernel[1], -1).transpose(2, 3)
    return columns.reshape(n, c, output_size(h, kernel[0], step[0]), output_size(w, kernel[1], step[1]), -1)
