"""Small networks whose receptive field is easy to get wrong, each in the one way that its name says.

Each is measured at its submodule ``map``, whose output is (N, C, *spatial). Where a person can work out the answer it
stands beside the network, as closed form (size, stride and start) or as the bounds of every position.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYER = "map"


@dataclass(frozen=True)
class Tricky:
    """A network and what is known about it.

    Attributes:
        build: makes the network; the test seeds before.
        input_size: pixels along each axis.
        in_channels: of the image.
        size, stride, start: closed form along each axis, derived by hand; None: not derived, or none exists.
        bounds: for each axis a function of the position that gives its first and last pixel, derived by hand.
        misaligned: whether branches with different centres merge; None: not asked.
        gates: the field of the whole network is larger than the local one.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: tuple[int, ...] = (19, 22)
    in_channels: int = 3
    size: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    start: tuple[int, ...] | None = None
    bounds: tuple[Callable[[int], tuple[int, int]], ...] | None = None
    misaligned: bool | None = None
    gates: bool = False

    def expected(self, axis: int, positions: int) -> np.ndarray | None:
        """Bounds from the facts; -1, -1 where the padding cuts the closed form, which then does not tell them."""
        if self.bounds is not None:
            return np.array([self.bounds[axis](p) for p in range(positions)])
        if self.size is None:
            return None
        first = self.start[axis] + self.stride[axis] * np.arange(positions)
        table = np.stack([first, first + self.size[axis] - 1], 1)
        table[(table[:, 0] < 0) | (table[:, 1] >= self.input_size[axis])] = -1
        return table


NETWORKS: list[Tricky] = []


class Function(nn.Module):
    """``forward`` is the function given, of the module and the image; ``modules`` are the attributes of the module."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


class Network(nn.Module):
    """A :class:`Function` as the submodule ``map``."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **modules: Any) -> None:
        super().__init__()
        self.map = Function(function, **modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


def tricky(**facts: Any) -> Callable[[Callable[[], Network]], Callable[[], Network]]:
    """Enter the function below under its name; ints stand for both axes."""
    axes = len(facts.get("input_size", (0, 0)))
    for name in ("size", "stride", "start", "bounds"):
        if name in facts and not isinstance(facts[name], tuple):
            facts[name] = (facts[name],) * axes

    def enter(build: Callable[[], Network]) -> Callable[[], Network]:
        NETWORKS.append(Tricky(build.__name__, build, **facts))
        return build

    return enter


def chain(*modules: nn.Module) -> Network:
    return Network(lambda m, x: m.layers(x), layers=nn.Sequential(*modules))


def conv(kernel_size: Any = 3, in_channels: int = 3, out_channels: int = 4, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, **settings)


# Windows.


@tricky(size=(7, 13), stride=1, start=(-3, -6))
def dilation() -> Network:
    return chain(conv(3, dilation=2, padding=2), conv(3, 4, dilation=(1, 4), padding=(1, 4)))


@tricky(size=(9, 10), stride=(2, 6), start=(0, -3))
def kernels_and_strides_that_differ_between_axes() -> Network:
    return chain(conv((1, 7), stride=(2, 3), padding=(0, 3)), conv((5, 2), 4, stride=(1, 2)))


@tricky(size=6, stride=2, start=-1)
def even_kernels() -> Network:
    return chain(conv(4, stride=2, padding=1), conv(2, 4))


@tricky(size=7, stride=1, start=-2)
def same_padding_of_even_kernels_puts_the_odd_pixel_right() -> Network:
    return chain(conv(4, padding="same"), conv(2, 4, padding="same", dilation=3))


@tricky(input_size=(24, 21), size=3, stride=7, start=-1)
def stride_beyond_the_kernel_leaves_pixels_unseen() -> Network:
    return chain(conv(3, stride=7, padding=1))


@tricky(input_size=(20, 23), size=6, stride=6, start=0)
def floor_drops_the_last_pixels() -> Network:
    return chain(conv(3, stride=3), conv(2, 4, stride=2))


@tricky(input_size=(18, 16), size=7, stride=4, start=0)
def ceil_mode_hangs_over_the_edge() -> Network:
    return chain(nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 2, ceil_mode=True))


@tricky(input_size=(17, 20), size=(5, 7), stride=2, start=-3)
def dilated_max_pool() -> Network:
    return chain(nn.MaxPool2d(3, 2, padding=1, dilation=(1, 2)), conv((2, 2), padding=(1, 1), in_channels=3))


@tricky(size=7, stride=4, start=-3)
def average_pools_with_padding_counted_and_not() -> Network:
    return chain(nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AvgPool2d(3, 2, 1))


