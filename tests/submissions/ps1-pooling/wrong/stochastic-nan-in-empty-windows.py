"""0 / 0 in a window without a positive activation."""

LOSES = ["test-stochastic-evaluation", "test-stochastic-sampling", "test-stochastic-inputs", "test-stochastic-gradient"]


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        activation = window_view(x, self.kernel_size, self.stride).relu()
        probability = activation / activation.sum(-1, keepdim=True)
        if self.training:
            drawn = torch.multinomial(probability.detach().flatten(0, -2), 1)
            return activation.gather(-1, drawn.reshape(*activation.shape[:-1], 1)).squeeze(-1)
        return (probability * activation).sum(-1)
