"""Pre-activation, wide and ResNeXt networks: counts of the papers, clean identity paths, true groups, gates on all."""

import inspect
import itertools

import pytest
import torch
from cifar_oracle import check_stage_sizes, post_activation, pre_activation, shake
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from coursekit.models import cifar_basic, cifar_preact, cifar_resnext, cifar_wide
from coursekit.models.cifar_preact import PreActBlock, preact_resnet
from coursekit.models.cifar_resnext import ResNeXtBlock, resnext29
from coursekit.models.cifar_wide import WideBlock, wide_resnet
from coursekit.models.registry import build

#: The papers give, in millions: 1.7 and 10.2 for depths 164 and 1001 (the latter without normalisation, see below);
#: 2.8, 11.0, 36.5, 2.2 and 8.9 for the wide ones in this order; 34.4 and 68.1 for the larger ResNeXts.
PARAMETERS = {
    "preact_resnet20": 269_722,
    "preact_resnet32": 464_154,
    "preact_resnet44": 658_586,
    "preact_resnet56": 853_018,
    "preact_resnet110": 1_727_962,
    "preact_resnet164": 1_703_258,
    "preact_resnet1001": 10_327_706,
    "wrn_16_4": 2_748_890,
    "wrn_16_8": 10_961_370,
    "wrn_28_10": 36_479_194,
    "wrn_40_2": 2_243_546,
    "wrn_40_4": 8_949_210,
    "resnext29_4x16d": 3_172_426,
    "resnext29_8x64d": 34_426_698,
    "resnext29_16x64d": 68_155_210,
}
#: One of each kind, small enough to run.
SMALL = {
    "plain20": cifar_basic.plain20,
    "resnet20": cifar_basic.resnet20,
    "preact_resnet20": cifar_preact.preact_resnet20,
    "preact_resnet20-projection": lambda **s: preact_resnet(20, shortcut="projection", **s),
    "preact_resnet29-bottleneck": lambda **s: preact_resnet(29, "bottleneck", **s),
    "wrn_16_2": lambda **s: wide_resnet(16, 2, **s),
    "resnext29_4x4d": lambda **s: resnext29(4, 4, **s),
}
RESIDUAL = [name for name in SMALL if name != "plain20"]


def meta(builder, *arguments, **settings) -> nn.Module:
    with torch.device("meta"):
        return builder(*arguments, **settings)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def stages(model: nn.Module) -> list[nn.Module]:
    """All blocks, in order."""
    return [block for stage in (model.layer1, model.layer2, model.layer3) for block in stage]


def last_convolution(block: nn.Module) -> nn.Conv2d:
    """Of the branch."""
    return block.conv3 if hasattr(block, "conv3") else block.conv2


@pytest.mark.parametrize("name", PARAMETERS)
def test_named_networks_have_the_parameters_that_they_say(name) -> None:
    home = next(m for m in (cifar_preact, cifar_wide, cifar_resnext) if name in m.__all__)
    assert count(meta(build, name)) == PARAMETERS[name]
    assert f"{PARAMETERS[name]:,} parameters" in getattr(home, name).__doc__


def test_the_10_2_million_of_the_paper_are_the_convolutions_of_the_1001_layers() -> None:
    model = meta(cifar_preact.preact_resnet1001)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert round(sum(map(count, convolutions)) / 1e6, 1) == 10.2
    assert len(convolutions) + 1 - 3 == 1001  # and the linear layer, less the three projections


@settings(max_examples=20)
@given(n=st.integers(1, 10))
def test_pre_activation_costs_as_many_parameters_as_post_activation(n) -> None:
    depth = 6 * n + 2
    assert count(meta(preact_resnet, depth)) == count(meta(cifar_basic.cifar_resnet, depth))


@settings(max_examples=20)
@given(n=st.integers(1, 6), width=st.integers(1, 12), num_classes=st.integers(1, 100))
def test_parameters_of_wide_networks_follow_the_closed_formula(n, width, num_classes) -> None:
    widths = [16, 16 * width, 32 * width, 64 * width]
    expected = 9 * 3 * 16 + 2 * widths[-1] + (widths[-1] + 1) * num_classes
    for before, after in itertools.pairwise(widths):
        expected += 9 * before * after + 9 * (2 * n - 1) * after**2  # convolutions
        expected += 2 * before + 2 * (2 * n - 1) * after  # normalisations
        expected += before * after if before != after else 0  # projection
    assert count(meta(wide_resnet, 6 * n + 4, width, num_classes=num_classes)) == expected


