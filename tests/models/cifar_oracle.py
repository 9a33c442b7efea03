"""The CIFAR networks once more, as loops over raw weights; and checks that a block or network is what its paper shows.

Nothing here is shared with the modules under test.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Weights = Mapping[str, Tensor]


def norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Batch normalisation in evaluation mode, written out."""
    mean, var, weight, bias = (
        weights[f"{name}.{leaf}"][:, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def conv(x: Tensor, weights: Weights, name: str, stride: int = 1) -> Tensor:
    weight = weights[f"{name}.weight"]
    return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=x.shape[1] // weight.shape[1])


def subsample_and_pad(x: Tensor, stride: int, channels: int) -> Tensor:
    """Option A: half of the zero channels before those of x, half after."""
    zeros = torch.zeros(len(x), (channels - x.shape[1]) // 2, *x.shape[2:])
    return torch.cat([zeros, x, zeros], dim=1)[:, :, ::stride, ::stride]


def gate(y: Tensor, weights: Weights, block: str) -> Tensor:
    """Squeeze and excitation, where the weights have it."""
    if f"{block}.gate.se.fc1.weight" not in weights:
        return y
    s = y.mean((2, 3))
    for layer, activation in (("fc1", torch.relu), ("fc2", torch.sigmoid)):
        name = f"{block}.gate.se.{layer}"
        s = activation(s @ weights[f"{name}.weight"].flatten(1).T + weights[f"{name}.bias"])
    return y * s[:, :, None, None]


def blocks(weights: Weights) -> list[tuple[str, int]]:
    """Name and stride of each block, in order."""
    names = list(dict.fromkeys(".".join(key.split(".")[:2]) for key in weights if key.startswith("layer")))
    return [(name, 2 if name in ("layer2.0", "layer3.0") else 1) for name in names]


def post_activation(weights: Weights, x: Tensor, *, shortcuts: bool = True) -> Tensor:
    """ResNet, SE-ResNet, ResNeXt (He et al. 2015; Xie et al. 2017), or the plain network."""
    x = norm(conv(x, weights, "conv1"), weights, "bn1").relu()
    for block, stride in blocks(weights):
        y = x
        convolutions = 3 if f"{block}.conv3.weight" in weights else 2
        for i in range(1, convolutions + 1):
            strided = i == convolutions - 1  # the 3x3 of a bottleneck, the first 3x3 of two
            y = norm(conv(y, weights, f"{block}.conv{i}", stride if strided else 1), weights, f"{block}.bn{i}")
            y = y.relu() if i < convolutions else y
        y = gate(y, weights, block)
        if shortcuts:
            if f"{block}.shortcut.0.weight" in weights:
                x = norm(conv(x, weights, f"{block}.shortcut.0", stride), weights, f"{block}.shortcut.1")
            elif x.shape[1] != y.shape[1]:
                x = subsample_and_pad(x, stride, y.shape[1])
            y = y + x
        x = y.relu()
    return x.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def pre_activation(weights: Weights, x: Tensor) -> Tensor:
    """Pre-activation and wide ResNet (He et al. 2016; Zagoruyko and Komodakis 2016)."""
    x = conv(x, weights, "conv1")
    for number, (block, stride) in enumerate(blocks(weights)):
        a = norm(x, weights, f"{block}.bn1").relu()
        convolutions = 3 if f"{block}.conv3.weight" in weights else 2
        y = conv(a, weights, f"{block}.conv1", stride if convolutions == 2 else 1)
        for i in range(2, convolutions + 1):
            strided = convolutions == 3 and i == 2
            y = conv(norm(y, weights, f"{block}.bn{i}").relu(), weights, f"{block}.conv{i}", stride if strided else 1)
        y = gate(y, weights, block)
        if f"{block}.shortcut.weight" in weights:
            x = conv(a, weights, f"{block}.shortcut", stride)
        elif number == 0:
            x = a
        if x.shape[1] != y.shape[1]:
            x = subsample_and_pad(x, stride, y.shape[1])
        x = x + y
    x = norm(x, weights, "bn").relu()
    return x.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random statistics and scales for every normalisation: at their defaults, its place would not show."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            shape = module.weight.shape
            module.weight.data = 0.5 + torch.rand(shape, generator=generator)
            module.bias.data = torch.randn(shape, generator=generator) * 0.3
            module.running_mean = torch.randn(shape, generator=generator) * 0.3
            module.running_var = 0.5 + torch.rand(shape, generator=generator)
    return model


def check_residual_block(block: nn.Module, in_channels: int, size: int = 7) -> None:
    """y = relu(BN(conv(relu(BN(conv(x))))) + shortcut(x)), for x of both signs."""
    weights = shake(block).eval().state_dict()
    stride = block.conv1.stride[0]
    x = torch.randn(2, in_channels, size, size, generator=torch.Generator().manual_seed(1))
    result = block(x)
    y = norm(conv(x, weights, "conv1", stride), weights, "bn1").relu()
    y = norm(conv(y, weights, "conv2"), weights, "bn2")
    if "shortcut.0.weight" in weights:
        x = norm(conv(x, weights, "shortcut.0", stride), weights, "shortcut.1")
    elif x.shape != y.shape:
        x = subsample_and_pad(x, stride, y.shape[1])
    torch.testing.assert_close(result, (x + y).relu())


def check_stage_sizes(model: nn.Module, size: int = 32) -> None:
    """Stages of 32, 16 and 8 pixels for a picture of 32."""
    sizes = []
    hooks = [
        getattr(model, name).register_forward_hook(lambda _, __, output: sizes.append(output.shape[-2:]))
        for name in ("layer1", "layer2", "layer3")
    ]
    channels = model.conv1.in_channels
    model.eval()(torch.zeros(1, channels, size, size, device=model.conv1.weight.device))
    for hook in hooks:
        hook.remove()
    assert sizes == [(size, size), (-(-size // 2),) * 2, (-(-size // 4),) * 2], sizes
