"""alpha outside 0 to 1 is not refused."""

LOSES = ["test-mixed-values"]


# %% mixed-pooling
class MixedPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, alpha: float = 0.5
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.alpha = kernel_size, stride, alpha

    def forward(self, x: Tensor) -> Tensor:
        windows = window_view(x, self.kernel_size, self.stride)
        return self.alpha * windows.amax(-1) + (1 - self.alpha) * windows.mean(-1)