@settings(max_examples=20)
@given(cardinality=st.integers(1, 16), base_width=st.integers(1, 64))
def test_parameters_of_resnext_follow_the_closed_formula(cardinality, base_width) -> None:
    expected, before = 9 * 3 * 64 + 2 * 64 + 1025 * 10, 64
    for stage in range(3):
        out, group = 256 * 2**stage, base_width * 2**stage
        middle = cardinality * group
        for _ in range(3):
            expected += before * middle + 9 * group * middle + middle * out + 4 * middle + 2 * out
            expected += before * out + 2 * out if before != out else 0
            before = out
    assert count(meta(resnext29, cardinality, base_width)) == expected


@pytest.mark.parametrize("size", [32, 31])
@pytest.mark.parametrize("name", SMALL)
def test_stages_have_the_full_half_and_quarter_resolution(name, size) -> None:
    check_stage_sizes(meta(SMALL[name]), size)


@pytest.mark.parametrize("se_reduction", [None, 16])
@pytest.mark.parametrize("name", SMALL)
def test_output_equals_a_plain_loop_over_the_weights(name, se_reduction) -> None:
    model = shake(SMALL[name](se_reduction=se_reduction)).eval()
    x = torch.randn(2, 3, 9, 12)
    if "preact" in name or "wrn" in name:
        expected = pre_activation(model.state_dict(), x)
    else:
        expected = post_activation(model.state_dict(), x, shortcuts=name != "plain20")
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


# Pre-activation: nothing but additions on the path.


def check_clean_path(model: nn.Module) -> None:
    """With silent branches, a signal of both signs crosses all blocks but the first as it is, subsampled and padded."""
    for block in stages(model):
        nn.init.zeros_(last_convolution(block).weight)
    channels = model.layer1[0].bn1.num_features
    x = torch.randn(2, channels, 13, 16)
    y = model.eval().layer3(model.layer2(model.layer1[1:](x)))
    zeros = (model.linear.in_features - channels) // 2
    torch.testing.assert_close(y, F.pad(x[:, :, ::4, ::4], (0, 0, 0, 0, zeros, zeros)), rtol=0, atol=0)


class ReluAfterAddition(PreActBlock):
    def forward(self, x):
        return self.relu(super().forward(x))


class ActivatedShortcut(PreActBlock):
    def forward(self, x):
        activated = self.relu(self.bn1(x))
        return self.branch(activated) + self.shortcut(activated)


class NormalisedSum(PreActBlock):
    def forward(self, x):
        return self.bn2(super().forward(x)) if x.shape[1] == self.bn2.num_features else super().forward(x)


def test_the_identity_path_is_clean() -> None:
    check_clean_path(shake(cifar_preact.preact_resnet20()))
    check_clean_path(shake(cifar_preact.preact_resnet20(se_reduction=16, stochastic_depth=0.5)))


@pytest.mark.parametrize("block", [ReluAfterAddition, ActivatedShortcut, NormalisedSum])
def test_the_check_of_the_path_refuses_what_stands_in_it(block, monkeypatch) -> None:
    monkeypatch.setattr(cifar_preact, "PreActBlock", block)
    with pytest.raises(AssertionError, match="not equal"):
        check_clean_path(shake(preact_resnet(20)))


def test_the_path_of_post_activation_is_not_clean() -> None:
    model = shake(cifar_basic.resnet20())
    for block in stages(model):
        nn.init.zeros_(block.bn2.weight)
        nn.init.zeros_(block.bn2.bias)
    x = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(model.eval().layer1(x), x.relu())


@pytest.mark.parametrize("name", ["wrn_16_2", "preact_resnet20-projection", "preact_resnet29-bottleneck"])
def test_within_a_stage_the_path_is_clean_with_projections_as_well(name) -> None:
    model = shake(SMALL[name]()).eval()
    for stage in (model.layer1, model.layer2, model.layer3):
        for block in stage[1:]:
            nn.init.zeros_(last_convolution(block).weight)
        x = torch.randn(1, stage[-1].bn1.num_features, 4, 4)
        assert torch.equal(stage[1:](x), x)


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("preact_resnet20", [0]),
        ("preact_resnet20-projection", [0, 3, 6]),
        ("preact_resnet29-bottleneck", [0]),
        ("wrn_16_2", [0, 2, 4]),
    ],
)
def test_the_first_block_and_projections_share_the_activation(name, shared) -> None:
    blocks = stages(SMALL[name]())
    assert [i for i, block in enumerate(blocks) if block.activate == "both"] == shared


