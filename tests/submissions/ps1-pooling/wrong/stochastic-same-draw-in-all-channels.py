"""One random number for each position, shared by the channels."""

LOSES = ["test-stochastic-independence"]


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        activation = window_view(x, self.kernel_size, self.stride).relu()
        total = activation.sum(-1, keepdim=True)
        empty = total == 0

        if self.training:
            ticket = torch.rand_like(total[:, :1]) * total
            drawn = (activation.cumsum(-1) <= ticket).sum(-1, keepdim=True).clamp(max=activation.shape[-1] - 1)
            return activation.gather(-1, drawn).squeeze(-1)

        return (activation * activation / torch.where(empty, 1.0, total)).sum(-1)
