"""Handed in after task 2: a stub is worth nothing, what is there keeps its points."""

LOSES = [
    "test-lp-values",
    "test-lp-inputs",
    "test-lp-infinity",
    "test-lp-gradient",
    "test-mixed-values",
    "test-mixed-inputs",
    "test-mixed-gradient",
    "test-stochastic-evaluation",
    "test-stochastic-sampling",
    "test-stochastic-independence",
    "test-stochastic-inputs",
    "test-stochastic-gradient",
    "test-relative-change",
]


# %% lp-pooling
class LPPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, p: float = 2.0
    ) -> None:
        super().__init__()
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


# %% mixed-pooling
class MixedPooling(nn.Module):
    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None, alpha: float = 0.5
    ) -> None:
        super().__init__()
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


# %% stochastic-pooling
class StochasticPooling(nn.Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


# %% relative-change
def relative_change(before: Tensor, after: Tensor) -> float:
    raise NotImplementedError
