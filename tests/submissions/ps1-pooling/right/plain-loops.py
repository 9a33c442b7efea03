"""Loops over the window positions, nothing clever."""

LOSES = []


# %% output-size
def output_size(size: int, kernel_size: int, stride: int | None = None) -> int:
    stride = kernel_size if stride is None else stride
    count = 0
    while count * stride + kernel_size <= size:
        count += 1
    if count == 0:
        raise ValueError("the window is longer than the axis")
    return count


# %% window-view
def window_view(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    kh, kw = pair(kernel_size)
    sh, sw = pair(stride) if stride is not None else (kh, kw)
    rows = []
    for i in range(output_size(x.shape[2], kh, sh)):
        row = []
        for j in range(output_size(x.shape[3], kw, sw)):
            row.append(x[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw].flatten(2))
        rows.append(torch.stack(row, dim=2))
    return torch.stack(rows, dim=2)


# %% lp-pooling
class LPPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, p: float = 2.0
    ) -> None:
        super().__init__()
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        self.kernel_size, self.stride, self.p = kernel_size, stride, p

    def forward(self, x: Tensor) -> Tensor:
        windows = window_view(x, self.kernel_size, self.stride)
        result = torch.zeros(windows.shape[:-1], dtype=x.dtype)
        for index in np.ndindex(*windows.shape[:-1]):
            size = windows[index].abs()
            if size.max() == 0:
                result[index] = 0 * size.sum()
            elif self.p == math.inf:
                result[index] = size.max()
            else:
                result[index] = (size**self.p).mean() ** (1 / self.p)
        return result


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        windows = window_view(x, self.kernel_size, self.stride).clamp(min=0)
        result = windows.sum(-1) * 0
        if not self.training:
            for k in range(windows.shape[-1]):
                total = windows.sum(-1)
                total = torch.where(total > 0, total, torch.ones_like(total))
                result = result + windows[..., k] ** 2 / total
            return result
        ticket = torch.rand(windows.shape[:-1], dtype=torch.float64) * windows.sum(-1).detach()
        passed = torch.zeros_like(ticket)
        done = torch.zeros_like(ticket, dtype=torch.bool)
        for k in range(windows.shape[-1]):
            passed = passed + windows[..., k].detach()
            hit = (ticket < passed) & ~done
            result = torch.where(hit, windows[..., k], result)
            done = done | hit
        return result
