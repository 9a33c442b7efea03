"""The maximum is taken from detached values: right result, but its share of the gradient is lost."""

LOSES = ["test-mixed-gradient"]


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
        return self.alpha * windows.detach().amax(-1) + (1 - self.alpha) * windows.mean(-1)
