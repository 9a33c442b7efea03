"""Sums written as einsum, a one-hot mask instead of gather, the largest value taken out before the power."""

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
        size = window_view(x, self.kernel_size, self.stride).abs()
        top = size.amax(-1, keepdim=True)
        if self.p == math.inf:
            return top[..., 0]
        scale = torch.where(top == 0, torch.ones_like(top), top).detach()
        powers = (size / scale).pow(self.p)
        mean = torch.einsum("...k->...", powers) / powers.shape[-1]
        mean = torch.where(top[..., 0] == 0, torch.ones_like(mean), mean)
        return torch.where(top[..., 0] == 0, torch.zeros_like(mean), scale[..., 0] * mean.pow(1 / self.p))


# %% mixed-pooling
class MixedPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, alpha: float = 0.5
    ) -> None:
        super().__init__()
        if alpha < 0 or alpha > 1:
            raise ValueError(f"alpha must be from 0 to 1, got {alpha}")
        self.kernel_size, self.stride, self.alpha = kernel_size, stride, alpha

    def forward(self, x: Tensor) -> Tensor:
        windows = window_view(x, self.kernel_size, self.stride)
        weights = torch.full(windows.shape[-1:], (1 - self.alpha) / windows.shape[-1], dtype=x.dtype)
        mask = F.one_hot(windows.argmax(-1), windows.shape[-1]).to(x.dtype)
        return torch.einsum("nchwk,k->nchw", windows, weights) + self.alpha * torch.einsum(
            "nchwk,nchwk->nchw", windows, mask
        )


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        a = window_view(x, self.kernel_size, self.stride).relu()
        s = torch.einsum("nchwk->nchw", a)
        if not self.training:
            return torch.einsum("nchwk,nchwk->nchw", a, a) / torch.where(s > 0, s, torch.ones_like(s))
        with torch.no_grad():
            probability = torch.where(s[..., None] > 0, a, torch.ones_like(a))
            drawn = torch.distributions.Categorical(probs=probability).sample()
        return torch.einsum("nchwk,nchwk->nchw", a, F.one_hot(drawn, a.shape[-1]).to(a.dtype))
