"""More tricky networks: pixels that are moved, padding, functions and products, writing in place, other ranks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tricky_networks import Network, chain, conv, tricky

# Pixels that are moved.


@tricky(input_size=(5, 6), bounds=(lambda p: (p // 2, p // 2)))
def pixel_shuffle() -> Network:
    return chain(conv(1, out_channels=8), nn.PixelShuffle(2))


@tricky(input_size=(12, 18), size=9, stride=3, start=-3)
def pixel_unshuffle_then_convolution() -> Network:
    return chain(nn.PixelUnshuffle(3), conv(3, 27, padding=1))


@tricky(input_size=(3, 12), bounds=(lambda p: (0, 2), lambda p: (p // 2 * 3, p // 2 * 3 + 2)))
def pixel_unshuffle_to_a_single_row_that_is_repeated() -> Network:
    return chain(nn.PixelUnshuffle(3), nn.Upsample(scale_factor=2))


@tricky(input_size=(16, 20), size=6, stride=2, start=-2)
def space_to_depth_by_slices() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return m.a(torch.cat(parts, 1))

    return Network(forward, a=conv(3, 12, padding=1))


@tricky(input_size=(16, 20), size=4, stride=4, start=0)
def patches_by_view_and_permute() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 1, 3, 5, 2, 4)
        return x.reshape(n, c * 16, h // 4, w // 4)

    return Network(forward)


@tricky(
    input_size=(12, 15),
    bounds=(lambda p: (max(10 - p, 0), min(12 - p, 11)), lambda p: (max(13 - p, 0), min(15 - p, 14))),
)
def flip() -> Network:
    return Network(lambda m, x: m.a(x.flip(2, 3)), a=conv(3, padding=1))


@tricky(input_size=(8, 9), bounds=(lambda p: ((p + 3) % 8,) * 2, lambda p: ((p - 2) % 9,) * 2))
def roll() -> Network:
    return Network(lambda m, x: m.a(x.roll((-3, 2), (2, 3))), a=conv(1))


@tricky(input_size=(14, 17), size=3, stride=1, start=(2, 4))
def crop_by_slices_that_count_from_the_end() -> Network:
    return Network(lambda m, x: m.a(x)[:, :, 2:-3, -11:-1], a=conv(3))


@tricky(input_size=(14, 17), size=2, stride=1, start=(3, 1))
def crop_by_narrow() -> Network:
    return Network(lambda m, x: m.a(x.narrow(2, 3, 9).narrow(3, 1, 8)), a=conv(2))


@tricky(input_size=(14, 17), size=3, stride=(3, 1), start=(1, 0))
def index_select_of_every_third_row() -> Network:
    return Network(lambda m, x: m.a(x).index_select(2, torch.tensor([1, 4, 7, 10])), a=conv(3))


@tricky(input_size=(14, 17), bounds=(lambda p: (p, p + 2), lambda p: ((7, 9), (3, 5), (3, 5), (12, 14), (0, 2))[p]))
def indexing_by_a_list() -> Network:
    return Network(lambda m, x: m.a(x)[:, :, :, [7, 3, 3, 12, 0]], a=conv(3))


@tricky(input_size=(10, 13), size=(3, 5), stride=1, start=-1)
def transposed_and_back() -> Network:
    return Network(lambda m, x: m.a(x.transpose(2, 3)).mT, a=conv((5, 3), padding=(1, 1)))


# Padding.


@tricky(input_size=(11, 14), size=3, stride=1, start=(-3, 2))
def constant_padding_of_two_sides_and_negative() -> Network:
    return Network(lambda m, x: m.a(F.pad(x, (-2, 1, 3, -1), value=2.0)), a=conv(3))


@tricky(
    input_size=(9, 12),
    bounds=(lambda p: (max(p - 2, 0) if p != 0 else 0, min(p + 2, 8)), lambda p: (max(p - 2, 0), min(p + 2, 11))),
)
def reflect_padding() -> Network:
    return Network(lambda m, x: m.a(F.pad(x, (2, 2, 2, 2), mode="reflect")), a=conv(5))


@tricky(input_size=(9, 12), size=5, stride=1, start=-2)
def replicate_padding() -> Network:
    return chain(conv(3, padding=1, padding_mode="replicate"), conv(3, 4, padding=1, padding_mode="replicate"))


@tricky(
    input_size=(9, 12),
    bounds=(
        lambda p: (p - 1, p + 1) if 0 < p < 8 else (0, 8),
        lambda p: (p - 1, p + 1) if 0 < p < 11 else (0, 11),
    ),
)
def circular_padding_joins_the_two_ends() -> Network:
    return chain(conv(3, padding=1, padding_mode="circular"))


# Functions, writing in place, products.


@tricky(size=5, stride=2, start=-2)
def functional_convolution_with_a_parameter() -> Network:
    return Network(
        lambda m, x: F.relu_(F.conv2d(x, m.weight, stride=2, padding=2)), weight=nn.Parameter(torch.randn(4, 3, 5, 5))
    )


@tricky(size=4, stride=1, start=-2)
def writing_into_a_slice() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        y[:, :, 1:, 1:] += x[:, :, :-1, :-1] * 2
        z = y.clone()
        z[:, :, 1:, 1:] -= y[:, :, :-1, :-1]
        return z

    return Network(forward, a=conv(3, out_channels=3, padding=1))


@tricky(
    input_size=(9, 12),
    bounds=(lambda p: (p // 2, p // 2) if p % 2 == 0 else (p // 2, min(p // 2 + 1, 8)), lambda p: (p // 2, p // 2)),
)
def zeros_filled_by_slices() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.new_zeros(n, c, 2 * h, 2 * w)
        y[:, :, ::2, ::2] = x
        y[:, :, ::2, 1::2] = x
        y[:, :, 1::2, :] = y[:, :, ::2, :]
        y[:, :, 1:-1:2, :] += y[:, :, 2::2, :]
        return y

    return Network(forward)


@tricky(size=3, stride=1, start=-1)
def in_place_activation_on_a_shared_tensor() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        z = F.relu(y, inplace=True)
        return y.mul_(z).add_(1)

    return Network(forward, a=conv(3, padding=1))


@tricky(size=3, stride=1, start=-1)
def einsum_as_pointwise_convolution() -> Network:
    return Network(
        lambda m, x: m.a(torch.einsum("oc,nchw->nohw", m.weight, x)),
        weight=nn.Parameter(torch.randn(5, 3)),
        a=conv(3, 5, padding=1),
    )


@tricky(input_size=(9, 12), bounds=(lambda p: (p, p), lambda p: (0, 11)))
def matrix_product_along_the_width() -> Network:
    return Network(lambda m, x: x @ m.blur, blur=nn.Parameter(torch.randn(12, 12)))


@tricky(input_size=(9, 12), size=3, stride=2, start=-1, misaligned=False)
def convolution_as_unfold_and_matrix_product() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        columns = F.unfold(x, 3, padding=1, stride=2)  # (N, 27, L)
        return (m.weight @ columns).view(len(x), 5, 5, 6)

    return Network(forward, weight=nn.Parameter(torch.randn(5, 27)))


@tricky(input_size=(10, 12), bounds=(lambda p: (p // 2 * 2, p // 2 * 2 + 1)))
def patches_mixed_and_folded_back() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        columns = F.unfold(x, 2, stride=2).transpose(1, 2)  # (N, L, 12)
        return F.fold(m.mix(columns).transpose(1, 2), (10, 12), 2, stride=2)

    return Network(forward, mix=nn.Linear(12, 12))


@tricky(size=5, stride=1, start=-2)
def custom_autograd_function() -> Network:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return F.avg_pool2d(x, 3, 1, 1) * 2

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad

    return Network(lambda m, x: Double.apply(m.a(x)), a=conv(3, padding=1))


@tricky(size=3, stride=1, start=-1)
def where_decided_by_the_values() -> Network:
    return Network(lambda m, x: torch.where(m.a(x) > 0, x, torch.zeros_like(x)), a=conv(3, out_channels=3, padding=1))


@tricky(size=3, stride=1, start=-1)
def constants_beside_the_image() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        rows = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
        columns = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
        return m.a(torch.cat([x, rows, columns], 1)) + m.position

    return Network(forward, a=conv(3, 5, padding=1), position=nn.Parameter(torch.randn(1, 4, 19, 22)))


@tricky(input_size=(8, 9), bounds=(lambda p: (0, p), lambda p: (p, p)))
def cumulative_sum() -> Network:
    return Network(lambda m, x: x.cumsum(2))


# Other ranks.


@tricky(input_size=(64,), in_channels=2, size=16, stride=1, start=-15)
def causal_dilated_stack_in_one_dimension() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.first(x)
        for rate, layer in zip((1, 2, 4, 8), m.layers, strict=True):
            y = layer(F.pad(x, (rate, 0)))
            x = x + torch.tanh(y[:, :4]) * torch.sigmoid(y[:, 4:])
        return x

    layers = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=rate) for rate in (1, 2, 4, 8))
    return Network(forward, first=nn.Conv1d(2, 4, 1), layers=layers)


@tricky(input_size=(38,), in_channels=2, size=7, stride=4, start=-1, gates=True)
def one_dimension_with_stride_and_squeeze_excitation() -> Network:
    return Network(
        lambda m, x: m.b(m.a(x)) * torch.sigmoid(F.adaptive_avg_pool1d(m.b(m.a(x)), 1)),
        a=nn.Conv1d(2, 4, 3, stride=2, padding=1),
        b=nn.Conv1d(4, 4, 3, stride=2),
    )


@tricky(input_size=(9, 13, 14), in_channels=1, size=(3, 5, 5), stride=(1, 2, 2), start=(-1, -1, -1))
def three_dimensions() -> Network:
    return chain(nn.Conv3d(1, 3, 3, padding=1), nn.MaxPool3d((1, 3, 3), (1, 2, 2)))
