"""Pooling modules of the course against torch: time and memory, forward and forward + backward.

Max, average, global and adaptive pooling stand beside torch's own modules. The others have no sibling in torch; their
peer is what they are made of, written down below in plain torch operations without a check or a special case.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from _harness import Comparison, Figure, compare_times, finish, parse_arguments, peak_bytes, worst  # before torch

# isort: split
import torch
import torch.nn.functional as F
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from coursekit import pooling

Pool = Callable[[Tensor], Tensor]
Window = tuple[int, int, int]  # kernel, stride, padding
LIMIT = 2.5  # of what an operation is made of
WRAPPER_LIMIT = 1.2  # of torch's own operation: the checks of arguments must not be felt

APART = (2, 2, 0)  # windows that share no pixel
OVERLAPPING = (3, 2, 1)  # as after the first convolution of a ResNet


@dataclass(frozen=True)
class Row:
    """One line of the table: a module, its peer and an input."""

    operation: str
    window: Window | None
    ours: Pool
    peer: Pool
    made_of: str
    limit: float = LIMIT
    random: bool = False
    relu: bool = False  # the input contains whole windows of zeros, as behind an activation

    @property
    def windows(self) -> str:
        """The windows in short."""
        if self.window is None:
            return ""
        kernel, stride, padding = self.window
        return f"{kernel}x{kernel}/{stride}" + (f" pad {padding}" if padding else "")


@dataclass(frozen=True)
class Measured:
    """What was found for one row."""

    row: Row
    forward: Comparison
    both: Comparison  # forward + backward
    forward_bytes: tuple[int, int]
    both_bytes: tuple[int, int]

    def ratios(self) -> dict[str, float]:
        """Ours over peer, by name of the figure."""
        return {
            "forward_time_ratio": self.forward.ratio,
            "forward_backward_time_ratio": self.both.ratio,
            "forward_memory_ratio": self.forward_bytes[0] / self.forward_bytes[1],
            "forward_backward_memory_ratio": self.both_bytes[0] / self.both_bytes[1],
        }


def mixed_peer(x: Tensor, window: Window) -> Tensor:
    """max_pool2d, avg_pool2d, two products, a sum."""
    return 0.3 * F.max_pool2d(x, *window) + 0.7 * F.avg_pool2d(x, *window)


def lp_peer(x: Tensor, window: Window, p: float) -> Tensor:
    """abs, pow, avg_pool2d, pow."""
    return F.avg_pool2d(x.abs().pow(p), *window).pow(1 / p)


def stochastic_peer(x: Tensor, window: Window) -> Tensor:
    """relu, rand, log, division, max_pool2d with indices, gather."""
    activations = x.relu()
    with torch.no_grad():
        race = activations / -torch.rand_like(activations).log()
        winners = F.max_pool2d(race, *window, return_indices=True)[1]
    return activations.flatten(-2).gather(-1, winners.flatten(-2)).view_as(winners)


def stochastic_overlapping_peer(x: Tensor, window: Window) -> Tensor:
    """relu, pad, unfold, rand, log, division, max, gather: windows that share pixels need noise of their own."""
    kernel, stride, padding = window
    activations = x.relu()
    padded = F.pad(activations, (padding,) * 4)
    windows = padded.unfold(-2, kernel, stride).unfold(-2, kernel, stride).flatten(-2)
    with torch.no_grad():
        winners = (windows / -torch.rand_like(windows).log()).max(-1, keepdim=True)[1]
    return windows.gather(-1, winners).squeeze(-1)


def stochastic_evaluation_peer(x: Tensor, window: Window) -> Tensor:
    """relu, square, two avg_pool2d, division."""
    activations = x.relu()
    return F.avg_pool2d(activations.square(), *window) / F.avg_pool2d(activations, *window)


def blur_peer(x: Tensor, size: int) -> Tensor:
    """pad and depthwise conv2d with a constant filter."""
    taps = torch.tensor([math.comb(size - 1, k) for k in range(size)]) / 2 ** (size - 1)
    before, after = (size - 1) // 2, size // 2
    filters = torch.outer(taps, taps).expand(x.shape[1], 1, size, size)
    return F.conv2d(F.pad(x, (before, after, before, after), mode="reflect"), filters, stride=2, groups=x.shape[1])


def wrapper_rows() -> list[Row]:
    """Modules that hand over to a torch kernel."""
    pairs = [
        ("max", APART, pooling.MaxPool2d(*APART), nn.MaxPool2d(*APART)),
        ("max", OVERLAPPING, pooling.MaxPool2d(*OVERLAPPING), nn.MaxPool2d(*OVERLAPPING)),
        ("avg", APART, pooling.AvgPool2d(*APART), nn.AvgPool2d(*APART)),
        ("avg", OVERLAPPING, pooling.AvgPool2d(*OVERLAPPING), nn.AvgPool2d(*OVERLAPPING)),
        ("adaptive_avg", None, pooling.AdaptiveAvgPool2d(7), nn.AdaptiveAvgPool2d(7)),
        ("adaptive_max", None, pooling.AdaptiveMaxPool2d(7), nn.AdaptiveMaxPool2d(7)),
        ("global_avg", None, pooling.GlobalAvgPool2d(), nn.AdaptiveAvgPool2d(1)),
        ("global_max", None, pooling.GlobalMaxPool2d(), nn.AdaptiveMaxPool2d(1)),
    ]
    return [
        Row(operation, window, ours, peer, f"nn.{type(peer).__name__}", WRAPPER_LIMIT)
        for operation, window, ours, peer in pairs
    ]


def composite_rows(window: Window, *, full: bool) -> list[Row]:
    """Modules that are put together from torch operations."""
    rows = [
        Row(
            "mixed",
            window,
            pooling.MixedPool2d(*window, alpha=0.3),
            partial(mixed_peer, window=window),
            "max_pool2d, avg_pool2d, mul, mul, add",
        )
    ]
    for p in (2.0, 3.0, 8.0) if full else (3.0,):
        ours, peer = pooling.LPPool2d(p, *window), partial(lp_peer, window=window, p=p)
        rows.append(Row(f"lp_{p:g}", window, ours, peer, "abs, pow, avg_pool2d, pow"))
        rows.append(Row(f"lp_{p:g}_after_relu", window, ours, peer, "abs, pow, avg_pool2d, pow", relu=True))
    stochastic = pooling.StochasticPool2d(*window)
    if stochastic.grid.overlaps:
        peer, made_of = stochastic_overlapping_peer, "relu, pad, unfold, rand, log, div, max, gather"
    else:
        peer, made_of = stochastic_peer, "relu, rand, log, div, max_pool2d, gather"
    rows.append(Row("stochastic", window, stochastic, partial(peer, window=window), made_of, random=True))
    rows.append(
        Row(
            "stochastic_evaluation",
            window,
            pooling.StochasticPool2d(*window).eval(),
            partial(stochastic_evaluation_peer, window=window),
            "relu, square, 2 avg_pool2d, div",
        )
    )
    return rows


def blur_rows() -> list[Row]:
    """Blur pooling with two filters."""
    return [
        Row("blur", (size, 2, 0), pooling.BlurPool2d(size), partial(blur_peer, size=size), "pad, depthwise conv2d")
        for size in (3, 5)
    ]


def measure(row: Row, shape: tuple[int, int, int, int], rounds: int) -> Measured:
    """Time and memory of one row, forward and forward + backward.

    Raises:
        RuntimeError: ours and the peer do not compute the same.
    """
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x = x.relu_() if row.relu else x
    if not row.random:
        theirs = row.peer(x).nan_to_num(0.0)  # 0 / 0 in a window of zeros: ours is 0
        if not torch.allclose(row.ours(x), theirs, rtol=1e-5, atol=1e-6):
            raise RuntimeError(f"{row.operation} {row.windows}: ours and the peer differ")
    leaf = x.clone().requires_grad_()
    upstream = torch.randn(row.ours(x).shape)

    def forward(pool: Pool) -> Callable[[], Tensor]:
        return lambda: pool(x)

    def both(pool: Pool) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(pool(leaf), leaf, upstream)[0]

    return Measured(
        row=row,
        forward=compare_times(forward(row.ours), forward(row.peer), rounds),
        both=compare_times(both(row.ours), both(row.peer), rounds),
        forward_bytes=(peak_bytes(forward(row.ours)), peak_bytes(forward(row.peer))),
        both_bytes=(peak_bytes(both(row.ours)), peak_bytes(both(row.peer))),
    )


def as_table(measured: list[Measured], shape: tuple[int, int, int, int]) -> Table:
    """One line a row: ours, peer and their ratio."""
    table = Table(title=f"Pooling of {shape}, float32: ours / peer = ratio; ms of processor time, MiB at the peak")
    table.add_column("operation")
    table.add_column("windows")
    for heading in ("forward, ms", "with backward, ms", "forward, MiB", "with backward, MiB"):
        table.add_column(heading, justify="right")
    table.add_column("peer")
    for one in measured:
        table.add_row(
            one.row.operation,
            one.row.windows,
            *(f"{time.ours * 1e3:.1f} / {time.peer * 1e3:.1f} = {time.ratio:.2f}" for time in (one.forward, one.both)),
            *(
                f"{ours / 2**20:.1f} / {peer / 2**20:.1f} = {ours / peer:.2f}"
                for ours, peer in (one.forward_bytes, one.both_bytes)
            ),
            one.row.made_of,
        )
    return table


def as_figures(measured: list[Measured]) -> list[Figure]:
    """For each operation and quantity the worst of its rows."""
    figures = []
    for operation in dict.fromkeys(one.row.operation for one in measured):
        rows = [one for one in measured if one.row.operation == operation]
        for quantity in rows[0].ratios():
            ratio = worst([one.ratios()[quantity] for one in rows])
            figures.append(Figure(f"{operation}_{quantity}", ratio, "x", rows[0].row.limit))
    return figures


def main() -> int:
    """Measure, print, and tell whether every target was met."""
    full = parse_arguments(__doc__.splitlines()[0]).full
    torch.set_num_threads(1)  # one core: what is compared is work, not luck in getting a second core
    torch.manual_seed(0)
    shape, rounds = ((64, 64, 56, 56), 15) if full else ((32, 64, 56, 56), 7)
    rows = [*wrapper_rows(), *composite_rows(APART, full=full), *composite_rows(OVERLAPPING, full=full)]
    rows += blur_rows()
    measured = [measure(row, shape, rounds) for row in track(rows, "Measuring", transient=True)]
    return finish(as_table(measured, shape), as_figures(measured))


if __name__ == "__main__":
    raise SystemExit(main())
