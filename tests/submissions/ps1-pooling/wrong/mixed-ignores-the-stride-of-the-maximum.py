"""The stride reaches the average but not the maximum, so the shapes clash."""

LOSES = ["test-mixed-inputs"]


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
        most = F.max_pool2d(x, self.kernel_size)
        average = F.avg_pool2d(x, self.kernel_size, self.stride)
        return self.alpha * most + (1 - self.alpha) * average
