"""The modern CNN keeps each of the principles that it is meant to show."""

import pytest
import torch
from cifar_oracle import conv, gate, shake
from cifar_oracle import norm as batch_norm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from coursekit.models.modern import ModernBlock, modern_cnn
from coursekit.models.registry import build

PARAMETERS = 7_553_264
SMALL = {"num_classes": 10, "stages": (2, 2, 2), "width": 16, "stem_stride": 1}
SMALL_PARAMETERS = 243_482


def meta(**settings) -> nn.Module:
    with torch.device("meta"):
        return modern_cnn(**settings)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def blocks(model: nn.Module) -> list[ModernBlock]:
    return [module for module in model.modules() if isinstance(module, ModernBlock)]


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_parameters_are_those_of_the_docstring(norm) -> None:
    assert count(meta(norm=norm)) == PARAMETERS
    assert count(meta(norm=norm, **SMALL)) == SMALL_PARAMETERS
    for number in (PARAMETERS, SMALL_PARAMETERS):
        assert f"{number:,}" in modern_cnn.__doc__


@settings(max_examples=25)
@given(
    stages=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    width=st.sampled_from([16, 32, 48, 80]),
    num_classes=st.integers(1, 50),
    in_channels=st.integers(1, 5),
)
def test_parameters_follow_the_closed_formula(stages, width, num_classes, in_channels) -> None:
    half, before = width // 2, width
    expected = 9 * (in_channels * half + half * half + half * width) + 4 * half
    for stage, number in enumerate(stages):
        middle = width * 2**stage
        out, squeezed = 4 * middle, max(middle // 4, 4)
        for i in range(number):
            expected += before * middle + 9 * middle**2 + middle * out + 2 * before + 4 * middle
            expected += 2 * out * squeezed + squeezed + out
            expected += (
                before * out if i == 0 else 0
            )  # four times wider than the stem, or than half of the stage before
            before = out
    expected += 2 * before + (before + 1) * num_classes
    ours = meta(stages=stages, width=width, num_classes=num_classes, in_channels=in_channels)
    assert count(ours) == expected


@pytest.mark.parametrize(
    ("size", "stem_stride", "expected"), [(224, 4, [56, 28, 14, 7]), (225, 4, [57, 29, 15, 8]), (32, 1, [32, 16, 8, 4])]
)
def test_the_resolution_halves_from_stage_to_stage_rounded_up(size, stem_stride, expected) -> None:
    model = meta(stem_stride=stem_stride)
    x = model.stem(torch.zeros(1, 3, size, size, device="meta"))
    sizes = []
    for stage in model.stages:
        x = stage(x)
        sizes.append(x.shape[-1])
    assert sizes == expected
    assert x.shape[1] == model.linear.in_features == 1024


@pytest.mark.parametrize("size", [(32, 32), (17, 40), (1, 1), (96, 33)])
@pytest.mark.parametrize("stem_stride", [1, 2, 4])
def test_any_resolution_works(size, stem_stride) -> None:
    model = modern_cnn(**SMALL | {"stem_stride": stem_stride, "in_channels": 1}).eval()
    assert model(torch.zeros(2, 1, *size)).shape == (2, 10)


def test_only_small_filters() -> None:
    convolutions = [module for module in meta().modules() if isinstance(module, nn.Conv2d)]
    assert {layer.kernel_size for layer in convolutions} == {(1, 1), (3, 3)}
    stem = [module for module in meta().stem if isinstance(module, nn.Conv2d)]
    assert [layer.kernel_size for layer in stem] == [(3, 3)] * 3


@pytest.mark.parametrize(("stem_stride", "pixels"), [(4, 11), (2, 11), (1, 7)])
def test_the_stem_sees_as_far_as_that_of_a_resnet(stem_stride, pixels) -> None:
    stem = modern_cnn(**SMALL | {"stem_stride": stem_stride}).stem.eval()
    x = torch.randn(1, 3, 40, 40, requires_grad=True)
    stem(x)[0, :, 20 // stem_stride, 20 // stem_stride].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == pixels


def check_normalised_everywhere(model: nn.Module) -> None:
    """Only the gates, which have no normalisation, have biases; all other convolutions have a normalisation each."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert (layer.bias is not None) == (".se." in name), name
    norms = sum(isinstance(module, nn.BatchNorm2d | nn.GroupNorm) for module in model.modules())
    assert norms == 2 + 3 * len(blocks(model)) + 1


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_normalised_everywhere_and_so_without_bias(norm) -> None:
    check_normalised_everywhere(meta(norm=norm))


def test_the_check_refuses_a_bias_before_a_normalisation() -> None:
    model = meta()
    model.stages[1][0].conv2 = nn.Conv2d(64, 64, 3, padding=1)
    with pytest.raises(AssertionError, match=r"stages\.1\.0\.conv2"):
        check_normalised_everywhere(model)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_block_adds_its_gated_branch_to_an_untouched_input(norm) -> None:
    block = modern_cnn(norm=norm, **SMALL).stages[0][1].eval()
    x = torch.randn(2, 64, 5, 5)
    y = block.conv1(block.norm1(x).relu())
    y = block.conv2(block.norm2(y).relu())
    y = block.conv3(block.norm3(y).relu())
    se = block.gate.se
    weights = torch.sigmoid(se.fc2(torch.relu(se.fc1(y.mean((2, 3), keepdim=True)))))
    torch.testing.assert_close(block(x), x + weights * y)
    nn.init.zeros_(block.conv3.weight)
    assert torch.equal(block(x), x)


def plain_forward(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The network with a stem of stride 1 and batch normalisation once more, as a loop over raw weights."""
    x = conv(batch_norm(conv(x, weights, "stem.0"), weights, "stem.1").relu(), weights, "stem.3")
    x = conv(batch_norm(x, weights, "stem.4").relu(), weights, "stem.6")
    for block in dict.fromkeys(".".join(key.split(".")[:3]) for key in weights if key.startswith("stages.")):
        stride = 1 if block.startswith("stages.0.") or not block.endswith(".0") else 2
        a = batch_norm(x, weights, f"{block}.norm1").relu()
        y = batch_norm(conv(a, weights, f"{block}.conv1"), weights, f"{block}.norm2").relu()
        y = batch_norm(conv(y, weights, f"{block}.conv2", stride), weights, f"{block}.norm3").relu()
        y = gate(conv(y, weights, f"{block}.conv3"), weights, block)
        if stride == 2:
            inside = F.avg_pool2d(torch.ones_like(a), 3, 2, padding=1)  # share of the window that lies in the image
            x = conv(F.avg_pool2d(a, 3, 2, padding=1) / inside, weights, f"{block}.shortcut.1")
        elif f"{block}.shortcut.weight" in weights:
            x = conv(a, weights, f"{block}.shortcut")
        x = x + y
    x = batch_norm(x, weights, "norm").relu()
    return x.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def test_output_equals_a_plain_loop_over_the_weights() -> None:
    model = shake(modern_cnn(**SMALL)).eval()
    x = torch.randn(2, 3, 13, 10)
    torch.testing.assert_close(model(x), plain_forward(model.state_dict(), x), rtol=1e-4, atol=1e-4)


def unread_share(block: nn.Module) -> float:
    """Share of input pixels that the shortcut of a block does not look at."""
    nn.init.zeros_(block.conv3.weight)
    nn.init.constant_(block.norm1.bias, 100)  # so that every ReLU is open
    x = torch.randn(1, block.conv1.in_channels, 9, 12, requires_grad=True)
    block.eval()(x).sum().backward()
    return float((x.grad.abs().sum(1) == 0).float().mean())


def test_where_the_resolution_halves_the_shortcut_reads_every_pixel() -> None:
    assert unread_share(modern_cnn(**SMALL).stages[1][0]) == 0
    strided = modern_cnn(**SMALL).stages[1][0]
    strided.shortcut = nn.Conv2d(64, 128, 1, stride=2, bias=False)
    assert unread_share(strided) == pytest.approx(1 - 5 * 6 / (9 * 12))


def test_both_paths_of_a_halving_block_have_their_centres_on_the_same_pixels() -> None:
    block = modern_cnn(**SMALL).stages[1][0].eval()
    block.gate = nn.Identity()  # squeeze and excitation sees everything
    for silent in (block.conv3, block.shortcut[-1]):
        kept = silent.weight.detach().clone()
        nn.init.zeros_(silent.weight)
        x = torch.randn(1, 64, 17, 17, requires_grad=True)
        block(x)[0, :, 4, 4].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        assert [int(rows.min()), int(rows.max())] == [7, 9]
        silent.weight.data.copy_(kept)


def test_group_normalisation_never_looks_at_another_image() -> None:
    x = torch.randn(3, 3, 16, 16)
    for norm, independent in (("group", True), ("batch", False)):
        model = modern_cnn(norm=norm, **SMALL).train()
        alone = torch.cat([model(image[None]) for image in x])
        assert torch.allclose(model(x), alone, atol=1e-4) is independent


@pytest.mark.parametrize("width", [16, 32, 48, 80])
def test_groups_have_8_channels(width) -> None:
    model = meta(norm="group", width=width)
    norms = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_channels // norm.num_groups for norm in norms} == {8}


def test_survival_falls_linearly_to_the_last_block() -> None:
    dropped = [block.gate.stochastic_depth.p for block in blocks(meta(stochastic_depth=0.2))]
    assert dropped == pytest.approx([0.2 * (i + 1) / 16 for i in range(16)])
    assert all(not hasattr(block.gate, "stochastic_depth") for block in blocks(meta()))


@pytest.mark.parametrize("settings", [{}, {"norm": "group"}, {"stem_stride": 2}, {"stochastic_depth": 0.2}])
def test_training_reduces_the_loss(settings) -> None:
    torch.manual_seed(0)
    model = modern_cnn(**SMALL | settings)
    x, labels = torch.randn(10, 3, 16, 16), torch.arange(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(6):
        loss = F.cross_entropy(model(x), labels)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_convolutions_start_with_variance_2_over_fan_out() -> None:
    model = modern_cnn(**SMALL)
    for layer in (model.stages[2][1].conv2, model.stages[1][0].conv3, model.stages[1][0].shortcut[-1]):
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        assert float(layer.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert not model.linear.bias.any()


def test_build_passes_the_settings_on() -> None:
    assert count(build("modern_cnn", **SMALL)) == SMALL_PARAMETERS


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"norm": "layer"}, ValueError, "norm must be one of 'batch', 'group', got 'layer'"),
        ({"stem_stride": 3}, ValueError, "stem_stride must be 1, 2 or 4, got 3"),
        ({"width": 40}, ValueError, "width must be a multiple of 16, got 40"),
        ({"width": 0}, ValueError, "width must be at least 16, got 0"),
        ({"width": 32.0}, TypeError, "width must be an int, got 32.0"),
        ({"stages": ()}, ValueError, "stages must name at least one stage"),
        ({"stages": (2, 0)}, ValueError, "every entry of stages must be at least 1, got 0"),
        ({"stages": 4}, TypeError, "stages must be a sequence of ints, got 4"),
        ({"stochastic_depth": 1}, ValueError, "stochastic_depth must be at least 0 and below 1, got 1"),
        ({"num_classes": 0}, ValueError, "num_classes must be at least 1, got 0"),
        ({"in_channels": "3"}, TypeError, "in_channels must be an int, got '3'"),
    ],
)
def test_impossible_settings_are_refused_in_words(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        modern_cnn(**arguments)