@tricky(input_size=(16, 21), size=5, stride=2, start=-1)
def average_pool_with_ceil_mode_and_padding() -> Network:
    return chain(nn.AvgPool2d(3, 2, 1, ceil_mode=True), conv(2))


@tricky(size=5, stride=2, start=0)
def power_mean_pool() -> Network:
    return chain(nn.LPPool2d(2, 3, 2), conv((2, 2)))


# Upsampling.


@tricky(input_size=(7, 9), bounds=(lambda p: (p // 2, p // 2)))
def transposed_convolution_without_overlap() -> Network:
    return chain(nn.ConvTranspose2d(3, 4, 2, stride=2))


@tricky(input_size=(7, 6), bounds=(lambda p: (0, -1) if p % 3 == 2 else (p // 3, p // 3)))
def transposed_convolution_with_gaps() -> Network:
    return chain(nn.ConvTranspose2d(3, 4, 2, stride=3))


@tricky(input_size=(8, 9))
def transposed_convolution_with_output_padding() -> Network:
    return chain(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), conv(3, 4, padding=1))


@tricky(input_size=(8, 9))
def transposed_convolution_with_dilation() -> Network:
    return chain(nn.ConvTranspose2d(3, 4, 3, stride=(2, 3), dilation=(2, 1), padding=(1, 0)))


@tricky(input_size=(7, 9), size=3, stride=1, start=-1)
def transposed_convolution_with_stride_1() -> Network:
    return chain(nn.ConvTranspose2d(3, 4, 3, padding=1))


@tricky(input_size=(7, 9), bounds=(lambda p: (p // 2, p // 2), lambda p: (p // 3, p // 3)))
def nearest_upsampling() -> Network:
    return chain(nn.Upsample(scale_factor=(2, 3)))


@tricky(input_size=(7, 12), bounds=(lambda p: (p * 7 // 12, p * 7 // 12), lambda p: (p * 12 // 7, p * 12 // 7)))
def nearest_resizing_to_no_multiple() -> Network:
    return chain(nn.Upsample(size=(12, 7)))


@tricky(
    input_size=(7, 12),
    bounds=(lambda p: ((2 * p + 1) * 7 // 24,) * 2, lambda p: ((2 * p + 1) * 12 // 14,) * 2),
)
def nearest_exact_resizing() -> Network:
    return chain(nn.Upsample(size=(12, 7), mode="nearest-exact"))


@tricky(
    input_size=(6, 7),
    bounds=(
        lambda p: (max((p - 1) // 2, 0), min((p + 1) // 2, 5)),
        lambda p: (max((p - 1) // 2, 0), min((p + 1) // 2, 6)),
    ),
)
def bilinear_doubling() -> Network:
    return chain(nn.Upsample(scale_factor=2, mode="bilinear"))


@tricky(input_size=(5, 4), bounds=(lambda p: (p // 2, (p + 1) // 2), lambda p: (p // 3, -(-p // 3))))
def bilinear_with_aligned_corners_hits_pixels_exactly() -> Network:
    return chain(nn.Upsample(size=(9, 10), mode="bilinear", align_corners=True))


@tricky(input_size=(7, 12))
def bilinear_resizing_to_no_multiple() -> Network:
    return chain(conv(3, padding=1), nn.Upsample(size=(12, 7), mode="bilinear"), conv(3, 4))


@tricky(input_size=(8, 11), size=1, stride=1, start=0)
def bilinear_resizing_to_the_same_size() -> Network:
    return Network(lambda m, x: F.interpolate(x, size=(8, 11), mode="bilinear"))


@tricky(input_size=(6, 9))
def bicubic_upsampling() -> Network:
    return chain(nn.Upsample(scale_factor=2, mode="bicubic"))


@tricky(input_size=(20, 18))
def antialiased_downsampling() -> Network:
    return Network(lambda m, x: F.interpolate(x, size=(7, 6), mode="bilinear", antialias=True))


@tricky(input_size=(6, 5), bounds=(lambda p: (p // 3, p // 3), lambda p: (p // 2, p // 2)))
def repeat_interleave() -> Network:
    return Network(lambda m, x: x.repeat_interleave(3, dim=2).repeat_interleave(2, dim=3))


@tricky(input_size=(16, 24))
def u_net_with_skips() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        a = m.a(x)
        b = m.b(F.max_pool2d(a, 2))
        c = m.c(F.max_pool2d(b, 2))
        b = m.d(torch.cat([b, m.up_c(c)], 1))
        return m.e(torch.cat([a, m.up_b(b)], 1))

    return Network(
        forward,
        a=conv(padding=1),
        b=conv(3, 4, 6, padding=1),
        c=conv(3, 6, 8, padding=1),
        d=conv(3, 12, 6, padding=1),
        e=conv(3, 8, 2, padding=1),
        up_c=nn.ConvTranspose2d(8, 6, 2, stride=2),
        up_b=nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv(1, 6)),
    )


@tricky(input_size=(23, 30))
def feature_pyramid_top_down() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        c1 = m.down1(x)
        c2 = m.down2(c1)
        c3 = m.down3(c2)
        p2 = m.side2(c2) + F.interpolate(m.side3(c3), size=c2.shape[-2:])
        return m.smooth(m.side1(c1) + F.interpolate(p2, size=c1.shape[-2:]))

    down = {f"down{i}": conv(3, 3 if i == 1 else 4, stride=2, padding=1) for i in (1, 2, 3)}
    side = {f"side{i}": conv(1, 4) for i in (1, 2, 3)}
    return Network(forward, **down, **side, smooth=conv(3, 4, padding=1))


# Branches.


@tricky(input_size=(31, 40), size=13, stride=1, start=-6, misaligned=False)
def parallel_dilations() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        return torch.cat([m.a(x), m.b(x), m.c(x), m.d(x)], 1)

    rates = {name: conv(3, padding=rate, dilation=rate) for name, rate in zip("bcd", (1, 2, 6), strict=True)}
    return Network(forward, a=conv(1), **rates)


@tricky(size=3, stride=2, start=-1, misaligned=True)
def misaligned_branches() -> Network:
    return Network(lambda m, x: m.a(x) + m.b(x)[:, :, :9, :11], a=conv(2, stride=2), b=conv(3, stride=2, padding=1))


@tricky(size=5, stride=1, start=-3, misaligned=True)
def one_branch_shifted() -> Network:
    return Network(lambda m, x: m.a(x) + F.pad(x[:, :1], (3, 0, 3, 0))[:, :, :-3, :-3], a=conv(3, padding=1))


@tricky(size=3, stride=2, start=-1, misaligned=False)
def strided_identity_of_option_a() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.a(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 3))

    return Network(forward, a=conv(3, out_channels=6, stride=2, padding=1))


@tricky(size=7, stride=1, start=-3)
def shared_module_called_twice() -> Network:
    return Network(lambda m, x: m.a(m.a(m.b(x))), a=conv(3, 4, padding=1), b=conv(3, padding=1))


@tricky(size=7, stride=1, start=-3)
def concatenation_then_groups_that_mix_within_a_branch() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.grouped(torch.cat([m.wide(x), m.narrow(x)], 1))  # the wide branch again meets a 1x1 kernel only

    return Network(forward, wide=conv(7, padding=3), narrow=conv(1), grouped=conv(1, 8, 8, groups=2))


@tricky(size=3, stride=1, start=-1)
def groups_then_the_narrow_branch_alone() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.grouped(torch.cat([m.wide(x), m.narrow(x)], 1))[:, 4:]

    return Network(forward, wide=conv(7, padding=3), narrow=conv(1), grouped=conv(3, 8, 8, padding=1, groups=2))


@tricky(size=1, stride=1, start=0)
def channel_slice_of_the_narrow_branch() -> Network:
    return Network(lambda m, x: torch.cat([m.a(x), m.b(x)], 1)[:, 4:], a=conv(5, padding=2), b=conv(1))


@tricky(size=5, stride=1, start=-2)
def channel_shuffle_by_view_and_transpose() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        left, right = m.widen(x).chunk(2, 1)
        y = torch.cat([left, m.branch(right)], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return m.last(y.split([4, 4], 1)[0])  # after the shuffle, channels of both branches

    return Network(forward, widen=conv(1, out_channels=8), branch=conv(3, 4, padding=1), last=conv(3, 4, padding=1))


@tricky(size=3, stride=1, start=-1)
def channel_shuffle_module_then_one_group() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.shuffle(torch.cat([m.wide(x), m.narrow(x)], 1))
        return y[:, 1::2]  # channels 0, 2, .. are of the wide branch, 1, 3, .. of the narrow one

    return Network(forward, wide=conv(7, padding=3), narrow=conv(3, padding=1), shuffle=nn.ChannelShuffle(2))


@tricky(size=5, stride=1, start=-2)
def stack_and_maximum_over_branches() -> Network:
    return Network(lambda m, x: torch.stack([m.a(x), m.b(x)]).amax(0), a=conv(5, padding=2), b=conv(3, padding=1))
