"""The p-th root is missing (which also hides the trouble with its slope at 0)."""

LOSES = ["test-lp-values", "test-lp-inputs", "test-lp-gradient"]


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
        if math.isinf(self.p):
            return size.amax(-1)
        return size.pow(self.p).mean(-1)
