"""A base class of its own, other names for internals, prints and a warning on the way."""

LOSES = []


# %% window-view
class Pool(nn.Module):
    """Turns windows into numbers; subclasses say how."""

    def __init__(self, k, s):
        super().__init__()
        self.k, self.s = pair(k), pair(k if s is None else s)
        warnings.warn("a layer was built", stacklevel=2)

    def forward(self, x):
        return self.reduce(window_view(x, self.k, self.s))


def window_view(x, kernel_size, stride=None):
    k = pair(kernel_size)
    s = k if stride is None else pair(stride)
    return (
        x.unfold(-2, k[0], s[0]).unfold(-2, k[1], s[1]).reshape(*x.shape[:2], *map(output_size, x.shape[2:], k, s), -1)
    )


# %% lp-pooling
class LPPooling(Pool):
    def __init__(self, kernel_size, stride=None, p=2.0):
        super().__init__(kernel_size, stride)
        if p < 1:
            raise ValueError("p is too small")
        self.power = float(p)

    def reduce(self, windows):
        if self.power == math.inf:
            return windows.abs().max(-1).values
        # The vector norm has the gradient 0 at 0.
        return torch.linalg.vector_norm(windows, ord=self.power, dim=-1) / windows.shape[-1] ** (1 / self.power)


# %% mixed-pooling
class MixedPooling(Pool):
    def __init__(self, kernel_size, stride=None, alpha=0.5):
        super().__init__(kernel_size, stride)
        if not 0 <= alpha <= 1:
            raise ValueError("alpha is no share")
        self.share = alpha
        print("mixed pooling with", alpha)

    def reduce(self, windows):
        most, _ = windows.max(dim=-1)
        return windows.mean(dim=-1).mul(1 - self.share).add(most, alpha=self.share)


# %% stochastic-pooling
class StochasticPooling(Pool):
    def __init__(self, kernel_size, stride=None):
        super().__init__(kernel_size, stride)

    def reduce(self, windows):
        a = windows.clamp_min(0)
        s = a.sum(dim=-1)
        if self.training:
            edges = a.detach().double().cumsum(-1)
            ticket = torch.rand(s.shape, dtype=torch.float64) * edges[..., -1]
            place = torch.searchsorted(edges, ticket[..., None], right=True).clamp(max=a.shape[-1] - 1)
            return torch.take_along_dim(a, place, -1)[..., 0]
        return torch.nan_to_num((a * a).sum(-1) / (s + (s == 0)))


# %% relative-change
def relative_change(before, after):
    u, v = before.flatten().double(), after.flatten().double()
    if torch.equal(u, v):
        return 0.0
    return float(torch.dist(v, u)) / float(u @ u) ** 0.5 if u.any() else float("inf")
