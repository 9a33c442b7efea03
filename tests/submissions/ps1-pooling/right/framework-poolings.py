"""Composed of avg_pool2d and max_pool2d wherever that is possible."""

LOSES = []


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
        size = x.abs()
        if self.p == float("inf"):
            return F.max_pool2d(size, self.kernel_size, self.stride)
        mean = F.avg_pool2d(size**self.p, self.kernel_size, self.stride)
        safe = mean.masked_fill(mean == 0, 1)
        return (safe ** (1 / self.p)).masked_fill(mean == 0, 0)


# %% mixed-pooling
class MixedPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, alpha: float = 0.5
    ) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError("alpha is a share")
        self.alpha = alpha
        self.average, self.most = nn.AvgPool2d(kernel_size, stride), nn.MaxPool2d(kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.lerp(self.average(x), self.most(x), self.alpha)


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(x)
        if not self.training:
            squares, total = (F.avg_pool2d(v, self.kernel_size, self.stride) for v in (a * a, a))
            return squares / total.masked_fill(total == 0, 1)
        windows = window_view(a, self.kernel_size, self.stride)
        # The largest of log(a) plus Gumbel noise is a draw in proportion to a.
        gumbel = -torch.empty_like(windows).exponential_().log()
        return windows.gather(-1, (windows.detach().log() + gumbel).argmax(-1, keepdim=True)).squeeze(-1)
