"""The stride argument is never used."""

LOSES = ["test-lp-inputs"]


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
        size = window_view(x, self.kernel_size).abs()
        if math.isinf(self.p):
            return size.amax(-1)
        mean = size.pow(self.p).mean(-1)
        zero = mean == 0
        return torch.where(zero, 0.0, torch.where(zero, 1.0, mean).pow(1 / self.p))
