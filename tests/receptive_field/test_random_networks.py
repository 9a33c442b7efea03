"""Chains of random operations: the receptive field of each equals what perturbation finds, at every position."""

import random
from collections.abc import Callable

import pytest
import torch
from agreement import disagreements
from torch import Tensor, nn
from torch.nn import functional as F
from tricky_networks import LAYER, Function, chain

from coursekit.receptive_field import receptive_field

CHANNELS = 4
CHAINS = 120
Pick = Callable[[int, int], tuple[int, int]]


def draw_layer(numbers: random.Random) -> nn.Module:
    """One operation that keeps four channels, with random settings for each axis."""

    def pick(low: int, high: int) -> tuple[int, int]:
        return numbers.randint(low, high), numbers.randint(low, high)

    group = numbers.choice([draw_window, draw_resizing, draw_moving, draw_branches, draw_global])
    return group(numbers, pick)


def draw_window(numbers: random.Random, pick: Pick) -> nn.Module:
    kernel, stride, dilation = pick(1, 4), pick(1, 3), pick(1, 2)
    padding = tuple(numbers.randint(0, side // 2) for side in kernel)
    ceil_mode, counted = numbers.random() < 0.5, numbers.random() < 0.5
    output_padding = tuple(numbers.randint(0, max(pair) - 1) for pair in zip(stride, dilation, strict=True))
    groups = numbers.choice([1, 2, 4])
    return numbers.choice(
        [
            nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, pick(0, 3), dilation, groups),
            nn.ConvTranspose2d(
                CHANNELS, CHANNELS, kernel, stride, pick(0, 1), output_padding, groups, dilation=dilation
            ),
            nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode),
            nn.AvgPool2d(kernel, stride, padding, ceil_mode, counted),
            nn.AdaptiveMaxPool2d(pick(2, 6)),
        ]
    )


def draw_resizing(numbers: random.Random, pick: Pick) -> nn.Module:
    size, factor, repeats = pick(2, 14), pick(1, 3), numbers.randint(1, 3)
    mode = numbers.choice(["nearest", "nearest-exact", "bilinear", "bicubic"])
    return numbers.choice(
        [
            nn.Upsample(size=size, mode=mode),
            nn.Upsample(scale_factor=factor, mode=mode),
            nn.Upsample(size=size, mode="bilinear", align_corners=True),
            Function(lambda m, x: F.interpolate(x, size, mode="bicubic", antialias=True)),
            Function(lambda m, x: x.repeat_interleave(repeats, 3)),
            nn.Sequential(nn.Conv2d(CHANNELS, 16, 1), nn.PixelShuffle(2)),
        ]
    )


def draw_moving(numbers: random.Random, pick: Pick) -> nn.Module:
    first, step, shift = pick(0, 2), pick(1, 3), pick(-3, 3)
    sides = [numbers.randint(0, 2) for _ in range(4)]
    mode = numbers.choice(["constant", "reflect", "replicate", "circular"])
    return numbers.choice(
        [
            Function(lambda m, x: x[:, :, first[0] :: step[0], first[1] : -1]),
            Function(lambda m, x: F.pad(x, sides, mode=mode)),
            Function(lambda m, x: F.pad(x, [side - 1 for side in sides])),
            Function(lambda m, x: x.roll(shift, (2, 3))),
            Function(lambda m, x: x.flip(3)),
            Function(lambda m, x: x.cumsum(2)),
            Function(lambda m, x: x[:, :, [1, 0, 2]]),
        ]
    )


def draw_branches(numbers: random.Random, pick: Pick) -> nn.Module:
    def written(module: nn.Module, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, :, 1:] += x[:, :, :-1]
        y[:, :2, :, 1:-1] *= x[:, 2:, :, 2:]
        return y

    a, b = nn.Conv2d(CHANNELS, 2, 3, padding=1), nn.Conv2d(CHANNELS, 2, 1)
    c = nn.Conv2d(CHANNELS, CHANNELS, (2, 3), padding=1, groups=2)
    return numbers.choice(
        [
            Function(lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 1)), a=a, b=b, c=c),
            Function(lambda m, x: torch.cat([x.chunk(2, 1)[1], m.a(x)], 1), a=a),
            Function(lambda m, x: m.c(x)[:, :, 1:] + x, c=c),
            Function(written),
            nn.ChannelShuffle(2),
        ]
    )


def draw_global(numbers: random.Random, pick: Pick) -> nn.Module:
    norm = nn.LayerNorm(CHANNELS)
    return numbers.choice(
        [
            Function(lambda m, x: x * x.mean((2, 3), keepdim=True)),
            Function(lambda m, x: x * x.amax(3, keepdim=True)),
            nn.GroupNorm(2, CHANNELS),
            Function(lambda m, x: m.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), norm=norm),
        ]
    )


def draw_network(seed: int) -> tuple[nn.Module, tuple[int, int]] | None:
    """A chain and an image size; None where the chain does not run on it, or where all positions lie in the padding."""
    numbers = random.Random(seed)
    layers = [draw_layer(numbers) for _ in range(numbers.randint(1, 6))]
    network = chain(nn.Conv2d(3, CHANNELS, 3, padding=1), *layers)
    size = numbers.randint(6, 20), numbers.randint(6, 20)
    try:
        with torch.no_grad():
            seen = torch.isnan(network(torch.full((1, 3, *size), torch.nan)))
    except (RuntimeError, IndexError):  # a window longer than the map, an empty map
        return None
    return (network, size) if max(seen.shape) <= 48 and bool(seen.any()) else None


@pytest.mark.parametrize("first", range(0, CHAINS, 20))
def test_random_chains_see_what_perturbation_finds(first) -> None:
    drawn = [draw_network(seed) for seed in range(first, first + 20)]
    chains = [pair for pair in drawn if pair is not None]
    assert len(chains) >= 8
    for model, size in chains:
        assert disagreements(receptive_field(model, size, LAYER), model, size, LAYER) == [], model