# Wide: dropout between the convolutions.


def test_dropout_stands_between_the_convolutions_and_only_in_training() -> None:
    block = WideBlock(8, 8, dropout=0.25)
    seen = []
    block.conv2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(16, 8, 16, 16)
    torch.testing.assert_close(block.eval()(x), PreActBlock.forward(block, x))
    block.train()
    block.bn2.register_forward_hook(lambda _, __, output: output.abs() + 1)  # no zero of its own
    block(x)
    assert float((seen[-1] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert wide_resnet(16, 1, dropout=0.3).layer2[0].dropout.p == 0.3


def test_wide_networks_are_k_times_as_wide_and_project_from_the_start() -> None:
    model = meta(wide_resnet, 22, 3)
    assert [stage[-1].conv2.out_channels for stage in (model.layer1, model.layer2, model.layer3)] == [48, 96, 192]
    assert [len(stage) for stage in (model.layer1, model.layer2, model.layer3)] == [3, 3, 3]
    assert model.conv1.out_channels == 16
    assert model.layer1[0].shortcut.weight.shape == (48, 16, 1, 1)


# ResNeXt: cardinality is the number of groups.


def check_groups(model: nn.Module, cardinality: int, base_width: int) -> None:
    for number, stage in enumerate((model.layer1, model.layer2, model.layer3)):
        for block in stage:
            assert block.conv2.groups == cardinality
            assert block.conv2.out_channels == cardinality * base_width * 2**number
            assert [block.conv1.groups, block.conv3.groups] == [1, 1]
            assert block.conv3.out_channels == 256 * 2**number


@pytest.mark.parametrize(("cardinality", "base_width"), [(4, 16), (8, 64), (16, 64), (1, 64), (3, 5)])
def test_cardinality_is_the_number_of_groups_and_widths_double(cardinality, base_width) -> None:
    check_groups(meta(resnext29, cardinality, base_width), cardinality, base_width)


def test_the_check_of_groups_refuses_swapped_numbers() -> None:
    with pytest.raises(AssertionError):
        check_groups(meta(resnext29, 64, 8), 8, 64)


def test_a_grouped_block_is_a_sum_of_separate_paths() -> None:
    block = shake(ResNeXtBlock(6, 6, cardinality=3, group_width=2)).eval()
    x = torch.randn(2, 6, 5, 5)
    total = torch.zeros_like(x)
    for path in range(3):  # figure 3a: each path by itself, from x to 6 channels
        mine = slice(2 * path, 2 * path + 2)
        y = block.bn1(F.conv2d(x, block.conv1.weight))[:, mine].relu()
        y = F.conv2d(y, block.conv2.weight[mine], padding=1)
        mean, var, weight, bias = (
            getattr(block.bn2, leaf)[mine] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        y = F.batch_norm(y, mean, var, weight, bias).relu()
        total = total + F.conv2d(y, block.conv3.weight[:, mine])
    torch.testing.assert_close(block(x), (block.bn3(total) + x).relu())


def test_zero_init_starts_resnext_blocks_as_the_identity_on_what_is_positive() -> None:
    model = resnext29(2, 4, zero_init_residual=True)
    x = torch.rand(2, 256, 4, 4)
    torch.testing.assert_close(model.layer1[1:](x), x)
    assert bool((resnext29(2, 4).layer1[0].bn3.weight == 1).all())


# Gates: on all of them.


@pytest.mark.parametrize("name", SMALL)
def test_squeeze_and_excitation_adds_two_small_layers_to_each_block(name) -> None:
    usual, gated = meta(SMALL[name]), meta(SMALL[name], se_reduction=16)
    added = 0
    for block in stages(gated):
        channels = block.gate.se.fc2.out_channels
        middle = max(channels // 16, 4)
        added += 2 * channels * middle + middle + channels
    assert count(gated) - count(usual) == added


@pytest.mark.parametrize("name", RESIDUAL)
def test_survival_falls_linearly_to_the_last_block(name) -> None:
    blocks = stages(meta(SMALL[name], stochastic_depth=0.4))
    dropped = [block.gate.stochastic_depth.p for block in blocks]
    assert dropped == pytest.approx([0.4 * (i + 1) / len(blocks) for i in range(len(blocks))])


@pytest.mark.parametrize("name", RESIDUAL)
def test_stochastic_depth_changes_nothing_in_evaluation(name) -> None:
    usual, deep = SMALL[name](se_reduction=8), SMALL[name](se_reduction=8, stochastic_depth=0.7)
    deep.load_state_dict(usual.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(usual.eval()(x), deep.eval()(x))
    assert not torch.equal(usual.train()(x), deep.train()(x))


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_branch_left_out_leaves_the_shortcut(name) -> None:
    model = SMALL[name](stochastic_depth=0.5).eval()
    block = model.layer1[1]
    x = torch.rand(1, last_convolution(block).out_channels, 6, 6)
    block.gate.stochastic_depth.p = 1 - 1e-12
    block.gate.train()
    torch.testing.assert_close(block(x), x)


# All of them.


@pytest.mark.parametrize("name", [*SMALL, "se_resnet20", "resnext29_4x16d", "wrn_16_4"])
def test_one_step_of_training_reduces_the_loss(name) -> None:
    torch.manual_seed(0)
    model = SMALL.get(name, lambda: build(name))()
    x, labels = torch.randn(8, 3, 8, 8), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(model(x), labels)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[1] < losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_grey_images_of_odd_size_work(name) -> None:
    model = SMALL[name](in_channels=1, num_classes=3).eval()
    assert model(torch.zeros(2, 1, 7, 13)).shape == (2, 3)
    assert model(torch.zeros(1, 1, 1, 1)).shape == (1, 3)


@pytest.mark.parametrize("name", SMALL)
def test_convolutions_start_with_variance_2_over_fan_out(name) -> None:
    model = SMALL[name]()
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 4000]
    for layer in layers:
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        assert float(layer.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.06)
    assert len(layers) > 5
    assert not model.linear.bias.any()


def test_the_settings_stand_in_the_signature() -> None:
    for named, general in (
        (cifar_preact.preact_resnet20, preact_resnet),
        (cifar_wide.wrn_16_4, wide_resnet),
        (cifar_resnext.resnext29_8x64d, resnext29),
    ):
        keywords = [p for p in inspect.signature(general).parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert list(inspect.signature(named).parameters.values()) == keywords
    assert inspect.signature(cifar_preact.preact_resnet164).parameters["shortcut"].default == "projection"


@pytest.mark.parametrize(
    ("build_it", "error", "message"),
    [
        (lambda: preact_resnet(21), ValueError, r"depth must be 6n \+ 2, such as 20 or 26, got 21"),
        (lambda: preact_resnet(26, "bottleneck"), ValueError, r"depth must be 9n \+ 2, such as 20 or 29, got 26"),
        (lambda: preact_resnet(20, "wide"), ValueError, "block must be one of 'basic', 'bottleneck', got 'wide'"),
        (lambda: preact_resnet(20, shortcut="pad"), ValueError, "shortcut must be one of .*, got 'pad'"),
        (lambda: wide_resnet(20, 2), ValueError, r"depth must be 6n \+ 4, such as 16 or 22, got 20"),
        (lambda: wide_resnet(16, 0), ValueError, "width must be at least 1, got 0"),
        (lambda: wide_resnet(16, 1.5), TypeError, "width must be an int, got 1.5"),
        (lambda: wide_resnet(16, 1, dropout=1.0), ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        (lambda: resnext29(0, 4), ValueError, "cardinality must be at least 1, got 0"),
        (lambda: resnext29(4, 2.0), TypeError, "base_width must be an int, got 2.0"),
        (lambda: resnext29(4, 4, stochastic_depth=2), ValueError, "stochastic_depth must be .*, got 2"),
        (lambda: wide_resnet(16, 1, num_classes=0), ValueError, "num_classes must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused_in_words(build_it, error, message) -> None:
    with pytest.raises(error, match=message):
        build_it()
