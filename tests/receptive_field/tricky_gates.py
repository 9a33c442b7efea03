"""Tricky networks with normalisation, gates and attention: paths that see the whole image beside the local one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tricky_networks import Network, chain, conv, tricky

# Normalisation and regularisation.


@tricky(size=3, stride=1, start=-1)
def norms_over_channels_only() -> Network:
    return chain(conv(3, padding=1), nn.LocalResponseNorm(3), nn.BatchNorm2d(4))


@tricky(size=7, stride=1, start=-3)
def layer_norm_and_linear_with_channels_last() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.depthwise(x).permute(0, 2, 3, 1)
        y = m.down(F.gelu(m.up(m.norm(y)))).permute(0, 3, 1, 2)
        return x + m.scale * y

    return Network(
        forward,
        depthwise=conv(7, 3, 3, padding=3, groups=3),
        norm=nn.LayerNorm(3),
        up=nn.Linear(3, 12),
        down=nn.Linear(12, 3),
        scale=nn.Parameter(torch.full((3, 1, 1), 1e-6)),
    )


@tricky(size=5, stride=1, start=-2)
def dropout_and_stochastic_depth_are_off() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        keep = torch.rand(()) < 0.5 if m.training else True
        return m.b(F.dropout2d(m.a(x), 0.5, m.training)) if keep else x

    return Network(forward, a=conv(3, padding=1), b=conv(3, 4, padding=1))


@tricky(size=3, stride=1, start=-1, gates=True)
def group_norm() -> Network:
    return chain(conv(3, padding=1), nn.GroupNorm(2, 4))


@tricky(size=5, stride=1, start=-2, gates=True)
def instance_norm() -> Network:
    return chain(conv(3, padding=1), nn.InstanceNorm2d(4, affine=True), conv(3, 4, padding=1))


@tricky(size=3, stride=1, start=-1, gates=True)
def layer_norm_over_the_whole_map() -> Network:
    return chain(conv(3, padding=1), nn.LayerNorm([4, 19, 22]))


# Paths that see everything.


@tricky(size=3, stride=2, start=-1, gates=True, misaligned=False)
def squeeze_and_excitation() -> Network:
    return Network(
        lambda m, x: m.a(x) * m.gate(m.a(x)),
        a=conv(3, stride=2, padding=1),
        gate=nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(1, 4, 2), nn.ReLU(), conv(1, 2), nn.Hardsigmoid()),
    )


@tricky(size=3, stride=1, start=-1, gates=True)
def squeeze_and_excitation_by_mean_and_linear() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        return x * torch.sigmoid(m.fc(x.mean((2, 3))))[:, :, None, None]

    return Network(forward, a=conv(3, padding=1), fc=nn.Linear(4, 4))


@tricky(size=9, stride=1, start=-4)
def spatial_gate_from_channel_statistics() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        return x * torch.sigmoid(m.gate(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))

    return Network(forward, a=conv(3, padding=1), gate=conv(7, 2, 1, padding=3))


@tricky(size=(5, 3), stride=1, start=(-2, -1), gates=True)
def strip_pooling_over_the_width() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        return x + m.strip(x.mean(3, keepdim=True)).expand_as(x)

    return Network(forward, a=conv(3, padding=1), strip=conv((3, 1), 4, padding=(1, 0)))


@tricky(size=7, stride=1, start=-3, gates=True, misaligned=False)
def parallel_dilations_with_image_pooling() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        pooled = F.interpolate(m.point(F.adaptive_avg_pool2d(x, 1)), size=x.shape[-2:], mode="bilinear")
        return m.project(torch.cat([m.near(x), m.far(x), pooled], 1))

    return Network(
        forward,
        near=conv(3, padding=1),
        far=conv(3, padding=3, dilation=3),
        point=conv(1),
        project=conv(1, 12),
    )


@tricky(input_size=(14, 14), size=7, stride=7, start=0)
def average_pool_as_large_as_the_map_of_a_smaller_image() -> Network:
    return chain(nn.AvgPool2d(7))


@tricky(
    input_size=(10, 12),
    bounds=(lambda p: (p * 10 // 7, -(-(p + 1) * 10 // 7) - 1), lambda p: (p * 12 // 5, -(-(p + 1) * 12 // 5) - 1)),
)
def adaptive_pooling_to_no_divisor() -> Network:
    return chain(nn.AdaptiveAvgPool2d((7, 5)))


@tricky(size=3, stride=1, start=-1, gates=True)
def gates_from_maximum_and_deviation() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        return x * m.b(x.amax((-2, -1), keepdim=True)) + x.std((2, 3), keepdim=True)

    return Network(forward, a=conv(3, padding=1), b=conv(1, 4, 4))


@tricky(input_size=(8, 12), bounds=(lambda p: (p // 4 * 4, p // 4 * 4 + 3)))
def attention_within_windows() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)  # (windows, 16, C)
        q, k, v = m.qkv(y).chunk(3, -1)
        y = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return y.view(n, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)

    return Network(forward, qkv=nn.Linear(3, 9))


@tricky(input_size=(8, 6), size=1, stride=1, start=0, gates=True)
def attention_over_the_whole_map() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)  # (N, H * W, C)
        q, k, v = m.qkv(tokens).chunk(3, -1)
        out = F.scaled_dot_product_attention(q, k, v)
        return x + out.transpose(1, 2).unflatten(2, x.shape[-2:])

    return Network(forward, qkv=nn.Linear(3, 9))


@tricky(input_size=(8, 6), size=3, stride=1, start=-1, gates=True)
def gate_from_the_flattened_map() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.a(x)
        weights = m.attend(x).flatten(2).softmax(2)  # (N, 1, H * W)
        context = x.flatten(2) @ weights.transpose(1, 2)  # (N, C, 1)
        return x + context[..., None] + x.flatten(2).mean(2)[:, :, None, None]

    return Network(forward, a=conv(3, padding=1), attend=conv(1, 4, 1))


@tricky(input_size=(8, 6), size=(5, 3), stride=1, start=(-2, -1), gates=True)
def attention_along_rows() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        rows = m.a(x).permute(0, 2, 3, 1)  # (N, H, W, C): each row is a sequence
        q, k, v = m.qkv(rows).chunk(3, -1)
        weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
        return m.b((weights @ v).permute(0, 3, 1, 2))

    return Network(forward, a=conv(3, padding=1), qkv=nn.Linear(4, 12), b=conv((3, 1), 4, padding=(1, 0)))


@tricky(input_size=(16, 20), size=7, stride=2, start=-3, gates=True)
def gate_by_a_window_as_large_as_the_map() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        return m.b(y * torch.sigmoid(F.avg_pool2d(y, y.shape[2:])))

    return Network(forward, a=conv(3, stride=2, padding=1), b=conv(3, 4, padding=1))


@tricky(input_size=(16, 20), size=7, stride=2, start=-3, gates=True)
def gate_that_is_expanded_before_it_multiplies() -> Network:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        return m.b(y * F.max_pool2d(y, y.shape[2:]).expand_as(y))

    return Network(forward, a=conv(3, stride=2, padding=1), b=conv(3, 4, padding=1))
