"""Tricky networks that earlier versions of the receptive field got wrong, mostly without a word."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tricky_networks import Network, chain, conv, tricky

# Tables of indices that are changed in place.


@tricky(input_size=(12, 10), size=1, stride=(2, 1), start=(3, 0))
def rows_by_an_arange_that_is_doubled_and_shifted_in_place() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        rows = torch.arange(4)
        rows *= 2
        rows.add_(3)
        return x[:, :, rows]

    return Network(forward)


@tricky(input_size=(12, 10), bounds=(lambda p: ((7, 1, 2)[p],) * 2, lambda p: (p, p)))
def rows_by_an_index_with_one_entry_replaced() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        rows = torch.arange(3)
        rows[0] = 7
        return x[:, :, rows]

    return Network(forward)


@tricky(input_size=(12, 10), bounds=(lambda p: ((5, 9, 3)[p],) * 2, lambda p: (p, p)))
def rows_by_a_changed_copy_of_a_buffer() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        rows = m.rows.clone()
        rows[1:] += 1
        return x[:, :, rows]

    network = Network(forward)
    network.map.register_buffer("rows", torch.tensor([5, 8, 2]))
    return network


# Shapes that change in place, twice, so that the second time may come from memory.


@tricky(input_size=(11, 14), size=3, stride=1, start=-1)
def dimensions_added_and_dropped_in_place() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y, z = m.a(x), m.a(x)
        y.unsqueeze_(2)
        z.unsqueeze_(2)
        return y.squeeze(2) + z.squeeze_(2)

    return Network(forward, a=conv(3, padding=1))


@tricky(input_size=(11, 14), size=(3, 5), stride=1, start=0)
def transposed_in_place_and_back() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        y.transpose_(2, 3)
        return m.b(y).transpose_(2, 3)

    return Network(forward, a=conv(3), b=conv((3, 1), 4))


@tricky(input_size=(11, 14), size=(5, 3), stride=1, start=0)
def flattened_view_that_changes_its_shape_in_place() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        z = y.flatten(2)
        z.unsqueeze_(1)
        z.squeeze_(1).relu_()
        return m.b(z.view_as(y))

    return Network(forward, a=conv(3), b=conv((3, 1), 4))


# Writing.


@tricky(input_size=(11, 14), size=5, stride=1, start=0)
def sum_into_a_tensor_named_out() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        out = torch.empty_like(y)
        torch.add(y, 1, out=out)
        return m.b(out)

    return Network(forward, a=conv(3), b=conv(3, 4))


@tricky(input_size=(11, 14))
def writing_into_a_flattened_map_leaves_its_positions_alone() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        y.view(-1)[::2] = 0
        return m.b(y)

    return Network(forward, a=conv(3), b=conv(3, 4))


@tricky(input_size=(11, 14), size=(6, 5), stride=1, start=(-1, 0))
def writing_through_a_detached_tensor() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        y.detach()[:, :, 1:].add_(m.a(x)[:, :, :-1])
        return m.b(y)

    return Network(forward, a=conv(3), b=conv(3, 4))


# Gates.


@tricky(input_size=(11, 14), size=3, stride=1, start=0, gates=True)
def gate_from_an_operation_without_a_rule() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        g = y.mean((2, 3))
        return y * torch.sigmoid(m.b(g, g))[:, :, None, None]

    return Network(forward, a=conv(3), b=nn.Bilinear(4, 4, 4))


@tricky(input_size=(11, 14), bounds=(lambda p: (p, p + 2)), gates=True)
def coordinate_attention() -> Network:
    """Strips along both axes lie end to end on the way (Hou et al. 2021)."""

    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        rows, columns = y.shape[2:]
        strips = m.b(torch.cat([y.mean(3, keepdim=True), y.mean(2, keepdim=True).transpose(2, 3)], 2))
        down, across = strips.split([rows, columns], 2)
        return y * down.sigmoid() * across.transpose(2, 3).sigmoid()

    return Network(forward, a=conv(3), b=conv(1, 4))


@tricky(input_size=(7, 8), size=3, stride=1, start=-1, gates=True)
def attention_between_all_positions_by_matrix_products() -> Network:
    """The non-local block (Wang et al. 2018)."""

    def forward(m: Any, x: Tensor) -> Tensor:
        tokens = m.a(x).flatten(2).transpose(1, 2)
        weights = torch.softmax(tokens @ tokens.transpose(1, 2), -1)
        return x[:, :1] + m.b((weights @ tokens).transpose(1, 2).unflatten(2, x.shape[2:]))

    return Network(forward, a=conv(3, padding=1), b=conv(1, 4))


@tricky(input_size=(7, 8), size=3, stride=1, start=-1, gates=True)
def axial_attention_by_matrix_products() -> Network:
    """Along every column for itself (Ho et al. 2019)."""

    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        n, channels, rows, columns = y.shape
        tokens = y.permute(0, 3, 2, 1).reshape(n * columns, rows, channels)
        tokens = torch.softmax(tokens @ tokens.transpose(1, 2), -1) @ tokens
        return tokens.view(n, columns, rows, channels).permute(0, 3, 2, 1)

    return Network(forward, a=conv(3, padding=1))


# Closed forms.


@tricky(input_size=(11, 14), size=5, stride=1, start=-2)
def running_sum_over_channels() -> Network:
    return Network(lambda m, x: torch.cat([m.a(x), x], 1).cumsum(1)[:, 4:], a=conv(5, padding=2))


@tricky(input_size=(5, 6), size=5, stride=(10, 10), start=0)
def strides_on_a_single_position() -> Network:
    return chain(conv(5, stride=5), nn.MaxPool2d(1, 2))


# Resizing and copying.


@tricky(input_size=(11, 14))
def antialiased_resizing_by_a_factor_that_is_not_the_ratio_of_the_sizes() -> Network:
    return Network(lambda m, x: F.interpolate(x, scale_factor=(1.7, 0.6), mode="bilinear", antialias=True))


@tricky(input_size=(11, 14))
def antialiased_resizing_to_one_row_with_aligned_corners() -> Network:
    return Network(lambda m, x: F.interpolate(x, (1, 9), mode="bilinear", align_corners=True, antialias=True))


@tricky(input_size=(5, 9), bounds=(lambda p: (p, p)))
def resizing_by_a_factor_too_close_to_one_to_change_the_size() -> Network:
    return Network(lambda m, x: F.interpolate(x, scale_factor=1.1, mode="bilinear"))


@tricky(input_size=(7, 8), bounds=(lambda p: (p, p), lambda p: (p % 8, p % 8)))
def tile_counts_from_the_last_dimension() -> Network:
    return Network(lambda m, x: x.tile((2,)))
