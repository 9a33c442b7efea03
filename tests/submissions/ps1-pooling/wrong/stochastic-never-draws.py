"""The training flag is ignored: it always gives the expected value."""

LOSES = [
    "test-stochastic-sampling",
    "test-stochastic-independence",
    "test-stochastic-inputs",
    "test-stochastic-gradient",
]


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        activation = window_view(x, self.kernel_size, self.stride).relu()
        total = activation.sum(-1, keepdim=True)
        empty = total == 0

        return (activation * activation / torch.where(empty, 1.0, total)).sum(-1)
