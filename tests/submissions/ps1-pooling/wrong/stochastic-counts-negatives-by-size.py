"""Negative activations count by their absolute value."""

LOSES = ["test-stochastic-evaluation", "test-stochastic-sampling", "test-stochastic-inputs", "test-stochastic-gradient"]


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        values = window_view(x, self.kernel_size, self.stride)
        tickets = values.abs() + 1e-30
        probability = tickets / tickets.sum(-1, keepdim=True)
        if self.training:
            drawn = torch.multinomial(probability.detach().flatten(0, -2), 1)
            return values.gather(-1, drawn.reshape(*values.shape[:-1], 1)).squeeze(-1)
        return (probability * values).sum(-1)
