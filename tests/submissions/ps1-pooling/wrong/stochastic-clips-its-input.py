"""Sets the negative values of the caller's tensor to 0."""

LOSES = ["test-stochastic-evaluation", "test-stochastic-sampling", "test-stochastic-inputs", "test-stochastic-gradient"]


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        activation = window_view(x.relu_(), self.kernel_size, self.stride)
        total = activation.sum(-1, keepdim=True)
        empty = total == 0

        if self.training:
            drawn = torch.multinomial((activation + empty).detach().flatten(0, -2), 1).reshape(total.shape)
            return activation.gather(-1, drawn).squeeze(-1)

        return (activation * activation / torch.where(empty, 1.0, total)).sum(-1)
